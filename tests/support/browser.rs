//! A headless Chromium, driven over WebDriver as a person would: it opens pages, clicks and types.
//!
//! Needs Debian's packages chromium and chromium-driver, which `make browser` installs. Without them the tests are
//! skipped, except where `CI` is set. Use it with `#[path = "support/browser.rs"] mod browser;`.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long a test waits for the page to become as it should.
const LIMIT: Duration = Duration::from_secs(20);
/// Under which key WebDriver tells of an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one page. Dropping it ends it.
pub struct Browser {
    driver: Child,
    /// Kept open, or the driver could not write to it.
    _said: BufReader<ChildStdout>,
    port: u16,
    /// The path of everything that is asked of it.
    session: String,
}

impl Browser {
    /// Starts one; none, loudly, where there is none.
    pub fn start() -> Option<Self> {
        let driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut driver = match driver {
            Ok(driver) => driver,
            Err(error) if error.kind() == ErrorKind::NotFound && std::env::var_os("CI").is_none() => {
                eprintln!("skipped: there is no chromedriver; `make browser` installs it");
                return None;
            }
            Err(error) => panic!("chromedriver: {error}"),
        };
        let mut said = BufReader::new(driver.stdout.take().unwrap());
        let told = said.by_ref().lines().map_while(Result::ok).find_map(|line| {
            let port = line
                .strip_suffix('.')?
                .rsplit_once("started successfully on port ")?
                .1;
            port.parse().ok()
        });
        let mut browser = Self {
            driver,
            _said: said,
            port: told.expect("chromedriver tells its port"),
            session: "/session".into(),
        };
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1400,900",
        ];
        let session = browser.ask(
            "POST",
            "",
            &json!({"capabilities": {"alwaysMatch": {
                "goog:chromeOptions": {"args": arguments},
                "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            }}}),
        );
        browser.session = format!("/session/{}", session["sessionId"].as_str().unwrap());
        Some(browser)
    }

    /// Opens a file.
    pub fn open(&self, page: &Path) {
        self.ask(
            "POST",
            "/url",
            &json!({"url": format!("file://{}", page.display())}),
        );
    }

    /// What a function of this body returns in the page.
    pub fn evaluate(&self, body: &str) -> Value {
        self.ask("POST", "/execute/sync", &json!({"script": body, "args": []}))
    }

    /// Waits until an expression has this value in the page.
    pub fn wait_for(&self, expression: &str, expected: impl Into<Value>) {
        let (expected, started) = (expected.into(), Instant::now());
        loop {
            let value = self.evaluate(&format!("return {expression};"));
            if value == expected {
                return;
            }
            assert!(
                started.elapsed() < LIMIT,
                "{expression} is {value}, not {expected}"
            );
        }
    }

    /// Clicks on the middle of the first element that a CSS selector finds.
    pub fn click(&self, selector: &str) {
        let found = self.ask(
            "POST",
            "/element",
            &json!({"using": "css selector", "value": selector}),
        );
        let id = found[ELEMENT].as_str().unwrap().to_owned();
        self.ask("POST", &format!("/element/{id}/click"), &json!({}));
    }

    /// Drags the pointer over the page, from one place to another.
    pub fn drag(&self, from: (i32, i32), to: (i32, i32)) {
        let go = |(x, y)| json!({"type": "pointerMove", "duration": 0, "x": x, "y": y});
        self.ask("POST", "/actions", &json!({"actions": [{
            "type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"},
            "actions": [go(from), {"type": "pointerDown", "button": 0}, go(to), {"type": "pointerUp", "button": 0}],
        }]}));
    }

    /// Presses keys, one after the other: characters, or names as WebDriver codes them.
    pub fn press(&self, keys: &[&str]) {
        let press = |key: &&str| {
            [
                json!({"type": "keyDown", "value": key}),
                json!({"type": "keyUp", "value": key}),
            ]
        };
        let actions: Vec<Value> = keys.iter().flat_map(press).collect();
        self.ask(
            "POST",
            "/actions",
            &json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]}),
        );
    }

    /// Does as a person who prefers dark pages, or one with a phone.
    pub fn emulate(&self, command: &str, parameters: Value) {
        self.ask(
            "POST",
            "/goog/cdp/execute",
            &json!({"cmd": command, "params": parameters}),
        );
    }

    /// A picture of what is in sight, as PNG.
    pub fn screenshot(&self) -> Vec<u8> {
        let picture = self.ask("GET", "/screenshot", &Value::Null);
        base64_simd::STANDARD
            .decode_to_vec(picture.as_str().unwrap())
            .unwrap()
    }

    /// What the page and the browser said on its console since it was asked last.
    pub fn console(&self) -> Vec<String> {
        self.log("browser")
            .iter()
            .map(|entry| entry["message"].to_string())
            .collect()
    }

    /// The addresses that were asked for since it was asked last.
    pub fn requests(&self) -> Vec<String> {
        let address = |entry: &Value| {
            let entry: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            let is_request = entry["message"]["method"] == "Network.requestWillBeSent";
            let url = entry["message"]["params"]["request"]["url"].as_str()?;
            is_request.then(|| url.to_owned())
        };
        self.log("performance").iter().filter_map(address).collect()
    }

    fn log(&self, kind: &str) -> Vec<Value> {
        let entries = self.ask("POST", "/se/log", &json!({"type": kind}));
        entries.as_array().unwrap().clone()
    }

    /// Sends a command and returns its result.
    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        self.try_ask(method, path, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    fn try_ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let body = if method == "POST" {
            body.to_string()
        } else {
            String::new()
        };
        let request = format!(
            "{method} {}{path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\
            content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.session,
            body.len()
        );
        let body = self.exchange(&request).map_err(|error| error.to_string())?;
        let answer: Value = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        match answer["value"]["error"].as_str() {
            Some(error) => Err(format!("{error}: {}", answer["value"]["message"])),
            None => Ok(answer["value"].clone()),
        }
    }
}

impl Browser {
    /// Sends a request and returns the body of the answer.
    fn exchange(&self, request: &str) -> io::Result<Vec<u8>> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(2 * LIMIT))?;
        (&stream).write_all(request.as_bytes())?;
        let mut answer = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            answer.read_line(&mut line)?;
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        let mut body = vec![0; length];
        answer.read_exact(&mut body)?;
        Ok(body)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.try_ask("DELETE", "", &json!({}));
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

//! The pictures of the README, made anew by `make screenshots` from a simulated run of an example agent.

#[path = "support/browser.rs"]
mod browser;
#[path = "support/cli.rs"]
mod cli;

use std::path::Path;

use browser::Browser;
use cli::{program, run};
use serde_json::json;
use tempfile::TempDir;

const TURNS: [&str; 4] = [
    "Hello",
    "Please list my invoices",
    "I want a refund for my last invoice",
    "Thank you",
];

/// Scripts, of which one expects too much.
const SCRIPTS: [(&str, &str); 3] = [
    (
        "invoices",
        r#"
name = "Invoices are listed"
[[turns]]
user = "Please list my invoices"
expect = [
  { event = "handoff", agent = "Billing" },
  { event = "tool_call", name = "list_invoices" },
  { event = "response", text_contains = "R-9", within_ms = 3000 },
]
[[turns]]
user = "Thank you"
expect = [{ event = "response" }]
"#,
    ),
    (
        "refund",
        r#"
name = "A refund is started"
[[turns]]
user = "I want a refund for my last invoice"
expect = [{ event = "tool_call", name = "start_refund" }, { event = "response" }]
"#,
    ),
    (
        "hello",
        r#"
name = "People are greeted"
[[turns]]
user = "Hello"
expect = [{ event = "response", text_contains = "hello" }]
"#,
    ),
];

/// Output for a terminal as HTML.
fn terminal(command: &str, output: &str) -> String {
    let mut html = String::from(
        "<!doctype html><meta charset=utf-8><style>
        body { margin: 0; padding: 16px 20px; width: max-content; background: #16181d; color: #d7dae0; }
        pre { margin: 0; font: 13px/17px 'DejaVu Sans Mono', monospace; }
        .s1 { font-weight: bold } .s2 { color: #8b93a1 } .s31 { color: #ff7b81 } .s32 { color: #7fd48a }
        .s33 { color: #e3c15c } .s34 { color: #6ea3ff } .s35 { color: #c792ea } .s36 { color: #5fd0e0 }
        </style><pre>",
    );
    html += &format!("<span class=s2>$</span> {command}\n");
    let output = output.replace('&', "&amp;").replace('<', "&lt;");
    let mut pieces = output.split("\x1b[");
    html += pieces.next().unwrap_or_default();
    let mut open = 0;
    for piece in pieces {
        let (style, text) = piece.split_once('m').expect("a style");
        if style == "0" {
            html += &"</span>".repeat(std::mem::take(&mut open));
        } else {
            html += &format!("<span class=s{style}>");
            open += 1;
        }
        html += text;
    }
    html
}

#[test]
#[ignore = "writes the pictures of the README"]
fn pictures() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = TempDir::new().unwrap();
    let [traces, page, shown] =
        ["traces.jsonl", "page.html", "shown.html"].map(|name| folder.path().join(name));
    let mut session = program();
    session
        .current_dir(root)
        .args(["--agent", "agents/concierge.toml", "--simulate", "-q"]);
    session.arg("--trace").arg(format!("file={}", traces.display()));
    session.args(TURNS.iter().flat_map(|turn| ["-m", turn]));
    assert_eq!(run(session).code, Some(0));

    let mut show = program();
    show.args(["traces", "show", "--color", "always"]).arg(&traces);
    std::fs::write(&shown, terminal("realtime-run traces show", &run(show).stdout)).unwrap();
    let mut html = program();
    html.args(["traces", "html"]).arg(&traces).arg("-o").arg(&page);
    assert_eq!(run(html).code, Some(0));

    let Some(browser) = Browser::start() else { return };
    let docs = root.join("docs");
    std::fs::create_dir_all(&docs).unwrap();
    browser.open(&page);
    browser.click(".row[data-kind=function] .label");
    browser.wait_for("document.querySelector('#details:not([hidden])') !== null", true);
    resize(&browser, &json!([1280, 800]));
    std::fs::write(docs.join("traces-html.png"), browser.screenshot()).unwrap();
    browser.open(&shown);
    let size = "return [document.body.offsetWidth, document.body.offsetHeight]";
    resize(&browser, &browser.evaluate(size));
    std::fs::write(docs.join("traces-show.png"), browser.screenshot()).unwrap();
}

#[test]
#[ignore = "writes a picture of the README"]
fn picture_of_smoke_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = TempDir::new().unwrap();
    let page = folder.path().join("page.html");
    std::fs::create_dir(folder.path().join("smoke")).unwrap();
    for (name, text) in SCRIPTS {
        let file = folder.path().join(format!("smoke/{name}.smoke.toml"));
        std::fs::write(file, text).unwrap();
    }
    std::os::unix::fs::symlink(root.join("agents"), folder.path().join("agents")).unwrap();
    let mut smoke = program();
    smoke.current_dir(folder.path()).args([
        "--agent",
        "agents/concierge.toml",
        "--script",
        "smoke",
        "--simulate",
        "--report",
        "page.html",
    ]);
    assert_eq!(run(smoke).code, Some(1));
    let Some(browser) = Browser::start() else { return };
    resize(&browser, &json!([1280, 800]));
    browser.open(&page);
    browser.wait_for("document.querySelectorAll('.row').length > 0", true);
    std::fs::write(root.join("docs/smoke-html.png"), browser.screenshot()).unwrap();
}

fn resize(browser: &Browser, size: &serde_json::Value) {
    let metrics = json!({"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": false});
    browser.emulate("Emulation.setDeviceMetricsOverride", metrics);
}

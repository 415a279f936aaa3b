//! The page of smoke tests, in a real browser.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "support/browser.rs"]
mod browser;
#[path = "support/cli.rs"]
mod cli;
#[path = "support/reports.rs"]
mod reports;
#[path = "support/smoke.rs"]
mod smoke;

use browser::Browser;
use reports::{BAD, GOOD, Smoke};
use serde_json::json;

const DOWN: &str = "\u{e015}";
const END: &str = "\u{e010}";
const ENTER: &str = "\u{e007}";
const TAB: &str = "\u{e004}";

/// The script that is shown, and the one that the list shows as such.
const NAME: &str = "document.getElementById('name').textContent";
const CURRENT: &str = "document.querySelector('#scripts [aria-current] .label').textContent";
/// The scripts that are in the list.
const LISTED: &str = "[...document.querySelectorAll('#scripts li:not([hidden]) .label')].map((label) => label.textContent).join()";

/// The page of these scripts, opened in a browser if there is one.
fn opened<'a>(smoke: &Smoke, arguments: impl IntoIterator<Item = &'a str>) -> Option<Browser> {
    let outcome = smoke.run(["--report", "page.html"].into_iter().chain(arguments));
    assert!(matches!(outcome.code, Some(0 | 1)), "{}", outcome.stderr);
    let browser = Browser::start()?;
    browser.open(&smoke.path("page.html"));
    Some(browser)
}

/// The page is there alone: it asked for nothing else, and nothing was wrong.
fn assert_quiet(browser: &Browser) {
    assert_eq!(browser.console(), [""; 0]);
    let is_other = |url: &String| !url.contains("/page.html") && !url.starts_with("data:");
    let others: Vec<_> = browser.requests().into_iter().filter(is_other).collect();
    assert_eq!(others, [""; 0]);
}

#[test]
fn it_opens_at_what_went_wrong_and_tells_why() {
    let smoke = Smoke::new(&[("a_good", GOOD), ("bad", BAD), ("c_good", GOOD)]);
    let Some(browser) = opened(&smoke, []) else { return };
    browser.wait_for(NAME, "bad");
    browser.wait_for(CURRENT, "bad");
    let told = browser.evaluate("return document.getElementById('script').innerText");
    let told = told.as_str().unwrap();
    for part in [
        "✗ failed",
        "Run it again: realtime-run --script smoke/bad.smoke.toml",
        "The user says \"What is the weather in Oslo?\"",
        "a call of `get_weather` with {\"city\":\"Rome\"}",
        "smoke/bad.smoke.toml:9",
        "came: ",
        "Expected of the trace",
        "trace_",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let met = "[...document.querySelectorAll('.turn')].map((turn) => [...turn.querySelectorAll('[data-met]')].map((it) => it.dataset.met).join()).join(';')";
    browser.wait_for(met, "true;false,true;false");
    browser.wait_for("document.querySelectorAll('[data-wrong].turn').length", 2);
    // The trace is there, and each span tells what it holds.
    browser.click(".row[data-kind=function] .label");
    browser.wait_for(
        "document.querySelector('#details:not([hidden]) h2')?.textContent",
        "function get_weather",
    );
    assert_quiet(&browser);
}

#[test]
fn scripts_are_found_by_how_they_stand_and_by_name_and_can_be_linked_to() {
    let smoke = Smoke::new(&[("good", GOOD), ("bad", BAD), ("zebra", GOOD)]);
    let Some(browser) = opened(&smoke, ["--repeat", "2"]) else {
        return;
    };
    browser.wait_for(LISTED, "bad,good,zebra");
    browser.click("#statuses button:nth-child(3)");
    browser.wait_for(LISTED, "bad");
    browser.wait_for(
        "document.querySelector('[aria-pressed=true]').textContent",
        "✗ failed 1",
    );
    browser.wait_for("document.getElementById('found').textContent", "1 of 3 scripts");
    browser.click("#statuses button:first-child");
    browser.click("#find");
    browser.press(&["z", "e", "b"]);
    browser.wait_for(LISTED, "zebra");
    browser.click("#scripts li:not([hidden]) a");
    browser.wait_for(NAME, "zebra");
    browser.wait_for("location.hash", "#2");
    // A run that passed as the one before is told in short, and its link says which it is.
    browser.click(".runs tbody tr:nth-child(2) a");
    browser.wait_for(
        "document.getElementById('attempt').textContent",
        "✓ passed: run 2 of 2",
    );
    browser.wait_for("document.activeElement.id", "attempt");
    browser.wait_for("location.hash", "#2-2-1");
    browser.wait_for("document.querySelectorAll('.turn').length", 0);
    browser.evaluate("history.back()");
    browser.wait_for("document.querySelectorAll('.turn').length", 1);
    assert_quiet(&browser);
}

#[test]
fn the_keyboard_reaches_every_script() {
    let smoke = Smoke::new(&[("a", GOOD), ("b", GOOD), ("c", GOOD)]);
    let Some(browser) = opened(&smoke, []) else { return };
    browser.evaluate("document.getElementById('find').focus()");
    browser.press(&[TAB]);
    let focused = "document.activeElement.querySelector('.label')?.textContent";
    browser.wait_for(focused, "a");
    browser.press(&[DOWN, ENTER]);
    browser.wait_for(NAME, "b");
    browser.press(&[END]);
    browser.wait_for(focused, "c");
    browser.press(&[TAB]);
    browser.wait_for("document.activeElement.closest('#scripts') === null", true);
    browser.wait_for("document.querySelectorAll('#scripts [tabindex=\"0\"]').length", 1);
    assert_quiet(&browser);
}

#[test]
fn it_is_dark_for_those_who_like_it_dark_and_fits_a_phone() {
    let smoke = Smoke::new(&[("good", GOOD), ("bad", BAD)]);
    let Some(browser) = opened(&smoke, ["--repeat", "2"]) else {
        return;
    };
    let ground = "getComputedStyle(document.body).backgroundColor";
    browser.wait_for(ground, "rgb(246, 247, 249)");
    let dark = json!({"features": [{"name": "prefers-color-scheme", "value": "dark"}]});
    browser.emulate("Emulation.setEmulatedMedia", dark);
    browser.wait_for(ground, "rgb(18, 21, 28)");
    let phone = json!({"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": true});
    browser.emulate("Emulation.setDeviceMetricsOverride", phone);
    browser.wait_for("document.documentElement.scrollWidth", 360);
    assert_quiet(&browser);
}

#[test]
fn whatever_is_said_is_text() {
    let hostile = "</script><script>window.taken = 1</script><!--<img src=x onerror=\"window.taken = 1\">{{script}}{{data}}&lt;";
    let script = format!(
        "name = '''{hostile}'''\n[[turns]]\nuser = '''weather {hostile}'''\nexpect = [{{ event = \"response\", text_contains = '''{hostile}''' }}]\n"
    );
    // In a script file, doubled braces are a variable's.
    let script = script.replace("{{script}}{{data}}", "");
    let smoke = Smoke::new(&[("hostile", &script)]);
    let Some(browser) = opened(&smoke, []) else { return };
    browser.wait_for(NAME, hostile.replace("{{script}}{{data}}", ""));
    browser.wait_for(
        "document.querySelector('.user .text').textContent.includes('<img src=x')",
        true,
    );
    browser.wait_for(
        "[typeof window.taken, document.images.length, document.scripts.length].join()",
        "undefined,0,2",
    );
    assert_quiet(&browser);
}

#[test]
fn many_scripts_have_a_page_of_bounded_size() {
    let names: Vec<_> = (0..200).map(|number| format!("s{number:03}")).collect();
    let scripts: Vec<_> = names.iter().map(|name| (name.as_str(), GOOD)).collect();
    let smoke = Smoke::new(&scripts);
    // As long as it takes on a busy machine; each run has its own limit.
    let arguments = ["--report", "page.html", "--concurrency", "4", "--timeout", "2m"];
    let output = smoke.command(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let size = std::fs::metadata(smoke.path("page.html")).unwrap().len();
    assert!(size < 8 << 20, "{size} bytes");
    let Some(browser) = Browser::start() else { return };
    browser.open(&smoke.path("page.html"));
    browser.wait_for("document.querySelectorAll('#scripts li').length", 200);
    browser.evaluate("location.hash = '#199'");
    browser.wait_for(NAME, "s199");
    browser.wait_for("document.querySelectorAll('.turn').length", 1);
    let seen = "(() => {
        const at = document.querySelector('#scripts [aria-current]').getBoundingClientRect();
        return at.top >= 0 && at.bottom <= innerHeight;
    })()";
    browser.wait_for(seen, true);
    assert_quiet(&browser);
}

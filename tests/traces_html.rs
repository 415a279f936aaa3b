//! The page of a trace, in a real browser.

#[path = "support/browser.rs"]
mod browser;
#[path = "support/cli.rs"]
mod cli;

use std::path::PathBuf;

use browser::Browser;
use cli::{program, run};
use serde_json::{Value, json};
use tempfile::TempDir;

const DOWN: &str = "\u{e015}";
const RIGHT: &str = "\u{e014}";
const LEFT: &str = "\u{e012}";
const END: &str = "\u{e010}";
const HOME: &str = "\u{e011}";
const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";

/// The span that is selected, as the page shows it.
const SELECTED: &str = "document.querySelector('[aria-selected=true] .label')?.textContent";
/// Whether what is known of a span is shown, and of which.
const OPENED: &str = "document.querySelector('#details:not([hidden]) h2')?.textContent";

/// A page in a folder of its own.
struct Page {
    _folder: TempDir,
    path: PathBuf,
    html: String,
}

impl Page {
    /// Of a trace in a file.
    fn of(trace: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("page.html");
        let mut command = program();
        command.args(["traces", "html", trace, "-o"]).arg(&path);
        let outcome = run(command);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
        assert_eq!(outcome.stdout.trim_end(), path.display().to_string());
        let html = std::fs::read_to_string(&path).unwrap();
        Self {
            _folder: folder,
            path,
            html,
        }
    }

    fn refund() -> Self {
        Self::of(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/traces/refund.jsonl"))
    }

    /// Opened in a browser, if there is one.
    fn opened(&self) -> Option<Browser> {
        let browser = Browser::start()?;
        browser.open(&self.path);
        browser.wait_for("document.querySelectorAll('.row').length > 0", true);
        Some(browser)
    }
}

/// The page is there alone: it asked for nothing else, and nothing was wrong.
fn assert_quiet(browser: &Browser) {
    assert_eq!(browser.console(), [""; 0]);
    let others: Vec<_> = browser
        .requests()
        .into_iter()
        .filter(|url| !url.starts_with("file://") || !url.ends_with("/page.html"))
        .filter(|url| !url.starts_with("data:"))
        .collect();
    assert_eq!(others, [""; 0]);
}

#[test]
fn a_click_opens_what_a_span_holds_and_the_conversation_is_linked_to_it() {
    let page = Page::refund();
    let Some(browser) = page.opened() else { return };
    browser.click("#span-8 .label");
    browser.wait_for(OPENED, "function list_invoices");
    let blocks = browser
        .evaluate("return [...document.querySelectorAll('#details pre')].map((pre) => pre.textContent)");
    // Laid out, and its long number as it was.
    assert_eq!(
        blocks[0],
        "{\n  \"customer\": \"C-1027\",\n  \"from\": 20260101000000000001\n}"
    );
    assert_eq!(blocks[1].as_str().unwrap().lines().count(), 10);
    let current = "document.querySelector('#conversation [aria-current]').textContent";
    browser.wait_for(&format!("{current}.startsWith('tool list_invoices')"), true);

    browser.click("#conversation .guardrail button");
    browser.wait_for(OPENED, "guardrail no_promises");
    browser.wait_for(SELECTED, "no_promises");
    browser.click("#turns tbody tr:nth-child(2) button");
    browser.wait_for(OPENED, "generation gpt-realtime-2.1");
    browser.click("#details .close");
    browser.wait_for(OPENED, Value::Null);
    assert_quiet(&browser);
}

#[test]
fn the_keyboard_reaches_everything() {
    let page = Page::refund();
    let Some(browser) = page.opened() else { return };
    browser.evaluate("document.getElementById('grid').focus()");
    browser.press(&[DOWN, DOWN, DOWN]);
    browser.wait_for(
        "document.getElementById('grid').getAttribute('aria-activedescendant')",
        "span-3",
    );
    browser.press(&[ENTER]);
    browser.wait_for(OPENED, "speech gpt-realtime-2.1");
    browser.wait_for("document.activeElement.tagName", "H2");
    browser.press(&[ESCAPE]);
    browser.wait_for(OPENED, Value::Null);
    browser.wait_for("document.activeElement.id", "grid");
    // To the parent, which folds, unfolds, and lets in again.
    let rows = "document.querySelectorAll('.row').length";
    browser.press(&[LEFT, LEFT]);
    browser.wait_for(rows, 14);
    browser.press(&[RIGHT]);
    browser.wait_for(rows, 19);
    browser.press(&[RIGHT]);
    browser.wait_for(SELECTED, "gpt-4o-mini-transcribe");
    browser.press(&[END]);
    browser.wait_for("document.querySelector('[aria-selected=true]').id", "span-18");
    browser.press(&[HOME]);
    browser.wait_for(SELECTED, "Triage");
    assert_quiet(&browser);
}

#[test]
fn zooming_changes_the_bars() {
    let page = Page::refund();
    let Some(browser) = page.opened() else { return };
    let width = || {
        let width = "return parseFloat(document.querySelector('#span-0 .bar').style.width)";
        browser.evaluate(width).as_f64().unwrap()
    };
    let view = "document.getElementById('view').textContent";
    let whole = width();
    browser.wait_for(view, "0 – 14.70 s");
    browser.click("#zoom-in");
    browser.wait_for(view, "0 – 7.35 s");
    assert!((width() - 2.0 * whole).abs() < 0.1, "{whole}, {}", width());
    browser.evaluate("document.getElementById('grid').focus()");
    browser.press(&["-"]);
    browser.wait_for(view, "0 – 14.70 s");
    browser.press(&[DOWN, "f"]);
    browser.wait_for(view, "866 ms – 1.27 s");
    browser.press(&["0"]);
    browser.wait_for(view, "0 – 14.70 s");
    let track = browser.evaluate(
        "const {left, top, width} = document.querySelector('#span-10 .track').getBoundingClientRect();
        return [left, top, width].map(Math.round)",
    );
    let [left, top, width] = [0, 1, 2].map(|place| track[place].as_i64().unwrap() as i32);
    browser.drag((left + width / 2, top + 10), (left + width, top + 10));
    browser.wait_for(
        &format!("{view}.endsWith('– 14.70 s') && {view}.startsWith('7.3')"),
        true,
    );
    // The end of the drag is no click.
    browser.wait_for(OPENED, Value::Null);
    assert_quiet(&browser);
}

#[test]
fn it_is_dark_for_those_who_like_it_dark_and_fits_a_phone() {
    let page = Page::refund();
    let Some(browser) = page.opened() else { return };
    let ground = "getComputedStyle(document.body).backgroundColor";
    browser.wait_for(ground, "rgb(246, 247, 249)");
    let dark = json!({"features": [{"name": "prefers-color-scheme", "value": "dark"}]});
    browser.emulate("Emulation.setEmulatedMedia", dark);
    browser.wait_for(ground, "rgb(18, 21, 28)");
    let phone = json!({"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": true});
    browser.emulate("Emulation.setDeviceMetricsOverride", phone);
    browser.wait_for("document.documentElement.scrollWidth", 360);
    browser.click("#span-0 .label");
    browser.wait_for(OPENED, "agent Triage");
    browser.wait_for("document.documentElement.scrollWidth", 360);
    assert_quiet(&browser);
}

#[test]
fn whatever_a_trace_says_is_text() {
    let hostile = "</script><script>window.taken = 1</script><!--<img src=x onerror='window.taken = 1'>{{script}}{{data}}&lt;\u{2028}\u{0}";
    let id = format!("trace_{}", "5".repeat(32));
    let at = |second: u32| format!("2026-01-02T03:04:{second:02}Z");
    let lines = [
        json!({"object": "trace", "id": id, "workflow_name": hostile, "metadata": {hostile: hostile}}),
        json!({"object": "trace.span", "id": "span_000000000000000000000001", "trace_id": id, "parent_id": null,
            "started_at": at(1), "ended_at": at(3), "error": {"message": hostile, "data": {hostile: hostile}},
            "metadata": {hostile: hostile},
            "span_data": {"type": "function", "name": hostile, "input": hostile, "output": format!("[\"{hostile}", )}}),
        json!({"object": "trace.span", "id": "span_000000000000000000000002", "trace_id": id, "parent_id": null,
            "started_at": at(2), "ended_at": at(3), "error": null,
            "span_data": {"type": "generation", "input": [{"role": "user", "content": hostile}, 7, null, {"role": hostile}],
                "output": [{"role": "assistant", "content": [{"type": "text", "text": hostile}, 3], "tool_calls": 4}],
                "model": hostile, "model_config": hostile, "usage": [hostile]}}),
        json!({"object": "trace.span", "id": "span_000000000000000000000003", "trace_id": id,
            "parent_id": "span_00000000000000000000000f", "started_at": at(2), "ended_at": null, "error": null,
            "span_data": {"type": hostile, "name": hostile}}),
    ];
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("hostile.jsonl");
    std::fs::write(&file, lines.map(|line| line.to_string()).join("\n")).unwrap();
    let page = Page::of(file.to_str().unwrap());
    assert_eq!(page.html.matches("<script").count(), 2);
    assert!(!page.html.contains("<!--"), "no comment begins");
    let Some(browser) = page.opened() else { return };
    browser.wait_for("document.getElementById('workflow').textContent", hostile);
    for span in 0..4 {
        browser.click(&format!("#span-{span} .label"));
        browser.wait_for(
            "document.querySelector('[aria-selected=true]').id",
            format!("span-{span}"),
        );
        browser.wait_for("document.querySelector('#details:not([hidden])') !== null", true);
    }
    browser.wait_for(
        "[typeof window.taken, document.images.length, document.scripts.length].join()",
        "undefined,0,2",
    );
    assert_quiet(&browser);
}

#[test]
fn of_a_long_trace_only_what_is_in_sight_is_made() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("long.jsonl");
    let id = format!("trace_{}", "5".repeat(32));
    let span = |number: u32| {
        let at = format!("2026-01-02T03:{:02}:{:02}Z", number / 60, number % 60);
        json!({"object": "trace.span", "id": format!("span_{number:024x}"), "trace_id": id, "parent_id": null,
            "started_at": at, "ended_at": at, "error": null,
            "span_data": {"type": "generation", "input": [{"role": "user", "content": format!("Turn {number}")}]},
            "metadata": {"turn_ended_at": at}})
        .to_string()
    };
    let lines: Vec<String> = (0..3_000).map(span).collect();
    std::fs::write(&file, lines.join("\n")).unwrap();
    let page = Page::of(file.to_str().unwrap());
    let Some(browser) = page.opened() else { return };
    let made = "document.querySelectorAll('.row, #conversation li, #turns tbody tr').length";
    browser.wait_for(&format!("{made} < 600"), true);
    browser.evaluate("document.getElementById('grid').focus()");
    browser.press(&[END]);
    browser.wait_for("document.querySelector('[aria-selected=true]')?.id", "span-2999");
    browser.wait_for(
        "document.querySelector('#conversation [aria-current] .text').textContent",
        "Turn 2999",
    );
    browser.wait_for("document.querySelectorAll('.row').length < 100", true);
    assert_quiet(&browser);
}

#[test]
fn a_trace_without_spans_has_a_page() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("empty.jsonl");
    let id = format!("trace_{}", "5".repeat(32));
    std::fs::write(
        &file,
        json!({"object": "trace", "id": id, "workflow_name": "Empty"}).to_string(),
    )
    .unwrap();
    let page = Page::of(file.to_str().unwrap());
    let Some(browser) = Browser::start() else { return };
    browser.open(&page.path);
    browser.wait_for("document.getElementById('workflow').textContent", "Empty");
    browser.evaluate("document.getElementById('grid').focus()");
    browser.press(&[DOWN, ENTER, "f", "+"]);
    browser.click("#zoom-span");
    assert_quiet(&browser);
}

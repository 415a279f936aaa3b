//! A trace as a page for a browser, in one file.
//!
//! In: the tree of a trace. Out: HTML with its style, its script and the trace's data in it. The page loads nothing, and
//! its content security policy lets nothing be loaded and no other script run. Whatever a trace says is data: it gets
//! into the page as JSON in which no `<` is left, and from there into the document as text only.

mod conversation;
mod data;
mod figures;

use realtime_run::trace::TraceTree;
use ring::digest::{SHA256, digest};

use data::PageData;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");
/// The script; each part uses only those before it.
const SCRIPT: &str = concat!(
    "'use strict';\n",
    include_str!("script/elements.js"),
    include_str!("script/words.js"),
    include_str!("script/spans.js"),
    include_str!("script/view.js"),
    include_str!("script/waterfall.js"),
    include_str!("script/details.js"),
    include_str!("script/conversation.js"),
    include_str!("script/figures.js"),
    include_str!("script/app.js"),
);

/// The page that shows a trace.
pub fn page(tree: &TraceTree) -> serde_json::Result<String> {
    let data = serde_json::to_string(&PageData::new(tree))?.replace('<', "\\u003c");
    let title = data::escaped(&tree.trace().workflow_name);
    let fills = [
        ("{{style-hash}}", hash(STYLE)),
        ("{{script-hash}}", hash(SCRIPT)),
        ("{{title}}", title),
        ("{{style}}", STYLE.to_owned()),
        ("{{data}}", data),
        ("{{script}}", SCRIPT.to_owned()),
    ];
    Ok(filled(PAGE, &fills))
}

/// The page with each of its gaps filled, which come in this order; what fills a gap is not looked at for others.
fn filled(mut rest: &str, fills: &[(&str, String)]) -> String {
    let mut page = String::new();
    for (gap, fill) in fills {
        if let Some((before, after)) = rest.split_once(gap) {
            page += before;
            page += fill;
            rest = after;
        }
    }
    page + rest
}

/// How a content security policy names a text that may be in the page.
fn hash(text: &str) -> String {
    let hash = digest(&SHA256, text.as_bytes());
    format!("sha256-{}", base64_simd::STANDARD.encode_to_string(hash.as_ref()))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use realtime_run::trace::TraceSet;
    use serde_json::Value;

    use super::*;

    /// The only trace of these lines.
    pub(super) fn tree(lines: &str) -> TraceTree {
        let set = TraceSet::read(Cursor::new(lines)).unwrap();
        let id = set.traces().next().unwrap().id;
        set.tree(id).unwrap()
    }

    pub(super) fn refund() -> TraceTree {
        tree(include_str!("../../../../../tests/traces/refund.jsonl"))
    }

    /// What the page is told.
    pub(super) fn data(tree: &TraceTree) -> Value {
        serde_json::to_value(PageData::new(tree)).unwrap()
    }

    #[test]
    fn the_policy_lets_only_the_page_itself_run() {
        let page = page(&refund()).unwrap();
        let policy = page.split("Content-Security-Policy\" content=\"").nth(1).unwrap();
        let policy = policy.split('"').next().unwrap();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        for gap in ["style", "script", "title", "data"] {
            assert!(!page.contains(&format!("{{{{{gap}")), "{gap} is filled");
        }
    }

    #[test]
    fn what_fills_a_gap_is_not_taken_for_one() {
        let fills = [("{{a}}", "{{b}}{{a}}".to_owned()), ("{{b}}", "2".to_owned())];
        assert_eq!(filled("<{{a}}|{{b}}>", &fills), "<{{b}}{{a}}|2>");
    }

    #[test]
    fn a_known_text_has_its_known_hash() {
        assert_eq!(hash("abc"), "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
    }
}

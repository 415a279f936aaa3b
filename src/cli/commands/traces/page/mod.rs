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

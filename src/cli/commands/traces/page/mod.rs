//! A trace as a page for a browser, in one file.
//!
//! In: the tree of a trace. Out: HTML that shows the waterfall of its spans, the conversation that they tell, and what
//! can be counted in it.

mod conversation;
mod data;
mod figures;

use realtime_run::trace::TraceTree;

use crate::cli::page::Page;
use data::PageData;

/// The script; each part uses only those before it.
const SCRIPT: &str = concat!(
    include_str!("script/conversation.js"),
    include_str!("script/figures.js"),
    include_str!("script/app.js"),
);

/// The page that shows a trace.
pub fn page(tree: &TraceTree) -> serde_json::Result<String> {
    let page = Page {
        title: format!("{} · trace", tree.trace().workflow_name),
        body: include_str!("body.html"),
        style: include_str!("style.css"),
        script: SCRIPT,
        data: serde_json::to_string(&PageData::new(tree))?,
    };
    Ok(page.html())
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
}

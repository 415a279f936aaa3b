//! Pages for a browser, each in one file.
//!
//! In: what a page is to show, as data, and the HTML, style and script of its own kind. Out: HTML with all of it, and with
//! what every page has: the waterfall of a trace, and the looks. A page loads nothing, and its content security policy
//! lets nothing be loaded and no other script run. Whatever a trace or a report says is data: it gets into the page as
//! JSON in which no `<` is left, and from there into the document as text only.

mod spans;

use ring::digest::{SHA256, digest};

pub use spans::{Clock, Spans};

const PAGE: &str = include_str!("page.html");
/// The waterfall of a trace; a page says where it stands by `{{trace}}`.
const TRACE: &str = include_str!("trace.html");
const STYLE: &str = concat!(
    include_str!("style/base.css"),
    include_str!("style/trace.css"),
    include_str!("style/conversation.css"),
);
/// The script of every page; each part uses only those before it.
const SCRIPT: &str = concat!(
    "'use strict';\n",
    include_str!("script/elements.js"),
    include_str!("script/words.js"),
    include_str!("script/tables.js"),
    include_str!("script/spans.js"),
    include_str!("script/view.js"),
    include_str!("script/waterfall.js"),
    include_str!("script/details.js"),
    include_str!("script/trace.js"),
);

/// What a page of one kind has of its own.
#[derive(Debug)]
pub struct Page {
    pub title: String,
    pub body: &'static str,
    pub style: &'static str,
    pub script: &'static str,
    /// What it shows, as JSON.
    pub data: String,
}

impl Page {
    /// The page as a file.
    pub fn html(self) -> String {
        let style = [STYLE, self.style].concat();
        let script = [SCRIPT, self.script].concat();
        let fills = [
            ("{{style-hash}}", hash(&style)),
            ("{{script-hash}}", hash(&script)),
            ("{{title}}", escaped(&self.title)),
            ("{{style}}", style),
            ("{{body}}", self.body.replace("{{trace}}", TRACE)),
            ("{{data}}", self.data.replace('<', "\\u003c")),
            ("{{script}}", script),
        ];
        filled(PAGE, &fills)
    }
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

/// A text as it stands between tags.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_lets_only_the_page_itself_run() {
        let page = Page {
            title: "</title> & more".into(),
            body: "<main>{{trace}}</main>",
            style: "main { color: red }",
            script: "start()",
            data: r#"{"words": "</script>{{script}}"}"#.into(),
        };
        let page = page.html();
        let policy = page.split("Content-Security-Policy\" content=\"").nth(1).unwrap();
        let policy = policy.split('"').next().unwrap();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        for gap in ["style", "title", "body", "trace", "data"] {
            assert!(!page.contains(&format!("{{{{{gap}")), "{gap} is filled");
        }
        assert!(page.contains("<title>&lt;/title> &amp; more</title>"));
        assert!(page.contains(r#"{"words": "\u003c/script>{{script}}"}"#));
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

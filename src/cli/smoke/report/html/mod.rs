//! The report for people: a page for a browser, in one file.
//!
//! It tells of all scripts and all their runs. What was said, what came of each expectation and the trace are told in full
//! of what went wrong and, to compare it with, of the first attempt of each script that passed, as far as there is room.

mod data;

use crate::cli::keys::Keys;
use crate::cli::page::Page;
use crate::cli::smoke::report::json::clean;
use crate::cli::smoke::results::Results;

/// The script; each part uses only those before it.
const SCRIPT: &str = concat!(
    include_str!("script/words.js"),
    include_str!("script/attempt.js"),
    include_str!("script/script.js"),
    include_str!("script/scripts.js"),
    include_str!("script/app.js"),
);

/// The page.
pub fn report(results: &Results, keys: &Keys) -> serde_json::Result<String> {
    let data = clean(&data::page(results, data::ROOM)?, keys)?;
    let page = Page {
        title: "Smoke tests".to_owned(),
        body: include_str!("body.html"),
        style: include_str!("style.css"),
        script: SCRIPT,
        data: serde_json::to_string(&data)?,
    };
    Ok(page.html())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::smoke::report::samples::{self, KEY};

    #[test]
    fn whatever_is_told_is_data_and_no_key_is_in_it() {
        let keys = [KEY.to_owned()].into_iter().collect();
        let page = report(&samples::results(), &keys).unwrap();
        assert_eq!(page.matches("<script").count(), 2);
        assert!(!page.contains("<!--") && !page.contains("<img"));
        assert!(!page.contains(KEY));
    }
}

//! Names that people write, and sometimes write wrong.

use super::document::Node;

/// The one of `known` that `name` was most likely meant to be.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    known
        .into_iter()
        .map(|candidate| {
            (
                strsim::jaro_winkler(&wanted, &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Whether a table has a key that looks like `key` with a slip; the slip itself is told elsewhere.
pub(crate) fn misspelt(table: &Node, key: &str) -> bool {
    table.entries().any(|(other, _)| nearest(other, [key]).is_some())
}

/// Names in a row.
pub(crate) fn quoted(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_only_when_it_is_near() {
        let known = ["instructions", "instructions_file", "handoffs"];
        assert_eq!(nearest("instrutions", known), Some("instructions"));
        assert_eq!(nearest("Handoff", known), Some("handoffs"));
        assert_eq!(nearest("zebra", known), None);
    }
}

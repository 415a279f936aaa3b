//! Flags that hold a name and a value.

use anyhow::{Context, Result};

/// Reads `KEY=VALUE`.
pub fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

/// Splits `Name: value`. What it says of a bad one does not quote it: it may be a key.
pub fn header(text: &str) -> Result<(String, String)> {
    let (name, value) = text
        .split_once(':')
        .context("a --header has no `:`; write it as `--header 'Name: value'`")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_without_a_key_are_refused() {
        assert!(key_value("novalue").is_err());
        assert!(key_value("=x").is_err());
    }

    #[test]
    fn a_bad_header_is_not_quoted() {
        assert_eq!(header("X-A: b:c").unwrap(), ("X-A".to_owned(), "b:c".to_owned()));
        assert!(
            !header("Bearer sk-planted")
                .unwrap_err()
                .to_string()
                .contains("sk-planted")
        );
    }
}

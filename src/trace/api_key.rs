//! A secret that exporters need and nothing else may see.

use std::fmt;

/// An API key. It has no `Display` and no `Serialize`, and `Debug` shows `***`, so it cannot reach a log, a span
/// or an error by accident.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ApiKey(String);

impl ApiKey {
    /// A key from its text, without the white space that a shell or a file left around it; `None` if nothing else
    /// is there.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// The key itself, for the `Authorization` header and nothing else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_never_shown() {
        let key = ApiKey::new(" sk-secret\n").unwrap();
        assert_eq!(format!("{key:?} {key:#?}"), "*** ***");
        assert_eq!(key.reveal(), "sk-secret");
        assert_eq!(ApiKey::new(" \n"), None);
    }
}

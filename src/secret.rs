use std::fmt;

/// A key or token, never empty. It shows in no `Debug` output and has neither `Display` nor `Serialize`, so that it
/// can't slip into a log, a trace, a file or an error message.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// A key from its text, without the white space that a shell or a file left around it; `None` if nothing else is
    /// there.
    pub fn new(text: impl AsRef<str>) -> Option<Self> {
        let text = text.as_ref().trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// The key itself, for the header it belongs in.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_nowhere() {
        let key = Secret::new(" sk-planted\n").unwrap();
        assert_eq!(format!("{key:?} {:#?}", Some(&key)), "*** Some(\n    ***,\n)");
        assert_eq!(key.expose(), "sk-planted");
        assert_eq!(Secret::new(" \n"), None);
    }
}

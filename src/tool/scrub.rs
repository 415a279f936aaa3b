/// Shorter values are rarely credentials, and hiding them would hide words.
const MIN_SECRET: usize = 6;

/// Takes credentials out of what a server, or the way to it, says: either may quote them.
#[derive(Clone, Default)]
pub(super) struct Scrub(Vec<String>);

impl Scrub {
    /// Hides `value` from now on, and what follows a word such as `Bearer` in it.
    pub fn hide(&mut self, value: &str) {
        let last = value.rsplit_once(' ').map(|(_, last)| last);
        let secrets = [Some(value), last].into_iter().flatten().map(str::trim);
        self.0.extend(
            secrets
                .filter(|secret| secret.len() >= MIN_SECRET)
                .map(str::to_owned),
        );
        // The longest first: a part taken out of a whole would leave the rest of it.
        self.0.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }

    /// `text` without the credentials.
    pub fn clean(&self, text: &str) -> String {
        self.0
            .iter()
            .fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_taken_out_whole_and_short_words_left() {
        let mut scrub = Scrub::default();
        for value in ["Basic planted-1", "planted-1-and-more", "debug"] {
            scrub.hide(value);
        }
        let quoted = "Basic planted-1 (planted-1) planted-1-and-more debug";
        assert_eq!(scrub.clean(quoted), "*** (***) *** debug");
    }
}

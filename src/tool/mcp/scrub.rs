use url::Url;

use super::server::{McpCommand, McpHttp};

/// Shorter values are rarely credentials, and hiding them would hide words.
const MIN_SECRET: usize = 8;

/// Takes credentials out of what a server, or the way to it, says: either may quote them.
#[derive(Clone, Default)]
pub(super) struct Scrub(Vec<String>);

impl Scrub {
    /// For a program: the values of its environment that were given to it.
    pub fn of_command(command: &McpCommand) -> Self {
        let mut scrub = Self::default();
        command.environment.values().for_each(|value| scrub.hide(value));
        scrub
    }

    /// For a server on the network: what its URL may hold, and the headers of its own.
    pub fn of_http(http: &McpHttp) -> Self {
        let mut scrub = Self::default();
        let url: &Url = &http.url;
        url.password().into_iter().for_each(|value| scrub.hide(value));
        url.query().into_iter().for_each(|query| scrub.hide(query));
        url.query_pairs().for_each(|(_, value)| scrub.hide(&value));
        http.headers.values().for_each(|value| scrub.hide(value));
        scrub
    }

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
        let url = Url::parse("https://me:planted-0@h/?key=planted-1").unwrap();
        let http = McpHttp::new(url)
            .header("X-Auth", "Basic planted-2")
            .header("X-Level", "debug");
        let mut scrub = Scrub::of_http(&http);
        scrub.hide("planted-3");
        let quoted = "planted-0 key=planted-1 planted-1 Basic planted-2 (planted-2) debug planted-3";
        assert_eq!(scrub.clean(quoted), "*** *** *** *** (***) debug ***");
        let command = McpCommand::new("npx", [""; 0]).env("KEY", "planted-4");
        assert_eq!(Scrub::of_command(&command).clean("KEY=planted-4"), "KEY=***");
    }
}

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};
use url::Url;

/// Shorter values are rarely credentials, and hiding them would hide words.
const MIN_SECRET: usize = 6;
/// What stands for a credential.
const HIDDEN: &str = "***";

/// Takes credentials out of what a server, or the way to it, says: either may quote them.
#[derive(Clone, Default)]
pub(crate) struct Scrub(Vec<String>);

impl fmt::Debug for Scrub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrub").finish_non_exhaustive()
    }
}

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

    /// Whether `text` holds any of the credentials.
    pub fn is_quoted_in(&self, text: &str) -> bool {
        self.0.iter().any(|secret| text.contains(secret))
    }

    /// `text` without the credentials.
    pub fn clean(&self, text: &str) -> String {
        self.0
            .iter()
            .fold(text.to_owned(), |text, secret| text.replace(secret, HIDDEN))
    }

    /// `words` of a server without the credentials, and without what shows a part of some key (protocol.md, trap 24).
    pub fn clean_words(&self, words: &str) -> String {
        without_keys(&self.clean(words))
    }

    /// Takes out of an event of the protocol, of either side, whatever lets one in somewhere: the credentials, those of
    /// the MCP servers that it names, client secrets, and keys in errors, masked or not.
    pub fn clean_event(&self, event: &mut Value) {
        match event {
            Value::String(text) if self.is_quoted_in(text) => *text = self.clean(text),
            Value::Array(values) => values.iter_mut().for_each(|value| self.clean_event(value)),
            Value::Object(fields) => self.clean_fields(fields),
            _ => {}
        }
    }

    /// The same of an event that is known to be an object.
    pub fn clean_fields(&self, fields: &mut Map<String, Value>) {
        let is_mcp = fields.get("type").is_some_and(|kind| kind == "mcp");
        for (name, value) in fields {
            self.clean_event(value);
            match (name.as_str(), value) {
                ("authorization" | "client_secret", Value::String(secret)) => HIDDEN.clone_into(secret),
                ("client_secret", Value::Object(secret)) => hide_values(secret),
                ("headers", Value::Object(headers)) if is_mcp => hide_values(headers),
                ("error", Value::Object(error)) => {
                    if let Some(Value::String(message)) = error.get_mut("message") {
                        *message = without_keys(message);
                    }
                }
                (name, Value::String(address)) if name.ends_with("url") => {
                    if let Some(harmless) = without_credentials(address) {
                        *address = harmless;
                    }
                }
                _ => {}
            }
        }
    }
}

fn hide_values(fields: &mut Map<String, Value>) {
    let texts = fields.values_mut().filter(|value| value.is_string());
    texts.for_each(|value| *value = HIDDEN.into());
}

/// `text` without words that look like keys: `sk-…`, `ek_…`, and what a server has masked in part.
fn without_keys(text: &str) -> String {
    let is_of_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '*');
    let words: BTreeSet<_> = text
        .split(|c| !is_of_key(c))
        .filter(|word| {
            let is_key = (word.starts_with("sk-") || word.starts_with("ek_")) && word.len() > MIN_SECRET;
            is_key || (word.contains(HIDDEN) && word.len() > HIDDEN.len())
        })
        .collect();
    // From the last, as a word comes before those that begin with it.
    words
        .into_iter()
        .rev()
        .fold(text.to_owned(), |text, key| text.replace(key, HIDDEN))
}

/// The address without user, password and query, if it has any.
fn without_credentials(address: &str) -> Option<String> {
    if !address.starts_with("http") && !address.starts_with("ws") {
        return None;
    }
    let mut url = Url::parse(address).ok()?;
    if url.username().is_empty() && url.password().is_none() && url.query().is_none() {
        return None;
    }
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    if url.query().is_some() {
        url.set_query(Some(HIDDEN));
    }
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn credentials_are_taken_out_whole_and_short_words_left() {
        let mut scrub = Scrub::default();
        for value in ["Basic planted-1", "planted-1-and-more", "debug"] {
            scrub.hide(value);
        }
        let quoted = "Basic planted-1 (planted-1) planted-1-and-more debug";
        assert_eq!(scrub.clean(quoted), "*** (***) *** debug");
    }

    #[test]
    fn keys_are_taken_out_of_errors_masked_or_not() {
        let scrub = Scrub::default();
        let cases = [
            (
                "Incorrect API key provided: sk-ab**********wxyz. See",
                "Incorrect API key provided: ***. See",
            ),
            ("sk-abcdefgh, sk-abcdefghij and ek_0123456", "***, *** and ***"),
            ("a *** b, **bold**, task-force", "a *** b, **bold**, task-force"),
        ];
        for (words, clean) in cases {
            assert_eq!(scrub.clean_words(words), clean);
        }
    }

    #[test]
    fn an_event_loses_what_lets_one_in_and_keeps_the_rest() {
        let mut scrub = Scrub::default();
        scrub.hide("planted+key/1");
        // As some servers write it; only what it stands for can be compared.
        let frame = r#"{"type": "session.updated", "note": "planted+key\/1 \u0070lanted+key/1", "session": {
            "client_secret": {"value": "planted", "expires_at": 1},
            "tools": [
                {"type": "mcp", "server_url": "https://me:planted@mcp.example/x?token=planted",
                 "authorization": "planted", "headers": {"X-Key": "planted"}},
                {"type": "function", "parameters": {"properties": {"headers": {"type": "object"}}}}]},
            "error": {"message": "bad key sk-planted-1", "code": "c"}}"#;
        let mut event: Value = serde_json::from_str(frame).unwrap();
        scrub.clean_event(&mut event);
        let expected = json!({"type": "session.updated", "note": "*** ***", "session": {
            "client_secret": {"value": "***", "expires_at": 1},
            "tools": [
                {"type": "mcp", "server_url": "https://mcp.example/x?***",
                 "authorization": "***", "headers": {"X-Key": "***"}},
                {"type": "function", "parameters": {"properties": {"headers": {"type": "object"}}}}]},
            "error": {"message": "bad key ***", "code": "c"}});
        assert_eq!(event, expected);
    }
}

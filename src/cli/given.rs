//! What was said on the command line, to be said again in part.

use std::borrow::Cow;

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};
use url::Url;

/// What stands for what may be a key.
const HIDDEN: &str = "***";

/// The flags of a command line, without the keys in them, in the order in which `--help` has them.
#[derive(Debug, Clone, Default)]
pub struct Given(Vec<Flag>);

#[derive(Debug, Clone)]
struct Flag {
    name: String,
    /// None if it takes none.
    values: Vec<String>,
}

impl Given {
    /// Those of a command line that was parsed.
    pub fn of(command: &Command, matches: &ArgMatches) -> Self {
        let given = command
            .get_arguments()
            .filter(|arg| matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine));
        let flags = given.filter_map(|arg| {
            let name = arg.get_long()?.to_owned();
            let values = arg.get_action().takes_values();
            let raw = values.then(|| matches.get_raw(arg.get_id().as_str())).flatten();
            let values = raw.into_iter().flatten();
            let values = values.map(|value| without_keys(&name, &value.to_string_lossy()).into_owned());
            Some(Flag {
                values: values.collect(),
                name,
            })
        });
        Self(flags.collect())
    }

    /// The words for a shell that give these flags again, without those named.
    pub fn words_without(&self, left_out: &[&str]) -> Vec<String> {
        let kept = self
            .0
            .iter()
            .filter(|flag| !left_out.contains(&flag.name.as_str()));
        kept.flat_map(Flag::words).collect()
    }
}

impl Flag {
    fn words(&self) -> Vec<String> {
        let name = format!("--{}", self.name);
        if self.values.is_empty() {
            return vec![name];
        }
        let words = |value: &String| match value.starts_with('-') {
            true => vec![quoted(&format!("{name}={value}")).into_owned()],
            false => vec![name.clone(), quoted(value).into_owned()],
        };
        self.values.iter().flat_map(words).collect()
    }
}

/// A value of a flag without what may be a key in it.
fn without_keys<'a>(flag: &str, value: &'a str) -> Cow<'a, str> {
    if flag == "header" {
        let name = value.split_once(':').map_or("", |(name, _)| name);
        return format!("{name}: {HIDDEN}").into();
    }
    match Url::parse(value) {
        Ok(url) if url.has_host() => clean_url(url, value),
        _ => value.into(),
    }
}

fn clean_url(mut url: Url, value: &str) -> Cow<'_, str> {
    let is_key = |name: &str| {
        let name = name.to_ascii_lowercase();
        ["key", "token", "secret", "sig", "password", "auth"]
            .iter()
            .any(|word| name.contains(word))
    };
    let has_person = !url.username().is_empty() || url.password().is_some();
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    if !has_person && !pairs.iter().any(|(name, _)| is_key(name)) {
        return value.into();
    }
    if has_person {
        // Both can only fail for addresses without a host.
        let _ = url.set_username(HIDDEN);
        let _ = url.set_password(None);
    }
    if !pairs.is_empty() {
        let shown = pairs
            .iter()
            .map(|(name, value)| (name, if is_key(name) { HIDDEN } else { value }));
        url.query_pairs_mut().clear().extend_pairs(shown);
    }
    String::from(url).into()
}

/// `text` as one word for a shell.
pub fn quoted(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.into()
    } else {
        format!("'{}'", text.replace('\'', r"'\''")).into()
    }
}

#[cfg(test)]
mod tests {
    use clap::{Arg, ArgAction};

    use super::*;

    fn words(flags: &[&str], left_out: &[&str]) -> String {
        let mut command = Command::new("test")
            .arg(
                Arg::new("message")
                    .short('m')
                    .long("message")
                    .action(ArgAction::Append),
            )
            .arg(Arg::new("header").long("header").action(ArgAction::Append))
            .arg(Arg::new("url").long("url"))
            .arg(Arg::new("speed").long("speed").default_value("1"))
            .arg(Arg::new("simulate").long("simulate").action(ArgAction::SetTrue));
        let matches = command
            .try_get_matches_from_mut(["test"].iter().chain(flags))
            .unwrap();
        Given::of(&command, &matches).words_without(left_out).join(" ")
    }

    #[test]
    fn what_was_given_is_given_again_as_a_shell_reads_it() {
        let given = [
            "--simulate",
            "-m",
            "it's",
            "-mtwo words",
            "--message=--x",
            "--speed=1",
        ];
        assert_eq!(
            words(&given, &[]),
            r"--message 'it'\''s' --message 'two words' --message=--x --speed 1 --simulate"
        );
        assert_eq!(words(&given, &["message", "simulate"]), "--speed 1");
        assert_eq!(words(&[], &[]), "");
    }

    #[test]
    fn keys_are_not_given_again() {
        let header = ["--header", "Authorization: Bearer sk-planted"];
        assert_eq!(words(&header, &[]), "--header 'Authorization: ***'");
        assert_eq!(words(&["--header", "sk-planted"], &[]), "--header ': ***'");
        let url = |url| words(&["--url", url], &[]);
        assert_eq!(url("wss://h/v1?model=m"), "--url 'wss://h/v1?model=m'");
        assert_eq!(url("ws://127.0.0.1:80"), "--url ws://127.0.0.1:80");
        assert_eq!(
            url("wss://ada:sk-planted@h/v1?api-key=sk-planted&a=b"),
            "--url 'wss://***@h/v1?api-key=***&a=b'"
        );
    }

    #[test]
    fn words_are_quoted_if_a_shell_would_read_them_otherwise() {
        for plain in ["a", "agents/x.toml", "k=v", "ws://127.0.0.1:1/v1"] {
            assert_eq!(quoted(plain), plain);
        }
        for special in ["", "a b", "$HOME", "a;b", "~", "*", "é", "a\nb"] {
            assert_eq!(quoted(special), format!("'{special}'"));
        }
    }
}

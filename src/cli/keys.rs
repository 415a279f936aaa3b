//! The keys of a run, and texts without them.

use std::env;

use realtime_run::Secret;

use super::args::{Arguments, Command};

/// What stands for a key.
const HIDDEN: &str = "***";

/// Every key that a run may hold.
#[derive(Clone, Debug, Default)]
pub struct Keys(Vec<Secret>);

impl Keys {
    /// Those that the arguments and the environment have.
    pub fn of(arguments: &Arguments) -> Self {
        let args = &arguments.run.server;
        let simulator = match &arguments.command {
            Some(Command::Simulate(args)) => &args.simulator,
            _ => &arguments.run.simulator,
        };
        let named = [
            &args.api_key_env,
            &simulator.llm_key_env,
            &arguments.run.script.judge_key_env,
        ];
        let named = named.into_iter().filter_map(|name| name.as_deref());
        let variables = ["OPENAI_API_KEY", "AZURE_OPENAI_API_KEY"]
            .into_iter()
            .chain(named);
        let headers = args.header.iter().filter_map(|header| header.split_once(':'));
        let keys = variables
            .filter_map(|name| env::var(name).ok())
            .chain(headers.map(|(_, value)| value.trim().trim_start_matches("Bearer ").to_owned()));
        keys.collect()
    }

    /// `text` without the keys. Short ones are made up, such as `none` for a server that wants some key, and would tear
    /// words apart.
    pub fn clean(&self, text: &str) -> String {
        let keys = self.0.iter().map(Secret::expose).filter(|key| key.len() >= 8);
        keys.fold(text.to_owned(), |text, key| text.replace(key, HIDDEN))
    }
}

impl FromIterator<String> for Keys {
    fn from_iter<T: IntoIterator<Item = String>>(keys: T) -> Self {
        Self(keys.into_iter().filter_map(Secret::new).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_taken_out_of_a_text() {
        let keys: Keys = ["sk-planted-1", "none"].map(str::to_owned).into_iter().collect();
        let line = "authorization: Bearer sk-planted-1, none else\n";
        assert_eq!(keys.clean(line), "authorization: Bearer ***, none else\n");
    }
}

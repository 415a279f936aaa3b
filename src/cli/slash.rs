//! What can be said at the prompt beside messages.

/// A command at the prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slash {
    /// Put another agent in charge; without a name, tell who there is.
    Agent(Option<String>),
    /// Stop the answer.
    Interrupt,
    /// Show the conversation.
    History,
    /// Show what can be said here.
    Help,
    /// End the run.
    Quit,
    /// There is no such command.
    Unknown(String),
}

pub const HELP: &str = "\
/agent NAME   put another agent in charge; without a name: who there is
/interrupt    stop the answer, as Ctrl-C does
/history      show the conversation
/help         show this
/quit         end the run, as Ctrl-D does
A line that begins with // is said with one slash.";

impl Slash {
    /// Reads a command without its slash.
    pub fn parse(command: &str) -> Self {
        let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let rest = rest.trim();
        match name {
            "agent" => Self::Agent((!rest.is_empty()).then(|| rest.to_owned())),
            "interrupt" => Self::Interrupt,
            "history" => Self::History,
            "help" => Self::Help,
            "quit" => Self::Quit,
            _ => Self::Unknown(name.to_owned()),
        }
    }
}

//! Where the user's turns come from: the command line, a pipe, or a person at the prompt.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};

use tokio::sync::mpsc;

use super::prompt::Prompt;
use super::slash::Slash;
use super::voice::Cue;

/// Bytes in one line of a pipe at most.
const LONGEST_LINE: u64 = 1 << 20;

/// Something the user wants.
#[derive(Debug)]
pub enum Input {
    /// Say this.
    Message(String),
    /// Say aloud what is heard here.
    Sound(Box<Cue>),
    /// A line beside the turns, which come from the command line.
    Aside(String),
    /// A command at the prompt.
    Slash(Slash),
    /// Ctrl-C at the prompt.
    Interrupt,
    /// There is nothing more to say.
    End,
    /// What was given can't be said; why.
    Unusable(String),
}

impl Input {
    /// What a line typed at the prompt asks for.
    pub fn typed(line: &str) -> Self {
        match line.trim().strip_prefix('/') {
            None => Self::Message(line.to_owned()),
            Some(message) if message.starts_with('/') => Self::Message(message.to_owned()),
            Some(command) => Self::Slash(Slash::parse(command)),
        }
    }
}

/// Where the user's turns come from.
#[derive(Debug)]
pub enum Turns {
    /// Texts or sounds from the command line, and lines of stdin once they are listened to.
    Given {
        left: VecDeque<Input>,
        stdin: Option<mpsc::Receiver<Input>>,
    },
    /// Lines of a pipe.
    Lines(mpsc::Receiver<Input>),
    /// A person.
    Prompt(Prompt),
}

impl Turns {
    /// These texts, one after the other.
    pub fn messages(texts: impl IntoIterator<Item = String>) -> Self {
        Self::given(texts.into_iter().map(Input::Message))
    }

    /// These sounds, one after the other.
    pub fn sounds(cues: impl IntoIterator<Item = Cue>) -> Self {
        Self::given(cues.into_iter().map(|cue| Input::Sound(Box::new(cue))))
    }

    fn given(turns: impl Iterator<Item = Input>) -> Self {
        Self::Given {
            left: turns.collect(),
            stdin: None,
        }
    }

    /// Turns from lines of stdin.
    pub fn from_stdin() -> io::Result<Self> {
        read_stdin().map(Self::Lines)
    }

    /// Listens to what is said beside the turns from now on; until then nothing is taken from stdin.
    pub fn listen(&mut self) -> io::Result<()> {
        if let Self::Given { stdin, .. } = self
            && stdin.is_none()
        {
            *stdin = Some(read_stdin()?);
        }
        Ok(())
    }

    /// Whether a person types them, who can also do other things while an answer is under way.
    pub fn are_typed(&self) -> bool {
        matches!(self, Self::Prompt(_))
    }

    /// Whether there are turns that were surely not taken yet.
    pub fn are_left(&self) -> bool {
        matches!(self, Self::Given { left, .. } if !left.is_empty())
    }

    /// Asks a person for the next one; other sources need not be asked.
    pub fn ask(&mut self) {
        if let Self::Prompt(prompt) = self {
            prompt.ask();
        }
    }

    /// Waits for the next one, or, if it is not the user's turn, for what is said meanwhile. Dropping the future loses
    /// nothing.
    pub async fn next(&mut self, is_users_turn: bool) -> Input {
        match self {
            Self::Given { left, .. } if is_users_turn => left.pop_front().unwrap_or(Input::End),
            Self::Given { stdin: None, .. } => std::future::pending().await,
            Self::Given {
                stdin: Some(lines), ..
            } => match lines.recv().await {
                Some(Input::Message(line)) => Input::Aside(line),
                other => other.unwrap_or(Input::End),
            },
            Self::Lines(lines) => lines.recv().await.unwrap_or(Input::End),
            Self::Prompt(prompt) => prompt.next().await,
        }
    }
}

/// Lines of stdin, read by a thread of its own: reading blocks, and nothing can end it but the end of the process.
fn read_stdin() -> io::Result<mpsc::Receiver<Input>> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::Builder::new()
        .name("stdin".into())
        .spawn(move || read_lines(&mut io::stdin().lock(), &sender))?;
    Ok(receiver)
}

/// Sends each line that is not blank, until the end, a mistake, or nobody listens.
fn read_lines(input: &mut impl BufRead, turns: &mpsc::Sender<Input>) {
    let mut number = 0;
    loop {
        number += 1;
        let turn = match read_line(input) {
            Ok(None) => return,
            Ok(Some(line)) if line.trim().is_empty() => continue,
            Ok(Some(line)) => Input::Message(line),
            Err(why) => Input::Unusable(format!("line {number} of stdin {why}")),
        };
        let is_last = matches!(turn, Input::Unusable(_));
        if turns.blocking_send(turn).is_err() || is_last {
            return;
        }
    }
}

/// The next line without its end; `None` when there is no more.
fn read_line(input: &mut impl BufRead) -> Result<Option<String>, String> {
    let mut line = Vec::new();
    input
        .take(LONGEST_LINE + 1)
        .read_until(b'\n', &mut line)
        .map_err(|error| format!("can't be read: {error}"))?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.len() as u64 > LONGEST_LINE {
        return Err("is longer than 1 MiB".to_owned());
    }
    while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        line.pop();
    }
    String::from_utf8(line)
        .map(Some)
        .map_err(|_| "is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(input: &Input) -> String {
        format!("{input:?}")
    }

    fn read(mut bytes: &[u8]) -> Vec<String> {
        let (sender, mut receiver) = mpsc::channel(8);
        read_lines(&mut bytes, &sender);
        drop(sender);
        std::iter::from_fn(|| receiver.blocking_recv())
            .map(|input| shown(&input))
            .collect()
    }

    #[test]
    fn commands_are_told_from_messages() {
        let slash = |slash| Input::Slash(slash);
        let cases = [
            (" /agent  The Boss ", slash(Slash::Agent(Some("The Boss".into())))),
            ("/agent", slash(Slash::Agent(None))),
            ("/quit", slash(Slash::Quit)),
            ("/exit now", slash(Slash::Unknown("exit".into()))),
            ("hello / there", Input::Message("hello / there".into())),
            ("//etc/hosts", Input::Message("/etc/hosts".into())),
        ];
        for (line, expected) in cases {
            assert_eq!(shown(&Input::typed(line)), shown(&expected), "{line}");
        }
    }

    #[test]
    fn a_line_is_a_turn_and_blank_ones_are_passed_over() {
        let turns = read(b"one\r\n\n  \n two \nlast");
        assert_eq!(
            turns,
            ["one", " two ", "last"].map(|line| shown(&Input::Message(line.into())))
        );
    }

    #[test]
    fn a_line_that_is_no_text_is_named_and_ends_it() {
        let turns = read(b"ok\n\xff\nnever");
        assert_eq!(
            turns,
            [
                shown(&Input::Message("ok".into())),
                shown(&Input::Unusable("line 2 of stdin is not UTF-8".into()))
            ]
        );
    }

    #[test]
    fn a_line_without_end_is_not_kept_in_memory() {
        let turns = read(&vec![b'x'; 3 << 20]);
        assert_eq!(
            turns,
            [shown(&Input::Unusable(
                "line 1 of stdin is longer than 1 MiB".into()
            ))]
        );
    }
}

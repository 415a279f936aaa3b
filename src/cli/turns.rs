//! Where the user's turns come from: the command line, a pipe, or a person at the prompt.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};

use realtime_run::session::SessionEvent;
use tokio::sync::mpsc;

use super::prompt::Prompt;
use super::screen::Screen;
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
    /// A blank line: the key of push-to-talk.
    Key,
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
    /// Lines that a person types while they talk: a prompt would keep back what is said.
    Talk(mpsc::Receiver<Input>),
    /// Nothing more comes in writing.
    None,
    /// A person.
    Prompt(Prompt),
    /// A person at a full screen.
    Screen(Screen),
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
        read_stdin(pipe_line).map(Self::Lines)
    }

    /// Turns of a person who talks and may write beside it.
    pub fn talk() -> io::Result<Self> {
        read_stdin(talk_line).map(Self::Talk)
    }

    /// Listens to what is said beside the turns from now on; until then nothing is taken from stdin.
    pub fn listen(&mut self) -> io::Result<()> {
        if let Self::Given { stdin, .. } = self
            && stdin.is_none()
        {
            *stdin = Some(read_stdin(pipe_line)?);
        }
        Ok(())
    }

    /// Whether a person types them, who can also do other things while an answer is under way.
    pub fn are_typed(&self) -> bool {
        match self {
            Self::Given { .. } | Self::Lines(_) | Self::None => false,
            Self::Prompt(_) | Self::Talk(_) | Self::Screen(_) => true,
        }
    }

    /// Whether the person sees nothing of what they typed unless it is shown, and is told elsewhere what they can do.
    pub fn have_a_screen(&self) -> bool {
        matches!(self, Self::Screen(_))
    }

    /// Whether there are turns that were surely not taken yet.
    pub fn are_left(&self) -> bool {
        matches!(self, Self::Given { left, .. } if !left.is_empty())
    }

    /// Asks a person for the next one, if that has to be done. Tells whether a line is being edited from now on, where
    /// nothing else can be asked.
    pub fn ask(&mut self) -> bool {
        if let Self::Prompt(prompt) = self {
            prompt.ask();
            return true;
        }
        false
    }

    /// Shows an event where the person types, if it can be shown there.
    pub fn show(&self, event: &SessionEvent) {
        if let Self::Screen(screen) = self {
            screen.event(event);
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
            Self::None => std::future::pending().await,
            Self::Lines(lines) | Self::Talk(lines) => lines.recv().await.unwrap_or(Input::End),
            Self::Prompt(prompt) => prompt.next().await,
            Self::Screen(screen) => screen.next().await,
        }
    }
}

/// Lines of stdin, read by a thread of its own: reading blocks, and nothing can end it but the end of the process.
fn read_stdin(turn: fn(String) -> Option<Input>) -> io::Result<mpsc::Receiver<Input>> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::Builder::new()
        .name("stdin".into())
        .spawn(move || read_lines(&mut io::stdin().lock(), turn, &sender))?;
    Ok(receiver)
}

/// What a line of a pipe asks for, unless it is blank.
fn pipe_line(line: String) -> Option<Input> {
    (!line.trim().is_empty()).then_some(Input::Message(line))
}

/// What a person who talks asks for with a line.
fn talk_line(line: String) -> Option<Input> {
    Some(match line.trim() {
        "" => Input::Key,
        _ => Input::typed(&line),
    })
}

/// Sends what each line asks for, until the end, a mistake, or nobody listens.
fn read_lines(input: &mut impl BufRead, turn: fn(String) -> Option<Input>, turns: &mpsc::Sender<Input>) {
    let mut number = 0;
    loop {
        number += 1;
        let turn = match read_line(input) {
            Ok(None) => return,
            Ok(Some(line)) => match turn(line) {
                Some(turn) => turn,
                None => continue,
            },
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
        read_lines(&mut bytes, pipe_line, &sender);
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

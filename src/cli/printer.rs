//! Decides what may be printed, where, and how it looks.

use std::env;
use std::io;
use std::time::Duration;

use super::args::{ColorChoice, OutputArgs};
use super::exit::{ExitStatus, Failure};
use super::output::{Output, Stream};
use super::style::{Paint, harmless};

/// How long readers of stdout and stderr may take at the end.
const FINISH_LIMIT: Duration = Duration::from_secs(2);

/// What may be printed, where, and how. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Printer {
    output: Output,
    /// The result, warnings and errors only.
    quiet: bool,
    /// There may be lines of the log at any time.
    logging: bool,
    /// Of what goes to stderr.
    paint: Paint,
    /// Of what goes to stdout.
    result_paint: Paint,
    /// Where the assistant's words go.
    words: Stream,
}

impl Printer {
    /// Starts the thread that writes.
    pub fn start(args: &OutputArgs) -> io::Result<Self> {
        Ok(Self {
            output: Output::start()?,
            quiet: args.quiet,
            logging: args.verbose > 0 || env::var_os("RUST_LOG").is_some(),
            paint: Paint::new(wants_color(args.color, Stream::Stderr)),
            result_paint: Paint::new(wants_color(args.color, Stream::Stdout)),
            words: Stream::Stdout,
        })
    }

    /// The same, but stdout is for something else than the assistant's words: they go to stderr.
    pub fn with_words_on_stderr(mut self) -> Self {
        self.words = Stream::Stderr;
        self
    }

    pub fn paint(&self) -> Paint {
        self.paint
    }

    /// How the result looks.
    pub fn result_paint(&self) -> Paint {
        self.result_paint
    }

    /// How the words look, wherever they go.
    pub fn words_paint(&self) -> Paint {
        match self.words {
            Stream::Stdout => self.result_paint,
            Stream::Stderr => self.paint,
        }
    }

    /// Whether only the result, warnings and errors are wanted.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether lines of the log may come at any time.
    pub fn is_logging(&self) -> bool {
        self.logging
    }

    pub fn output(&self) -> &Output {
        &self.output
    }

    /// A line of the result.
    pub fn result(&self, line: &str) {
        self.output.lines(Stream::Stdout, &format!("{line}\n"));
    }

    /// A result of many lines, for which whoever reads it may take their time.
    pub fn whole_result(&self, lines: &str) {
        self.result(lines);
        self.output.drain();
    }

    /// Words of the assistant.
    pub fn words(&self, words: &str) {
        if self.words.is_terminal() {
            self.output.part(self.words, &harmless(words));
        } else {
            self.output.part(self.words, words);
        }
    }

    /// A whole line in place of the assistant's words.
    pub fn words_line(&self, line: &str) {
        self.output.lines(self.words, &format!("{line}\n"));
    }

    /// The assistant has finished a message.
    pub fn end_words(&self) {
        self.output.end_line(self.words);
    }

    /// Something about the run, unless only the result is wanted.
    pub fn note(&self, line: &str) {
        if !self.quiet {
            self.told(line);
        }
    }

    /// Something the person asked for at the prompt.
    pub fn told(&self, line: &str) {
        self.output.lines(Stream::Stderr, &format!("{line}\n"));
    }

    /// Something went wrong, and the run goes on.
    pub fn warning(&self, message: &str, advice: Option<&str>) {
        self.trouble(&self.paint.warning("warning:"), message, advice);
    }

    /// Something went wrong, and the run ends or its result is bad.
    pub fn error(&self, message: &str, advice: Option<&str>) {
        self.trouble(&self.paint.error("error:"), message, advice);
    }

    /// Why a command could not do what it was asked to.
    pub fn failure(&self, failure: &Failure) {
        match failure {
            Failure::AgentFile(diagnostics) => {
                let text = diagnostics.render(self.paint.is_enabled());
                self.output.lines(Stream::Stderr, &text);
            }
            Failure::Other { error, advice, .. } => self.error(&format!("{error:#}"), *advice),
        }
    }

    fn trouble(&self, label: &str, message: &str, advice: Option<&str>) {
        let mut text = format!("{label} {}\n", harmless(message.trim_end()));
        if let Some(advice) = advice {
            text += &format!("{} {advice}\n", self.paint.help("help:"));
        }
        self.output.lines(Stream::Stderr, &text);
    }

    /// Waits for everything to be written and ends the thread. Tells the exit status: `status`, unless the result
    /// could not be written.
    pub fn finish(&self, status: ExitStatus) -> ExitStatus {
        let dropped = self.output.finish(FINISH_LIMIT);
        if dropped > 0 {
            let message = format!("{dropped} lines of the log were dropped: stderr was read too slowly");
            self.warning(&message, None);
        }
        let gone = self.output.stdout_error();
        let unwritable = gone.filter(|kind| *kind != io::ErrorKind::BrokenPipe);
        if let Some(kind) = unwritable {
            self.error(&format!("cannot write to stdout: {kind}"), None);
        }
        match (status, unwritable) {
            (ExitStatus::Success, Some(_)) => ExitStatus::Failure,
            _ => status,
        }
    }
}

/// Whether a stream gets colours.
fn wants_color(choice: ColorChoice, stream: Stream) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
            let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
            !is_set("NO_COLOR") && !is_dumb && stream.is_terminal()
        }
    }
}

//! Events as text: words where the words go, all else as notes.

use realtime_run::protocol::{Id, ResponseStatus};
use realtime_run::session::SessionEvent;
use realtime_run::tool::GuardrailPlace;

use crate::cli::printer::Printer;
use crate::cli::style::in_one_line;

/// Characters of arguments, results and messages that a note shows.
const SHOWN: usize = 160;

/// Shows events as text.
#[derive(Debug)]
pub struct Text {
    /// What the server is called.
    server: String,
    /// Where the trace goes, as `openai, stdout`; empty if nowhere.
    destinations: String,
    /// The part of an answer whose words came last.
    part: Option<(Id, u32)>,
    /// An answer is under way.
    answers: bool,
}

impl Text {
    pub fn new(server: String, destinations: String) -> Self {
        Self {
            server,
            destinations,
            part: None,
            answers: false,
        }
    }

    pub fn event(&mut self, event: &SessionEvent, printer: &Printer) {
        let paint = printer.paint();
        match event {
            SessionEvent::SessionStart {
                model,
                agent,
                trace_id,
                ..
            } => self.banner(model, agent, trace_id.as_deref(), printer),
            SessionEvent::TextDelta {
                item_id,
                content_index,
                delta,
            }
            | SessionEvent::TranscriptDelta {
                item_id,
                content_index,
                delta,
            } => self.words((item_id, *content_index), delta, printer),
            SessionEvent::ToolStart { tool, arguments, .. } => {
                let arguments = paint.dim(&in_one_line(arguments, SHOWN));
                printer.note(&format!(
                    "  tool {} {arguments}",
                    paint.name(&in_one_line(tool, SHOWN))
                ));
            }
            SessionEvent::ToolEnd {
                tool, output, error, ..
            } => {
                let tool = paint.name(&in_one_line(tool, SHOWN));
                printer.note(&match error {
                    None => format!("  tool {tool} → {}", paint.dim(&in_one_line(output, SHOWN))),
                    Some(error) => {
                        format!(
                            "  tool {tool} {} {}",
                            paint.error("failed:"),
                            in_one_line(error, SHOWN)
                        )
                    }
                });
            }
            SessionEvent::Guardrail {
                guardrail,
                place,
                tool,
                message,
                ..
            } => {
                let name = paint.name(&in_one_line(guardrail, SHOWN));
                let tool = in_one_line(tool.as_deref().unwrap_or_default(), SHOWN);
                let what = paint.error(&stopped(*place, &tool));
                let why = message.as_deref().map_or_else(String::new, |message| {
                    format!(": {}", paint.dim(&in_one_line(message, SHOWN)))
                });
                printer.note(&format!("  guardrail {name} {what}{why}"));
            }
            SessionEvent::Handoff { from, to } => {
                let [from, to] = [from, to].map(|agent| paint.name(&in_one_line(agent, SHOWN)));
                printer.note(&format!("  handoff {from} → {to}"));
            }
            SessionEvent::AgentStart { .. } => self.answers = true,
            // Of an answer under way its end tells.
            SessionEvent::AudioInterrupted { played_ms, .. } if !self.answers => {
                printer.note(&paint.dim(&format!("  (cut off, heard for {played_ms} ms)")));
            }
            SessionEvent::AgentEnd { status, .. } => {
                self.answers = false;
                printer.end_words();
                self.part = None;
                if *status == ResponseStatus::Cancelled {
                    printer.note(&paint.dim("  (cut off)"));
                }
            }
            SessionEvent::InputTranscript { transcript, .. } => message(transcript, printer),
            SessionEvent::InputTranscriptFailed { error, .. } => {
                printer.warning(&format!("what was said could not be transcribed: {error}"), None);
            }
            SessionEvent::SessionEnd {
                usage,
                transcription_usage,
                latency,
                ..
            } => {
                printer.end_words();
                if let Some(line) = super::usage::usage(usage, transcription_usage) {
                    printer.note(&paint.dim(&line));
                }
                if let Some(line) = super::latency::latency(latency) {
                    printer.note(&paint.dim(&line));
                }
            }
            _ => {}
        }
    }

    fn banner(&self, model: &str, agent: &str, trace_id: Option<&str>, printer: &Printer) {
        let mut line = format!("{agent} on {model}, {}", self.server);
        if let Some(id) = trace_id.filter(|_| !self.destinations.is_empty()) {
            line += &format!(", traced to {} as {id}", self.destinations);
        }
        printer.note(&printer.paint().dim(&in_one_line(&line, 2 * SHOWN)));
    }

    /// Each message begins a line of its own.
    fn words(&mut self, part: (&Id, u32), delta: &str, printer: &Printer) {
        let same = |(id, index): &(Id, u32)| id == part.0 && *index == part.1;
        if !self.part.as_ref().is_some_and(same) {
            printer.end_words();
            self.part = Some((part.0.clone(), part.1));
        }
        printer.words(delta);
    }
}

/// A sound that stands for what the user says.
pub fn sound(name: &str, printer: &Printer) {
    let name = printer.paint().name(&in_one_line(name, SHOWN));
    printer.note(&format!("  sound {name}"));
}

/// What the user says, where it was not typed and so can't be seen.
pub fn message(message: &str, printer: &Printer) {
    let message = in_one_line(message, SHOWN);
    printer.note(&printer.paint().bold(&format!("> {message}")));
}

/// What a guardrail did when it objected, perhaps to what `tool` was to do or has done.
fn stopped(place: GuardrailPlace, tool: &str) -> String {
    match place {
        GuardrailPlace::Output => "stopped the answer".to_owned(),
        GuardrailPlace::ToolInput => format!("stopped the call of {tool}"),
        GuardrailPlace::ToolOutput => format!("withheld what {tool} answered"),
    }
}

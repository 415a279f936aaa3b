//! What is shown of a session: its events while it runs, its spans at the end, and a trace whenever someone asks.

mod bar;
mod cell;
mod node;
mod text;
mod tree;
mod usage;
mod waterfall;

use realtime_run::session::SessionEvent;

pub use text::Text;
pub use tree::tree;
pub use waterfall::{Look, waterfall};

use super::printer::Printer;

/// How events are shown.
#[derive(Debug)]
pub enum Renderer {
    /// One JSON object per event.
    Json,
    /// The assistant's words, and notes on what happens around them.
    Text(Text),
}

impl Renderer {
    /// Shows an event.
    pub fn event(&mut self, event: &SessionEvent, printer: &Printer) {
        match self {
            // The types of an event can all be written as JSON.
            Self::Json => {
                if let Ok(line) = serde_json::to_string(event) {
                    printer.result(&line);
                }
            }
            Self::Text(text) => text.event(event, printer),
        }
    }

    /// Shows what the user says.
    pub fn message(&self, message: &str, printer: &Printer) {
        if let Self::Text(_) = self {
            text::message(message, printer);
        }
    }
}

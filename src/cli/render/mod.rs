//! What is shown of a session: its events while it runs, its spans at the end, and a trace whenever someone asks.

mod bar;
mod cell;
mod latency;
mod node;
mod text;
mod tree;
mod usage;
mod waterfall;

use std::cell::RefCell;
use std::rc::Rc;

use realtime_run::session::SessionEvent;
use realtime_run::trace::JsonMap;
use serde_json::Value;

pub use text::Text;
pub use tree::tree;
pub use waterfall::{Look, waterfall};

use super::printer::Printer;
use super::trace::Deliveries;

/// The event of the session's end, held back until its trace is delivered. Cheap to clone; clones share it.
#[derive(Debug, Clone, Default)]
pub struct LastEvent(Rc<RefCell<Option<JsonMap>>>);

impl LastEvent {
    fn hold(&self, event: JsonMap) {
        *self.0.borrow_mut() = Some(event);
    }

    /// Prints it, if it came, with what became of the trace.
    pub fn print(&self, deliveries: &Deliveries, printer: &Printer) {
        if let Some(mut event) = self.0.borrow_mut().take() {
            // The types in a list of deliveries can all be written as JSON.
            let deliveries = serde_json::to_value(deliveries.list()).unwrap_or_default();
            event.insert("deliveries".to_owned(), deliveries);
            printer.result(&Value::Object(event).to_string());
        }
    }
}

/// How events are shown.
#[derive(Debug)]
pub enum Renderer {
    /// One JSON object per event. The last one is held back here: more is known of it later.
    Json(LastEvent),
    /// The assistant's words, and notes on what happens around them.
    Text(Text),
}

impl Renderer {
    /// Shows an event.
    pub fn event(&mut self, event: &SessionEvent, printer: &Printer) {
        match self {
            // The types of an event can all be written as JSON.
            Self::Json(last) if matches!(event, SessionEvent::SessionEnd { .. }) => {
                if let Ok(Value::Object(event)) = serde_json::to_value(event) {
                    last.hold(event);
                }
            }
            Self::Json(_) => {
                if let Ok(line) = serde_json::to_string(event) {
                    printer.result(&line);
                }
            }
            Self::Text(text) => text.event(event, printer),
        }
    }

    /// Shows which sound the user lets be heard.
    pub fn sound(&self, name: &str, printer: &Printer) {
        if let Self::Text(_) = self {
            text::sound(name, printer);
        }
    }

    /// Shows what the user says.
    pub fn message(&self, message: &str, printer: &Printer) {
        if let Self::Text(_) = self {
            text::message(message, printer);
        }
    }
}

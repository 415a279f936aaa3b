//! What commands at the prompt do.

use realtime_run::protocol::Role;
use realtime_run::session::HistoryItem;

use super::Conversation;
use crate::cli::slash::{self, Slash};
use crate::cli::style::in_one_line;

/// Characters of a name, a message or a result that are shown.
const SHOWN: usize = 200;

impl Conversation {
    pub(super) async fn on_slash(&mut self, command: Slash) {
        match command {
            Slash::Agent(Some(name)) => {
                let handle = self.session.handle();
                self.switching = Some(Box::pin(async move { handle.update_agent(name).await }));
            }
            Slash::Agent(None) => self.show_agents(),
            Slash::Interrupt if self.turn_until.is_some() => {
                let _ = self.session.interrupt().await;
            }
            Slash::Interrupt => self.printer.told("There is no answer to interrupt."),
            Slash::History => self.show_history().await,
            Slash::Help => self.printer.told(slash::HELP),
            Slash::Quit => {}
            Slash::Unknown(name) => {
                let name = in_one_line(&name, 40);
                self.printer
                    .told(&format!("There is no /{name}. What there is:\n{}", slash::HELP));
            }
        }
    }

    fn show_agents(&self) {
        let (names, in_charge) = &self.agents;
        for name in names {
            let mark = if name == in_charge { " (in charge)" } else { "" };
            self.printer.told(&format!("{}{mark}", in_one_line(name, SHOWN)));
        }
    }

    async fn show_history(&self) {
        let items = self.session.history().await.unwrap_or_default();
        if items.is_empty() {
            self.printer.told("Nothing was said yet.");
        }
        items
            .iter()
            .filter_map(history_line)
            .for_each(|line| self.printer.told(&line));
    }
}

/// An entry of the conversation in one line; none for what has no words.
fn history_line(item: &HistoryItem) -> Option<String> {
    let (who, words) = match item {
        HistoryItem::Message { role, heard_ms, .. } => {
            let who = match role {
                Role::User => "you",
                Role::Assistant => "assistant",
                Role::System => "system",
                Role::Other => "other",
            };
            let heard = heard_ms.map(|ms| format!(" (cut off, heard for {ms} ms)"));
            (format!("{who}{}", heard.unwrap_or_default()), item.text())
        }
        HistoryItem::ToolCall {
            name,
            arguments,
            output,
            ..
        } => {
            let output = output.as_deref().unwrap_or("(no answer yet)");
            (format!("tool {name}"), format!("{arguments} → {output}"))
        }
        _ => return None,
    };
    Some(format!(
        "{}: {}",
        in_one_line(&who, SHOWN),
        in_one_line(&words, SHOWN)
    ))
}

#[cfg(test)]
mod tests {
    use realtime_run::protocol::{Id, ItemStatus, Part};

    use super::*;

    #[test]
    fn the_history_tells_how_much_was_heard_of_what_was_cut_off() {
        let said = |heard_ms| HistoryItem::Message {
            item_id: Id::from("a"),
            role: Role::Assistant,
            status: ItemStatus::Incomplete,
            content: vec![Part::OutputAudio {
                audio: None,
                transcript: Some("All of it".to_owned()),
            }],
            heard_ms,
        };
        assert_eq!(history_line(&said(None)).unwrap(), "assistant: All of it");
        let cut = "assistant (cut off, heard for 250 ms): All of it";
        assert_eq!(history_line(&said(Some(250))).unwrap(), cut);
    }
}

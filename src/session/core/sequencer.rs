//! When the next answer may be asked for (protocol.md section 6.1): one at a time in the default conversation,
//! each request once, requests that one answer can serve together as one.

use std::collections::VecDeque;

use serde_json::{Map, Value};

use crate::protocol::{ApiError, ClientEvent, Id};

/// A wish for an answer that has not been sent yet.
#[derive(Debug)]
enum Request {
    /// After messages or tools' outputs, so many in a row: one answer serves them together.
    Auto(usize),
    /// Written by the application; always sent as it is.
    Manual(Map<String, Value>),
}

/// What was asked of the server and is not yet settled.
#[derive(Debug, PartialEq, Eq)]
enum Control {
    Free,
    /// A create is on its way.
    CreateRequested {
        event_id: String,
        /// Automatic requests that this one create serves, itself included.
        covered: usize,
        /// Whether to cancel the answer as soon as it exists (section 5.10).
        cancel: bool,
    },
    /// A cancel is on its way.
    CancelRequested,
}

/// The answer that the server is giving in the default conversation.
#[derive(Debug, PartialEq, Eq)]
enum Ongoing {
    None,
    /// Under way, on a server that gives answers no ids.
    Unnamed,
    Named(Id),
}

#[derive(Debug)]
pub(super) struct Sequencer {
    pending: VecDeque<Request>,
    control: Control,
    ongoing: Ongoing,
    /// Whether requests wait because another agent is about to take charge.
    held: bool,
    /// The event ids of the creates for answers outside the default conversation that have not begun.
    out_of_band_requested: VecDeque<String>,
    /// Those that have begun.
    out_of_band: Vec<Id>,
}

impl Sequencer {
    pub(super) fn new() -> Self {
        Self {
            pending: VecDeque::new(),
            control: Control::Free,
            ongoing: Ongoing::None,
            held: false,
            out_of_band_requested: VecDeque::new(),
            out_of_band: Vec::new(),
        }
    }

    /// Wants an answer to what was just added to the conversation.
    pub(super) fn request(&mut self) {
        match self.pending.back_mut() {
            Some(Request::Auto(requests)) => *requests += 1,
            _ => self.pending.push_back(Request::Auto(1)),
        }
    }

    /// Takes a `response.create` of the application's own. One outside the default conversation is not
    /// sequenced (section 5.12): it comes back, to be sent at once with that id unless it has its own.
    pub(super) fn request_raw(
        &mut self,
        event: Map<String, Value>,
        event_id: &str,
    ) -> Option<Map<String, Value>> {
        let conversation = event
            .get("response")
            .and_then(|response| response.get("conversation"));
        if conversation.and_then(Value::as_str) == Some("none") {
            self.out_of_band_requested.push_back(own_id(&event, event_id));
            return Some(event);
        }
        self.pending.push_back(Request::Manual(event));
        None
    }

    /// Keeps requests back, or lets them go again.
    pub(super) fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// Whether a create can be sent now.
    pub(super) fn is_ready(&self) -> bool {
        !self.held
            && !self.pending.is_empty()
            && self.ongoing == Ongoing::None
            && self.control == Control::Free
    }

    /// The create to send now, if the slot is free. `event_id` is the id it will bear unless it has its own.
    pub(super) fn next(&mut self, event_id: &str) -> Option<ClientEvent> {
        if !self.is_ready() {
            return None;
        }
        let (event, event_id, covered) = match self.pending.pop_front()? {
            Request::Auto(requests) => (
                ClientEvent::ResponseCreate { response: None },
                event_id.to_owned(),
                requests,
            ),
            Request::Manual(event) => {
                let event_id = own_id(&event, event_id);
                (ClientEvent::Raw(event), event_id, 1)
            }
        };
        self.control = Control::CreateRequested {
            event_id,
            covered,
            cancel: false,
        };
        Some(event)
    }

    /// An answer begins. Returns whether it is one of the default conversation, and the cancel that an
    /// interruption before its begin left to be sent.
    pub(super) fn created(&mut self, id: Option<&Id>, outside: bool) -> (bool, Option<ClientEvent>) {
        if outside && self.out_of_band_requested.pop_front().is_some() {
            self.out_of_band.extend(id.cloned());
            return (false, None);
        }
        self.ongoing = id.map_or(Ongoing::Unnamed, |id| Ongoing::Named(id.clone()));
        let cancel = matches!(self.control, Control::CreateRequested { cancel: true, .. });
        self.control = Control::Free;
        (true, if cancel { self.cancel() } else { None })
    }

    /// An answer has ended; one that failed may never have begun.
    pub(super) fn done(&mut self, id: Option<&Id>, outside: bool) {
        if let Some(place) = self.out_of_band.iter().position(|own| Some(own) == id) {
            self.out_of_band.swap_remove(place);
            return;
        }
        if outside && self.out_of_band_requested.pop_front().is_some() {
            return;
        }
        if matches!((&self.ongoing, id), (Ongoing::Named(own), Some(id)) if own != id) {
            return;
        }
        self.ongoing = Ongoing::None;
        self.control = Control::Free;
    }

    /// The server refused something. Returns whether it was the create on its way, which is then given up.
    pub(super) fn refused(&mut self, error: &ApiError) -> bool {
        if let Some(id) = &error.event_id
            && let Some(place) = self.out_of_band_requested.iter().position(|own| own == id)
        {
            self.out_of_band_requested.remove(place);
            return true;
        }
        let Control::CreateRequested {
            event_id, covered, ..
        } = &self.control
        else {
            if error.code() == "response_cancel_not_active" && self.control == Control::CancelRequested {
                self.control = Control::Free;
            }
            return false;
        };
        let ours = match &error.event_id {
            Some(id) => id == event_id,
            None => {
                matches!(
                    error.code(),
                    "bad_response_create" | "conversation_already_has_active_response"
                ) || error.message.contains("response.create")
            }
        };
        if ours {
            if *covered > 1 {
                // Once more for all the others together: a server that refuses everything is not asked for each.
                self.pending.push_front(Request::Auto(1));
            }
            self.control = Control::Free;
        }
        ours
    }

    /// The event that stops the running answer, unless there is none or it is being stopped already. Before the
    /// answer exists there is nothing to stop on the server, so that is done when it begins.
    pub(super) fn cancel(&mut self) -> Option<ClientEvent> {
        if let Control::CreateRequested { cancel, .. } = &mut self.control {
            *cancel = true;
            return None;
        }
        let response_id = match &self.ongoing {
            Ongoing::None => return None,
            Ongoing::Unnamed => None,
            Ongoing::Named(id) => Some(id.to_string()),
        };
        if self.control == Control::CancelRequested {
            return None;
        }
        self.control = Control::CancelRequested;
        Some(ClientEvent::ResponseCancel { response_id })
    }

    /// The event that stops this answer and no other, unless it has ended or is being stopped already.
    pub(super) fn cancel_only(&mut self, id: Option<&Id>) -> Option<ClientEvent> {
        match id {
            Some(id) if self.out_of_band.contains(id) => Some(ClientEvent::ResponseCancel {
                response_id: Some(id.to_string()),
            }),
            _ if self.is_ongoing(id) => self.cancel(),
            _ => None,
        }
    }

    /// Whether the running answer of the default conversation is this one; a server without ids has only one.
    pub(super) fn is_ongoing(&self, id: Option<&Id>) -> bool {
        match (&self.ongoing, id) {
            (Ongoing::None, _) => false,
            (Ongoing::Named(own), Some(id)) => own == id,
            _ => true,
        }
    }

    /// Whether an answer runs or is waited for.
    pub(super) fn is_busy(&self) -> bool {
        !self.pending.is_empty()
            || self.ongoing != Ongoing::None
            || self.control != Control::Free
            || !self.out_of_band_requested.is_empty()
            || !self.out_of_band.is_empty()
    }
}

/// The id that a raw event will bear.
pub(super) fn own_id(event: &Map<String, Value>, otherwise: &str) -> String {
    event
        .get("event_id")
        .and_then(Value::as_str)
        .unwrap_or(otherwise)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(object) = value else {
            panic!("not an object")
        };
        object
    }

    fn running(id: &str) -> Sequencer {
        let mut sequencer = Sequencer::new();
        sequencer.request();
        assert!(sequencer.next("create_1").is_some());
        sequencer.created(Some(&Id::from(id)), false);
        sequencer
    }

    fn error(code: &str, event_id: Option<&str>) -> ApiError {
        ApiError {
            code: Some(code.into()),
            event_id: event_id.map(str::to_owned),
            ..ApiError::default()
        }
    }

    #[test]
    fn one_create_at_a_time() {
        let mut sequencer = running("r1");
        sequencer.request();
        assert_eq!(sequencer.next("create_2"), None);
        sequencer.done(Some(&Id::from("r1")), false);
        assert!(sequencer.next("create_2").is_some());
        assert_eq!(sequencer.next("create_3"), None);
    }

    #[test]
    fn automatic_requests_are_served_together_up_to_a_manual_one() {
        let mut sequencer = Sequencer::new();
        sequencer.request();
        sequencer.request();
        let manual = object(json!({"type": "response.create", "event_id": "mine"}));
        assert_eq!(sequencer.request_raw(manual.clone(), "create_0"), None);
        sequencer.request();
        let order: Vec<_> = (1..=3)
            .map(|turn| {
                let event = sequencer.next(&format!("create_{turn}")).unwrap();
                sequencer.created(Some(&Id::from("r")), false);
                sequencer.done(Some(&Id::from("r")), false);
                event
            })
            .collect();
        let auto = ClientEvent::ResponseCreate { response: None };
        assert_eq!(order, [auto.clone(), ClientEvent::Raw(manual), auto]);
        assert_eq!(sequencer.next("create_4"), None);
        assert!(!sequencer.is_busy());
    }

    #[test]
    fn the_end_of_another_response_does_not_free_the_slot() {
        let mut sequencer = running("r1");
        sequencer.done(Some(&Id::from("r0")), false);
        assert!(sequencer.is_ongoing(Some(&Id::from("r1"))));
        sequencer.done(None, false);
        assert!(!sequencer.is_busy());
    }

    #[test]
    fn an_error_frees_the_slot_only_if_it_is_about_the_create() {
        for (code, event_id, frees) in [
            ("invalid_value", Some("create_1"), true),
            ("invalid_value", Some("item_1"), false),
            ("invalid_value", None, false),
            ("bad_response_create", None, true),
            ("conversation_already_has_active_response", None, true),
        ] {
            let mut sequencer = Sequencer::new();
            sequencer.request();
            sequencer.next("create_1").unwrap();
            assert_eq!(
                sequencer.refused(&error(code, event_id)),
                frees,
                "{code} {event_id:?}"
            );
            assert_eq!(sequencer.is_busy(), !frees);
        }
    }

    #[test]
    fn a_refused_create_gives_up_its_own_request_but_not_the_ones_it_covered() {
        let mut sequencer = Sequencer::new();
        sequencer.request();
        sequencer.request();
        sequencer.next("create_1").unwrap();
        assert!(sequencer.refused(&error("server_error", Some("create_1"))));
        assert!(sequencer.next("create_2").is_some());
        assert!(sequencer.refused(&error("server_error", Some("create_2"))));
        assert_eq!(sequencer.next("create_3"), None);
        assert!(!sequencer.is_busy());
    }

    #[test]
    fn a_response_the_server_began_itself_takes_the_slot() {
        let mut sequencer = Sequencer::new();
        sequencer.request();
        sequencer.next("create_1").unwrap();
        sequencer.created(Some(&Id::from("by_vad")), false);
        assert!(!sequencer.refused(&error(
            "conversation_already_has_active_response",
            Some("create_1")
        )));
        assert!(sequencer.is_ongoing(Some(&Id::from("by_vad"))));
    }

    #[test]
    fn a_second_cancel_is_not_sent() {
        let mut sequencer = running("r1");
        let cancel = ClientEvent::ResponseCancel {
            response_id: Some("r1".into()),
        };
        assert_eq!(sequencer.cancel(), Some(cancel));
        assert_eq!(sequencer.cancel(), None);
        sequencer.done(Some(&Id::from("r1")), false);
        assert_eq!(sequencer.cancel(), None);
    }

    #[test]
    fn a_cancel_before_the_response_begins_is_sent_when_it_does() {
        let mut sequencer = Sequencer::new();
        sequencer.request();
        sequencer.next("create_1").unwrap();
        assert_eq!(sequencer.cancel(), None);
        let (_, cancel) = sequencer.created(Some(&Id::from("r1")), false);
        assert_eq!(
            cancel,
            Some(ClientEvent::ResponseCancel {
                response_id: Some("r1".into())
            })
        );
    }

    #[test]
    fn a_response_out_of_band_leaves_the_slot_alone() {
        let mut sequencer = Sequencer::new();
        let event = object(json!({"type": "response.create", "response": {"conversation": "none"}}));
        assert_eq!(sequencer.request_raw(event.clone(), "raw_1"), Some(event));
        let (in_conversation, _) = sequencer.created(Some(&Id::from("side")), true);
        assert!(!in_conversation && sequencer.is_busy());
        sequencer.request();
        assert!(sequencer.next("create_1").is_some());
        sequencer.created(Some(&Id::from("r1")), false);
        sequencer.done(Some(&Id::from("side")), true);
        assert!(sequencer.is_ongoing(Some(&Id::from("r1"))));
    }

    #[test]
    fn a_refused_response_out_of_band_is_not_waited_for() {
        let mut sequencer = Sequencer::new();
        let event = object(json!({"type": "response.create", "response": {"conversation": "none"}}));
        sequencer.request_raw(event, "raw_1");
        assert!(sequencer.refused(&error("invalid_value", Some("raw_1"))));
        assert!(!sequencer.is_busy());
    }

    #[test]
    fn held_requests_wait() {
        let mut sequencer = Sequencer::new();
        sequencer.hold(true);
        sequencer.request();
        assert_eq!(sequencer.next("create_1"), None);
        sequencer.hold(false);
        assert!(sequencer.next("create_1").is_some());
    }
}

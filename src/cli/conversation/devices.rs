//! Conversations through a microphone and a speaker.

use realtime_run::session::SessionEvent;
use serde_json::json;

use super::{Conversation, run_timeout};
use crate::cli::exit::ExitStatus;
use crate::cli::signals::Signals;
use crate::cli::voice::Devices;

impl Conversation {
    /// Whether the user is heard whenever they speak.
    pub(super) fn is_live(&self) -> bool {
        self.devices.as_ref().is_some_and(Devices::hear)
    }

    /// Whether the assistant is being heard.
    pub(super) fn is_sounding(&self) -> bool {
        self.devices.as_ref().is_some_and(Devices::are_sounding)
    }

    pub(super) async fn on_device_event(&mut self, event: &SessionEvent) {
        let Some(devices) = &self.devices else { return };
        devices.note(event).await;
        match event {
            SessionEvent::SpeechStopped { .. } if devices.leave_answers_to_us() => {
                // If the session is over, an event tells it.
                let _ = self.session.send_raw(json!({"type": "response.create"})).await;
            }
            SessionEvent::AgentStart { .. } if self.is_live() && self.turn_until.is_none() => {
                self.has_spoken = true;
                self.told = None;
                self.await_answer();
            }
            _ => {}
        }
    }

    /// A device does not work any more. Whoever types goes on in writing.
    pub(super) fn on_device_lost(&mut self, error: &anyhow::Error) -> Option<ExitStatus> {
        self.devices = None;
        self.printer.error(&error.to_string(), None);
        (!self.turns.are_typed()).then_some(ExitStatus::Failure)
    }

    /// The key of push-to-talk was pressed.
    pub(super) async fn on_key(&mut self) {
        let Some(devices) = &mut self.devices else { return };
        if let Some(is_heard) = devices.press().await {
            let state = match is_heard {
                true => "(you are heard until you press Enter)",
                false => "(sent)",
            };
            self.printer.told(&self.printer.paint().dim(state));
        }
    }

    /// Lets the last words be heard if all went well, and tells what went wrong with the sound.
    pub(super) async fn finish_sound(&mut self, status: ExitStatus, signals: &mut Signals) {
        let Some(devices) = self.devices.take() else {
            return;
        };
        if status == ExitStatus::Success {
            tokio::select! {
                biased;
                _ = signals.next() => {}
                _ = run_timeout(self.limits.run) => {}
                () = devices.silence() => {}
            }
        }
        for trouble in devices.troubles() {
            self.printer.warning(&trouble, None);
        }
    }
}

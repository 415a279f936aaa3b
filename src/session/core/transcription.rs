//! A span for each piece of the user's speech that the server turns into text.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::{Value, json};

use super::Core;
use crate::agent::ResolvedAgent;
use crate::protocol::{ApiError, AudioFormat, Id, TranscriptionUsage};
use crate::trace::{AudioContent, Span, SpanData, SpanError, keys};

/// Open spans at the most; a server that never ends its transcriptions has the oldest ended for it.
const MAX_OPEN: usize = 64;
/// Items that are still known to be settled: some servers tell of the end again, or of the beginning after it.
const MAX_SETTLED: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Transcriptions {
    open: VecDeque<(Id, Span)>,
    settled: VecDeque<Id>,
}

impl Transcriptions {
    fn is_known(&self, item_id: &Id) -> bool {
        self.settled.contains(item_id) || self.open.iter().any(|(own, _)| own == item_id)
    }

    fn take(&mut self, item_id: &Id) -> Option<Span> {
        let place = self.open.iter().position(|(own, _)| own == item_id)?;
        if !item_id.is_empty() {
            self.settled.truncate(MAX_SETTLED - 1);
            self.settled.push_front(item_id.clone());
        }
        self.open.remove(place).map(|(_, span)| span)
    }
}

impl Core {
    /// The user's sound became an item: that is when the server begins to transcribe it, if it is to (protocol.md
    /// section 5.3).
    pub(super) fn on_audio_committed(&mut self, item_id: &Id) {
        if self.is_recording() && !self.transcription_settings().is_null() {
            self.begin_transcription(item_id);
        }
    }

    /// Starts the span, unless there is or was one, under the agent in charge (span rule P3).
    pub(super) fn begin_transcription(&mut self, item_id: &Id) {
        if !self.is_recording() || self.transcriptions.is_known(item_id) {
            return;
        }
        if self.transcriptions.open.len() == MAX_OPEN
            && let Some((_, oldest)) = self.transcriptions.open.pop_front()
        {
            self.give_up_transcription(oldest, "The server never ended the transcription");
        }
        let settings = self.transcription_settings();
        let language = settings["language"].as_str();
        let data = SpanData::Transcription {
            input: AudioContent::omitted(self.input_format().name()),
            output: None,
            model: settings["model"].as_str().map(str::to_owned),
            model_config: language.map(|language| json!({"language": language})),
        };
        let span = self.charge.context().span_at(data, self.now);
        self.transcriptions.open.push_back((item_id.clone(), span));
    }

    pub(super) fn end_transcription(
        &mut self,
        item_id: &Id,
        words: &str,
        usage: Option<&TranscriptionUsage>,
    ) {
        self.begin_transcription(item_id);
        let Some(mut span) = self.transcriptions.take(item_id) else {
            return;
        };
        span.update(|data| {
            if let SpanData::Transcription { output, .. } = data {
                *output = Some(words.to_owned());
            }
        });
        if let Some(usage) = usage.and_then(|usage| serde_json::to_value(usage).ok()) {
            // The kind of span has no place of its own for it.
            span.set_metadata(keys::USAGE, usage);
        }
        span.finish_at(self.now);
    }

    pub(super) fn fail_transcription(&mut self, item_id: &Id, error: &ApiError) {
        self.begin_transcription(item_id);
        if let Some(mut span) = self.transcriptions.take(item_id) {
            let data = json!({"type": error.kind, "code": error.code});
            span.set_error(SpanError::new(error.message.clone()).with_data(data));
            span.finish_at(self.now);
        }
    }

    /// The item is gone, and nothing more will be heard of it.
    pub(super) fn drop_transcription(&mut self, item_id: &Id) {
        if let Some(span) = self.transcriptions.take(item_id) {
            self.give_up_transcription(span, "The item was deleted before its transcription was done");
        }
    }

    /// The session is over.
    pub(super) fn give_up_transcriptions(&mut self) {
        for (_, span) in std::mem::take(&mut self.transcriptions.open) {
            self.give_up_transcription(span, "The session ended before the transcription was done");
        }
    }

    fn give_up_transcription(&self, mut span: Span, reason: &str) {
        span.set_error(SpanError::new(reason));
        span.finish_at(self.now);
    }

    /// How the user's sound is encoded.
    pub(super) fn input_format(&self) -> AudioFormat {
        let own = |agent: &Arc<ResolvedAgent>| agent.settings.config.audio.input.format;
        self.charge.agent().and_then(own).unwrap_or_default()
    }

    /// How the server transcribes: as it says, else as the agent's settings have it; null for not at all.
    fn transcription_settings(&self) -> Value {
        let told = self.info.transcription.clone();
        told.or_else(|| {
            let input = &self.charge.agent()?.settings.config.audio.input;
            serde_json::to_value(input.transcription.as_ref()?).ok()
        })
        .unwrap_or_default()
    }
}

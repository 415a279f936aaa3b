//! What a guardrail's verdict comes to, wherever it looked.

use serde_json::json;

use crate::tool::{GuardrailError, Verdict};
use crate::trace::{Span, SpanData, SpanError};

/// The objection of a guardrail.
#[derive(Debug)]
pub(super) struct Trip {
    pub(super) guardrail: String,
    /// Its words.
    pub(super) message: Option<String>,
    /// Whether the session must end.
    pub(super) stops: bool,
}

impl Trip {
    /// The objection in a verdict, if there is one.
    fn of(guardrail: &str, verdict: Verdict) -> Option<Self> {
        let (message, stops) = match verdict {
            Verdict::Pass => return None,
            Verdict::Reject(message) => (message, false),
            Verdict::Stop(message) => (message, true),
        };
        Some(Self {
            guardrail: guardrail.to_owned(),
            message,
            stops,
        })
    }
}

/// Finds the objection in what came of a check, and tells in the guardrail's span what did.
///
/// # Errors
/// When the guardrail could not judge.
pub(super) fn judge(
    guardrail: &str,
    span: &mut Span,
    result: Result<Verdict, GuardrailError>,
) -> Result<Option<Trip>, GuardrailError> {
    let judged = result.map(|verdict| Trip::of(guardrail, verdict));
    match &judged {
        Ok(None) => {}
        Ok(Some(_)) => span.update(|data| {
            if let SpanData::Guardrail { triggered, .. } = data {
                *triggered = true;
            }
        }),
        Err(error) => {
            let data = json!({"guardrail": guardrail, "error": error.message()});
            span.set_error(SpanError::new("Error running guardrail").with_data(data));
        }
    }
    judged
}

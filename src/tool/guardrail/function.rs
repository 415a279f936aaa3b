use std::fmt;

use super::{Guardrail, GuardrailCheck, GuardrailError, GuardrailFuture, Verdict};

/// A guardrail written in Rust.
///
/// ```
/// use realtime_run::tool::{FunctionGuardrail, GuardrailCheck, Subject, Verdict};
///
/// let no_shouting = FunctionGuardrail::new("no_shouting", |check: GuardrailCheck| async move {
///     Ok(match check.subject {
///         Subject::Output { text } if text.contains("!!!") => Verdict::Reject(Some("Don't shout.".to_owned())),
///         _ => Verdict::Pass,
///     })
/// });
/// ```
pub struct FunctionGuardrail {
    name: String,
    check: Box<dyn Fn(GuardrailCheck) -> GuardrailFuture + Send + Sync>,
}

impl FunctionGuardrail {
    /// A guardrail that asks `function`.
    pub fn new<F, Fut>(name: impl Into<String>, function: F) -> Self
    where
        F: Fn(GuardrailCheck) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Verdict, GuardrailError>> + Send + 'static,
    {
        Self {
            name: name.into(),
            check: Box::new(move |check| Box::pin(function(check))),
        }
    }
}

impl Guardrail for FunctionGuardrail {
    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self, check: GuardrailCheck) -> GuardrailFuture {
        (self.check)(check)
    }
}

impl fmt::Debug for FunctionGuardrail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionGuardrail")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Guardrail, GuardrailCheck, GuardrailFuture, Verdict};

/// What follows when a guardrail objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnTrip {
    /// What it objects to is not let through; see [`Verdict::Reject`].
    #[default]
    Reject,
    /// The session ends; see [`Verdict::Stop`].
    Stop,
}

/// A guardrail of any kind with what holds for all kinds around it: what follows when it objects, the words for it, how
/// long it may take, and when it looks at calls.
#[derive(Clone)]
pub struct ManagedGuardrail {
    inner: Arc<dyn Guardrail>,
    on_trip: OnTrip,
    message: Option<String>,
    timeout: Duration,
    before_approval: bool,
}

impl ManagedGuardrail {
    /// Puts nothing new around `guardrail` yet.
    pub fn new(guardrail: Arc<dyn Guardrail>) -> Self {
        Self {
            on_trip: OnTrip::default(),
            message: None,
            timeout: guardrail.timeout(),
            before_approval: guardrail.looks_before_approval(),
            inner: guardrail,
        }
    }

    /// Sets what follows when it objects.
    #[must_use]
    pub fn on_trip(mut self, on_trip: OnTrip) -> Self {
        self.on_trip = on_trip;
        self
    }

    /// Sets the words for it where it has none of its own.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// Sets how long one check may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Has it look at calls before a person is asked to approve them.
    #[must_use]
    pub fn before_approval(mut self) -> Self {
        self.before_approval = true;
        self
    }
}

impl Guardrail for ManagedGuardrail {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn check(&self, check: GuardrailCheck) -> GuardrailFuture {
        let (on_trip, message) = (self.on_trip, self.message.clone());
        let looking = self.inner.check(check);
        Box::pin(async move {
            Ok(match (looking.await?, on_trip) {
                (Verdict::Pass, _) => Verdict::Pass,
                (Verdict::Reject(own), OnTrip::Reject) => Verdict::Reject(own.or(message)),
                (Verdict::Reject(own) | Verdict::Stop(own), _) => Verdict::Stop(own.or(message)),
            })
        })
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn looks_before_approval(&self) -> bool {
        self.before_approval
    }
}

impl fmt::Debug for ManagedGuardrail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManagedGuardrail")
            .field("name", &self.name())
            .field("on_trip", &self.on_trip)
            .field("message", &self.message)
            .field("timeout", &self.timeout)
            .field("before_approval", &self.before_approval)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool::{FunctionGuardrail, Subject};

    async fn verdict(managed: impl Fn(ManagedGuardrail) -> ManagedGuardrail, own: Verdict) -> Verdict {
        let inner = FunctionGuardrail::new("g", move |_| std::future::ready(Ok(own.clone())));
        let subject = Subject::Output { text: String::new() };
        let check = GuardrailCheck::new(subject, "A");
        managed(ManagedGuardrail::new(Arc::new(inner)))
            .check(check)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn its_own_words_come_first_and_what_passes_has_none() {
        let words = |words: &str| Some(words.to_owned());
        let said = |managed: ManagedGuardrail| managed.message("of the file");
        assert_eq!(verdict(said, Verdict::Pass).await, Verdict::Pass);
        assert_eq!(
            verdict(said, Verdict::Reject(None)).await,
            Verdict::Reject(words("of the file"))
        );
        assert_eq!(
            verdict(said, Verdict::Reject(words("own"))).await,
            Verdict::Reject(words("own"))
        );
    }

    #[tokio::test]
    async fn whoever_wants_the_session_stopped_has_it_stopped() {
        let stop = |managed: ManagedGuardrail| managed.on_trip(OnTrip::Stop);
        assert_eq!(verdict(stop, Verdict::Pass).await, Verdict::Pass);
        assert_eq!(verdict(stop, Verdict::Reject(None)).await, Verdict::Stop(None));
        assert_eq!(
            verdict(|managed| managed, Verdict::Stop(None)).await,
            Verdict::Stop(None)
        );
    }
}

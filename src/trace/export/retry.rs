//! What is tried again, when, and how often.

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use super::ExportDeadline;

/// How often a request is tried, and how long the exporter waits between two tries.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    /// Tries in all.
    pub tries: u32,
    /// The wait before the second try; it doubles with each further one, and up to a tenth is added at random so
    /// that many clients do not come back at the same moment.
    pub first_delay: Duration,
    /// The longest wait, whatever the server asks for.
    pub max_delay: Duration,
}

impl Default for RetryPolicy {
    /// Three tries, 1 s doubling, at most 30 s.
    fn default() -> Self {
        Self {
            tries: 3,
            first_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(30),
        }
    }
}

impl RetryPolicy {
    /// Tries until it works, it is no use, all tries are used up or shutdown leaves no time; then says why it did not.
    pub(super) async fn run<T, F>(
        &self,
        deadline: &mut ExportDeadline,
        attempt: impl Fn() -> F,
    ) -> Result<T, Undelivered>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut tried = 0;
        loop {
            tried += 1;
            let Failure {
                reason,
                is_refused,
                retry,
            } = match attempt().await {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            let Some(asked) = retry else {
                return Err(Undelivered { reason, is_refused });
            };
            if tried >= self.tries {
                return Err(format!("{reason}, after {tried} tries").into());
            }
            tracing::debug!(
                tried,
                "traces were not delivered and will be sent again: {reason}"
            );
            if !deadline.sleep(self.delay(tried, asked, fastrand::f64())).await {
                return Err(format!("{reason}, and shutdown left no time for another try").into());
            }
        }
    }

    /// The wait after try number `tried` (from 1), if the server `asked` for one or not. `jitter` is from 0 to 1.
    fn delay(&self, tried: u32, asked: Option<Duration>, jitter: f64) -> Duration {
        let doubled = || {
            let factor = 2_u32.saturating_pow(tried.saturating_sub(1));
            self.first_delay
                .saturating_mul(factor)
                .min(self.max_delay)
                .mul_f64(1.0 + 0.1 * jitter)
        };
        asked.unwrap_or_else(doubled).min(self.max_delay)
    }
}

/// Why something was not delivered.
pub(super) struct Undelivered {
    pub(super) reason: String,
    /// The endpoint refuses what is in it, at any time and from anybody.
    pub(super) is_refused: bool,
}

impl From<String> for Undelivered {
    fn from(reason: String) -> Self {
        Self {
            reason,
            is_refused: false,
        }
    }
}

/// Why a try failed.
pub(super) struct Failure {
    pub(super) reason: String,
    /// The endpoint refuses what is in the request.
    pub(super) is_refused: bool,
    /// Whether another try is worth it, and after how long if the server said so.
    pub(super) retry: Option<Option<Duration>>,
}

impl Failure {
    /// One that another try would not mend.
    pub(super) fn lasting(reason: String) -> Self {
        Self {
            reason,
            is_refused: false,
            retry: None,
        }
    }
}

/// What an answer means for the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Delivered,
    /// Worth another try, after this long if the server said so.
    Retry(Option<Duration>),
    Final,
}

/// Judges an answer. `passes` tells which statuses pass with time, where the server itself does not say. `now` is for a
/// `Retry-After` that names a date.
pub(super) fn judge(
    status: StatusCode,
    headers: &HeaderMap,
    passes: fn(StatusCode) -> bool,
    now: SystemTime,
) -> Verdict {
    if status.is_success() {
        return Verdict::Delivered;
    }
    let retry = match text(headers, "x-should-retry") {
        // A redirect leads elsewhere each time; the traces stay where they were told to go.
        _ if status.is_redirection() => false,
        Some("true") => true,
        Some("false") => false,
        _ => passes(status),
    };
    match retry {
        true => Verdict::Retry(retry_after(headers, now)),
        false => Verdict::Final,
    }
}

/// Whether a status refuses what is in a request, and not who sends it, where or when.
pub(super) fn is_refusal(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 413 | 422)
}

/// The statuses that pass at the OpenAI endpoint, as its SDKs see it.
pub(super) fn passes_at_openai(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 408 | 409 | 429)
}

/// The statuses that pass by the OTLP specification ("Failures", OTLP/HTTP response).
pub(super) fn passes_at_otlp(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

/// The wait a server asks for: in milliseconds, in seconds, or until a date. What is no such thing, or over already,
/// counts as not asked.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let number = |name, unit: f64| {
        let number: f64 = text(headers, name)?.parse().ok()?;
        Duration::try_from_secs_f64(number * unit).ok()
    };
    let date = || {
        let date = jiff::fmt::rfc2822::parse(text(headers, "retry-after")?).ok()?;
        SystemTime::from(date.timestamp()).duration_since(now).ok()
    };
    let wait = number("retry-after-ms", 0.001)
        .or_else(|| number("retry-after", 1.0))
        .or_else(date)?;
    (!wait.is_zero()).then_some(wait)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderName, HeaderValue};

    fn judged(status: u16, headers: &[(&'static str, &'static str)]) -> Verdict {
        let header = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777); // Sun, 06 Nov 1994 08:49:37 GMT
        judge(
            StatusCode::from_u16(status).unwrap(),
            &headers.iter().map(header).collect(),
            passes_at_openai,
            now,
        )
    }

    fn retry_in(seconds: f64) -> Verdict {
        Verdict::Retry(Some(Duration::from_secs_f64(seconds)))
    }

    #[test]
    fn which_statuses_are_tried_again() {
        for status in [200, 201, 202, 204] {
            assert_eq!(judged(status, &[]), Verdict::Delivered, "{status}");
        }
        for status in [408, 409, 429, 500, 502, 503, 504, 529] {
            assert_eq!(judged(status, &[]), Verdict::Retry(None), "{status}");
            assert_eq!(
                judged(status, &[("x-should-retry", "false")]),
                Verdict::Final,
                "{status}"
            );
        }
        for status in [301, 302, 307, 308, 400, 401, 403, 404, 413, 422] {
            assert_eq!(judged(status, &[]), Verdict::Final, "{status}");
        }
        assert_eq!(judged(400, &[("x-should-retry", "true")]), Verdict::Retry(None));
        assert_eq!(judged(307, &[("x-should-retry", "true")]), Verdict::Final);
    }

    #[test]
    fn the_server_may_say_when() {
        for status in [429, 500, 503] {
            assert_eq!(judged(status, &[("retry-after", "3")]), retry_in(3.0));
        }
        assert_eq!(judged(429, &[("retry-after-ms", "2500")]), retry_in(2.5));
        assert_eq!(
            judged(429, &[("retry-after", "9"), ("retry-after-ms", "2500")]),
            retry_in(2.5)
        );
        assert_eq!(
            judged(503, &[("retry-after", "Sun, 06 Nov 1994 08:49:44 GMT")]),
            retry_in(7.0)
        );
        for nonsense in [
            "",
            "soon",
            "-1",
            "0",
            "inf",
            "NaN",
            "Sun, 06 Nov 1994 08:49:30 GMT",
        ] {
            assert_eq!(
                judged(503, &[("retry-after", nonsense)]),
                Verdict::Retry(None),
                "{nonsense}"
            );
        }
    }

    #[test]
    fn the_wait_doubles_with_jitter_up_to_a_limit() {
        let policy = RetryPolicy::default();
        let delay = |tried, asked: Option<u64>, jitter| {
            policy
                .delay(tried, asked.map(Duration::from_secs), jitter)
                .as_secs_f64()
        };
        assert_eq!(delay(1, None, 0.0), 1.0);
        assert_eq!(delay(2, None, 0.0), 2.0);
        assert_eq!(delay(1, None, 1.0), 1.1);
        assert_eq!(delay(2, None, 1.0), 2.2);
        assert_eq!(delay(10, None, 1.0), 30.0);
        assert_eq!(delay(u32::MAX, None, 1.0), 30.0);
        assert_eq!(delay(1, Some(3), 1.0), 3.0);
        assert_eq!(delay(1, Some(40), 0.5), 30.0);
    }
}

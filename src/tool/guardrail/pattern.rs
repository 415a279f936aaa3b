use regex::Regex;

use super::{Guardrail, GuardrailCheck, GuardrailFuture, Subject, Verdict};
use crate::file::{self, InvalidPattern};

/// A guardrail that objects to whatever a regular expression is found in: in what an agent says, in the arguments of
/// a call as compact JSON, in a tool's answer.
///
/// The time that it takes grows with the text only, whatever the expression.
#[derive(Debug, Clone)]
pub struct PatternGuardrail {
    name: String,
    pattern: Regex,
}

impl PatternGuardrail {
    /// A guardrail that looks for `pattern`, in the syntax of the crate `regex`: Perl's, without look-around and
    /// back-references.
    ///
    /// # Errors
    /// When that is no regular expression, or one of unreasonable size.
    pub fn new(name: impl Into<String>, pattern: &str) -> Result<Self, InvalidPattern> {
        let name = name.into();
        let pattern = file::pattern(pattern)?;
        Ok(Self { name, pattern })
    }
}

impl Guardrail for PatternGuardrail {
    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self, check: GuardrailCheck) -> GuardrailFuture {
        let is_found = match check.subject {
            Subject::Output { text } => self.pattern.is_match(&text),
            Subject::ToolInput { arguments, .. } => self.pattern.is_match(&arguments.to_string()),
            Subject::ToolOutput { output, .. } => self.pattern.is_match(&output),
        };
        Box::pin(std::future::ready(Ok(match is_found {
            true => Verdict::Reject(None),
            false => Verdict::Pass,
        })))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn it_looks_at_words_arguments_and_answers() {
        let card = PatternGuardrail::new("card", r"\b\d{4}([ -]?\d{4}){3}\b").unwrap();
        let (tool, number) = (|| "pay".to_owned(), "4111 1111-1111 1111");
        let subjects = |number: &str| {
            let arguments = json!({"card": number});
            [
                Subject::Output {
                    text: format!("It is {number}."),
                },
                Subject::ToolInput {
                    tool: tool(),
                    arguments,
                },
                Subject::ToolOutput {
                    tool: tool(),
                    arguments: json!({}),
                    output: number.to_owned(),
                },
            ]
        };
        for (number, verdict) in [(number, Verdict::Reject(None)), ("4111 1111", Verdict::Pass)] {
            for subject in subjects(number) {
                let found = card.check(GuardrailCheck::new(subject.clone(), "A")).await;
                assert_eq!(found, Ok(verdict.clone()), "{subject:?}");
            }
        }
    }

    #[test]
    fn a_mistake_is_told_with_its_place() {
        for (pattern, message, wrong) in [
            ("a(b", "unclosed group", "("),
            (
                "é[z-a]",
                "invalid character class range, the start must be <= the end",
                "z-a",
            ),
            (
                r"(?<=a)b",
                "look-around, including look-ahead and look-behind, is not supported",
                "(?<=",
            ),
            (r"\p{Nope}", "Unicode property not found", r"\p{Nope}"),
        ] {
            let error = PatternGuardrail::new("g", pattern).unwrap_err();
            assert_eq!(error.to_string(), message);
            assert_eq!(&pattern[error.range.unwrap()], wrong);
        }
        let huge = PatternGuardrail::new("g", r"\w{9999}{99}").unwrap_err();
        assert_eq!(huge.range, None, "{huge}");
    }
}

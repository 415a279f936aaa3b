//! The report for CI systems, in JUnit's XML: a test suite for each script, a test case for each run of it.
//!
//! Attempts of a run that passed in the end are `flakyFailure` or `flakyError`; of a run that did not, the first attempt
//! is its `failure` or `error`, and the others are `rerunFailure` or `rerunError`. A failure is something expected that
//! did not come; all else is an error. A run that did not pass where enough others did is no failure, as the program's
//! exit status has it: it is skipped, with what went wrong. So is a run that it did not come to.

use quick_junit::{
    NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestRerun, TestSuite, XmlString,
};
use realtime_run::script::Verdict;

use super::plain;
use crate::cli::keys::Keys;
use crate::cli::smoke::results::{Attempt, Results, Run, ScriptResult, Standing};

/// The report as XML.
pub fn report(results: &Results, keys: &Keys) -> Result<String, SerializeError> {
    let writer = Writer { keys };
    let mut report = Report::new(env!("CARGO_PKG_NAME"));
    report.set_time(results.duration);
    report.add_test_suites(results.scripts.iter().map(|script| writer.suite(script)));
    report.to_string()
}

struct Writer<'a> {
    keys: &'a Keys,
}

impl Writer<'_> {
    /// A text without keys, and without characters that XML can't hold.
    fn text(&self, text: &str) -> XmlString {
        let cannot_stand = |c| matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
        XmlString::new(self.keys.clean(text).replace(cannot_stand, "\u{fffd}"))
    }

    fn suite(&self, script: &ScriptResult) -> TestSuite {
        let mut suite = TestSuite::new(self.text(&script.name));
        let path = self.text(&script.path.display().to_string());
        suite.extra.insert("file".into(), path);
        if let Some(first) = script.attempts().next() {
            let began = first.started_at.to_string();
            suite.extra.insert("timestamp".into(), began.into());
        }
        suite.set_time(script.attempts().map(|attempt| attempt.outcome.duration).sum());
        for (name, value) in [
            ("agent", script.agent.display().to_string()),
            ("rerun", script.rerun.clone()),
            ("total_tokens", script.usage().total().to_string()),
        ] {
            suite.add_property((name.into(), self.text(&value)));
        }
        let mut runs = script.runs.iter().peekable();
        let mut passed = 0;
        for number in 1..=script.planned {
            let mut case = match runs.next_if(|run| run.number == number) {
                Some(run) => {
                    passed += usize::from(run.standing() == Standing::Passed);
                    self.run(script, run, passed == 1)
                }
                None => not_run(),
            };
            case.name = self.text(&name(script, number));
            case.set_classname(self.text(&script.name));
            suite.add_test_case(case);
        }
        suite
    }

    /// A run. What was said is told of runs that went wrong and, as there may be many others, of the first that passed.
    fn run(&self, script: &ScriptResult, run: &Run, is_first_passed: bool) -> TestCase {
        let standing = run.standing();
        let mut case = TestCase::new("", self.status(script, run));
        let wrong = run
            .attempts
            .iter()
            .find_map(|attempt| plain::place(&attempt.outcome));
        let (file, line) = wrong.map_or_else(
            || (script.path.display().to_string(), None),
            |place| (place.file.clone(), Some(place.line)),
        );
        case.extra.insert("file".into(), self.text(&file));
        if let Some(line) = line {
            case.extra.insert("line".into(), line.to_string().into());
        }
        if let Some(last) = run.attempts.last() {
            case.set_time(last.outcome.duration);
            if standing != Standing::Passed || is_first_passed {
                let mut told = plain::transcript(&last.outcome.turns);
                if let Some(id) = &last.outcome.trace_id {
                    told += &format!("trace: {id}\n");
                }
                case.set_system_out(self.text(&told));
            }
        }
        case
    }

    fn status(&self, script: &ScriptResult, run: &Run) -> TestCaseStatus {
        let reruns = |attempts: &[Attempt]| -> Vec<_> {
            attempts
                .iter()
                .map(|attempt| self.rerun(script, attempt))
                .collect()
        };
        if run.standing().is_good() {
            let before = run.attempts.len().saturating_sub(1);
            let flaky_runs = run.attempts.get(..before).map_or_else(Vec::new, reruns);
            return TestCaseStatus::Success { flaky_runs };
        }
        let Some((first, others)) = run.attempts.split_first() else {
            return TestCaseStatus::skipped();
        };
        let message = plain::summary(&first.outcome).unwrap_or_default();
        let description = self.description(script, first);
        let mut status;
        if script.standing().is_good() {
            status = TestCaseStatus::skipped();
            let enough = format!(
                "not passed, but {} of {} are enough: ",
                script.passed(),
                script.planned
            );
            status.set_message(self.text(&(enough + &message)));
        } else {
            let (kind, name) = kind(first);
            status = TestCaseStatus::non_success(kind);
            status.set_message(self.text(&message)).set_type(name);
            status.add_reruns(reruns(others));
        }
        status.set_description(description);
        status
    }

    fn rerun(&self, script: &ScriptResult, attempt: &Attempt) -> TestRerun {
        let (kind, name) = kind(attempt);
        let mut rerun = TestRerun::new(kind);
        let message = plain::summary(&attempt.outcome).unwrap_or_default();
        rerun
            .set_time(attempt.outcome.duration)
            .set_message(self.text(&message))
            .set_type(name)
            .set_description(self.description(script, attempt));
        rerun
    }

    fn description(&self, script: &ScriptResult, attempt: &Attempt) -> XmlString {
        let mut told = plain::details(&attempt.outcome);
        if let Some(id) = &attempt.outcome.trace_id {
            told += &format!("trace: {id}\n");
        }
        told += &format!("again: {}\n", script.rerun);
        self.text(&told)
    }
}

fn name(script: &ScriptResult, number: usize) -> String {
    match script.planned {
        1 => script.name.clone(),
        planned => format!("{} [{number}/{planned}]", script.name),
    }
}

fn not_run() -> TestCase {
    let mut status = TestCaseStatus::skipped();
    status.set_message("not run");
    TestCase::new("", status)
}

/// Whether an attempt failed or was in error, and what that is called.
fn kind(attempt: &Attempt) -> (NonSuccessKind, &'static str) {
    let kind = match attempt.outcome.verdict {
        Verdict::Passed | Verdict::Failed => NonSuccessKind::Failure,
        Verdict::Broken { .. } | Verdict::TimedOut { .. } => NonSuccessKind::Error,
    };
    (kind, Standing::from(&attempt.outcome.verdict).as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::smoke::report::samples::{self, KEY};

    #[test]
    fn it_tells_each_run_as_ci_systems_do() {
        let keys = [KEY.to_owned()].into_iter().collect();
        let report = report(&samples::results(), &keys).unwrap();
        assert!(!report.contains(KEY));
        insta::assert_snapshot!(report);
    }
}

//! Where the trace of a run goes, by its flags.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::anyhow;

use crate::cli::args::TraceArgs;
use crate::cli::exit::Failure;

/// One place that traces go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TraceTarget {
    /// The OpenAI traces endpoint, or another that takes the same form.
    Openai,
    /// An OpenTelemetry collector.
    Otlp,
    /// JSON lines on stdout.
    Stdout,
    /// JSON lines at the end of a file.
    File(PathBuf),
    /// Nowhere.
    None,
}

impl TraceTarget {
    /// Whether it is somewhere else, where it may not be possible to send to.
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Openai | Self::Otlp)
    }
}

impl FromStr for TraceTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, value) = text
            .split_once('=')
            .map_or((text, None), |(kind, value)| (kind, Some(value)));
        match (kind, value) {
            ("openai", None) => Ok(Self::Openai),
            ("otlp", None) => Ok(Self::Otlp),
            ("stdout", None) => Ok(Self::Stdout),
            ("file", Some(path)) if !path.is_empty() => Ok(Self::File(path.into())),
            ("none", None) => Ok(Self::None),
            _ => Err("expected openai, otlp, stdout, file=PATH or none".to_owned()),
        }
    }
}

impl fmt::Display for TraceTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Openai => f.write_str("openai"),
            Self::Otlp => f.write_str("otlp"),
            Self::Stdout => f.write_str("stdout"),
            Self::File(path) => path.display().fmt(f),
            Self::None => f.write_str("none"),
        }
    }
}

/// Where the trace of a run goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Targets {
    /// Nothing is traced at all (span rule N1).
    Disabled,
    /// To these, if any; the span tree is shown anyway.
    To(Vec<TraceTarget>),
}

impl Targets {
    /// Where the trace goes by these flags; `has_key` tells whether OpenAI would take it.
    pub fn choose(args: &TraceArgs, simulated: bool, has_key: bool) -> Result<Self, Failure> {
        if args.no_tracing {
            return Ok(Self::Disabled);
        }
        let mut targets = args.trace.clone();
        if targets.is_empty() && (args.trace_endpoint.is_some() || (has_key && !simulated)) {
            targets.push(TraceTarget::Openai);
        }
        let mut known = Vec::new();
        targets.retain(|target| {
            !known.contains(target) && {
                known.push(target.clone());
                true
            }
        });
        if targets == [TraceTarget::None] {
            targets.clear();
        }
        if targets.contains(&TraceTarget::None) {
            return Err(Failure::usage(anyhow!("--trace none goes with no other --trace")));
        }
        Ok(Self::To(targets))
    }

    /// Whether they include stdout.
    pub fn has_stdout(&self) -> bool {
        matches!(self, Self::To(targets) if targets.contains(&TraceTarget::Stdout))
    }

    /// Their names, with commas between them.
    pub fn names(&self) -> String {
        let Self::To(targets) = self else {
            return String::new();
        };
        let names = targets.iter().map(TraceTarget::to_string);
        names.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn choose(flags: &[&str], simulated: bool, has_key: bool) -> Option<String> {
        #[derive(Parser)]
        struct Flags {
            #[command(flatten)]
            trace: TraceArgs,
        }
        let args = Flags::parse_from(["test"].iter().chain(flags)).trace;
        let targets = Targets::choose(&args, simulated, has_key).ok()?;
        Some(match targets {
            Targets::Disabled => "disabled".to_owned(),
            to => to.names(),
        })
    }

    #[test]
    fn by_default_traces_go_to_openai_if_there_is_a_key_and_nothing_is_simulated() {
        let cases = [
            (false, true, "openai"),
            (true, true, ""),
            (false, false, ""),
            (true, false, ""),
        ];
        for (simulated, has_key, expected) in cases {
            assert_eq!(choose(&[], simulated, has_key).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_asked_for_holds() {
        let both = ["--trace", "stdout", "--trace", "openai"];
        assert_eq!(choose(&both, true, false).unwrap(), "stdout, openai");
        let twice = ["stdout", "file=a", "stdout", "file=b", "file=a"];
        let twice: Vec<_> = twice.iter().flat_map(|target| ["--trace", target]).collect();
        assert_eq!(choose(&twice, true, false).unwrap(), "stdout, a, b");
        assert_eq!(choose(&["--trace", "none"], false, true).unwrap(), "");
        assert_eq!(
            choose(&["--trace-endpoint", "http://h"], true, false).unwrap(),
            "openai"
        );
        assert_eq!(
            choose(&["--no-tracing", "--trace", "openai"], false, true).unwrap(),
            "disabled"
        );
        assert_eq!(
            choose(&["--trace", "none", "--trace", "openai"], false, true),
            None
        );
    }

    #[test]
    fn targets_are_told_what_there_is() {
        for wrong in ["", "open", "file", "file=", "stdout=x", "openai="] {
            let error = wrong.parse::<TraceTarget>().unwrap_err();
            assert!(error.contains("file=PATH"), "{wrong}: {error}");
        }
        let file = "file=a=b.jsonl".parse();
        assert_eq!(file, Ok(TraceTarget::File("a=b.jsonl".into())));
    }
}

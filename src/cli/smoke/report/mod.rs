//! Reports of smoke tests as files.
//!
//! In: the [`Results`] of all scripts. Out: a file for each report that was asked for, in one of the forms, of which each
//! has a file: `junit`, `json`, `html`. What JSON and HTML tell is in `wire`, which is what the schema of reports is made
//! of. No key of the run is in any of them. That they can be written is known before anything is played.

mod file;
mod html;
mod json;
mod junit;
mod plain;
#[cfg(test)]
pub mod samples;
mod wire;

use anyhow::Context;

use super::results::Results;
use super::{ReportFile, ReportForm};
use crate::cli::exit::Failure;
use crate::cli::keys::Keys;
use file::Target;
pub use json::{clean, schema};
pub use wire::Attempt as AttemptReport;

/// The reports of a run, each with a file that waits for it. What is dropped without being written leaves nothing.
#[derive(Debug)]
pub struct Reports {
    waiting: Vec<(ReportForm, Target)>,
    keys: Keys,
}

impl Reports {
    /// Makes sure that all of them can be written. None of `keys` gets into them.
    ///
    /// # Errors
    /// The file that can't be written, and why; or one that is asked for twice.
    pub fn prepare(files: &[ReportFile], keys: Keys) -> Result<Self, Failure> {
        let mut waiting: Vec<(ReportForm, Target)> = Vec::new();
        for ReportFile { path, form } in files {
            let target = Target::prepare(path)
                .with_context(|| format!("cannot write the report {}", path.display()))
                .map_err(Failure::usage)?;
            if waiting.iter().any(|(_, other)| other.is_same(&target)) {
                let message = format!("{} is asked for as two reports", path.display());
                return Err(Failure::usage(anyhow::anyhow!(message)));
            }
            waiting.push((*form, target));
        }
        Ok(Self { waiting, keys })
    }

    /// Whether one of them shows traces.
    pub fn show_traces(&self) -> bool {
        self.waiting.iter().any(|(form, _)| *form == ReportForm::Html)
    }

    /// Writes all of them.
    ///
    /// # Errors
    /// The first that could not be written; the others are.
    pub fn write(self, results: &Results) -> Result<(), Failure> {
        let mut outcome = Ok(());
        for (form, target) in self.waiting {
            let name = target.path().display().to_string();
            let written = text(form, results, &self.keys).and_then(|text| Ok(target.write(&text)?));
            let written = written.with_context(|| format!("cannot write the report {name}"));
            outcome = outcome.and(written.map_err(Failure::broken));
        }
        outcome
    }
}

fn text(form: ReportForm, results: &Results, keys: &Keys) -> anyhow::Result<String> {
    Ok(match form {
        ReportForm::Junit => junit::report(results, keys)?,
        ReportForm::Json => json::report(results, keys)?,
        ReportForm::Html => html::report(results, keys)?,
    })
}

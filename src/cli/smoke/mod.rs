//! Smoke tests: many scripts are played, each as often as is asked for, and judged.
//!
//! In: script files, and the flags of a run. Out: what came of each on stdout, the reports that are asked for, and an exit
//! status.

mod find;
mod flags;
pub mod percentiles;
pub mod report;
pub mod results;

pub use flags::{MinPassRate, ReportFile, ReportForm};

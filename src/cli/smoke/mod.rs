//! Smoke tests: many scripts are played, each as often as is asked for, and judged.
//!
//! In: script files, and the flags of a run. Out: what came of each on stdout, the reports that are asked for, and an exit
//! status.

pub mod percentiles;
pub mod report;
pub mod results;

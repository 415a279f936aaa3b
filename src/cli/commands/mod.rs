//! The commands, a file for each.

mod check;
mod run;
mod simulate;

pub use check::check;
pub use run::run;
pub use simulate::simulate;

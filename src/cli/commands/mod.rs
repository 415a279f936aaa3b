//! The commands, a file for each.

mod check;
mod run;
mod schema;
mod simulate;
mod traces;

pub use check::check;
pub use run::run;
pub use schema::schema;
pub use simulate::simulate;
pub use traces::traces;

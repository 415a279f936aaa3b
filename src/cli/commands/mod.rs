//! The commands, a file for each.

mod check;
mod init;
mod run;
mod schema;
mod simulate;
mod traces;

pub use check::check;
pub use init::init;
pub use run::run;
pub use schema::schema;
pub use simulate::simulate;
pub use traces::traces;

//! The commands, a file for each.

mod check;
#[cfg(feature = "devices")]
mod devices;
mod init;
mod run;
mod schema;
mod simulate;
mod traces;

pub use check::check;
#[cfg(feature = "devices")]
pub use devices::devices;
pub use init::init;
pub use run::run;
pub use schema::schema;
pub use simulate::simulate;
pub use traces::traces;

/// Says how to build the program with devices.
#[cfg(not(feature = "devices"))]
pub fn devices(_: &super::printer::Printer) -> Result<super::exit::ExitStatus, super::exit::Failure> {
    Err(super::voice::missing("`devices`"))
}

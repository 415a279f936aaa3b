//! `realtime-run traces show`: a trace as a waterfall in the terminal.

use std::path::Path;

use super::source;
use crate::cli::args::ShowArgs;
use crate::cli::exit::{ExitStatus, Failure};
use crate::cli::glyphs::Glyphs;
use crate::cli::output::Stream;
use crate::cli::printer::Printer;
use crate::cli::render::{Look, waterfall};

/// Columns of a line where no terminal has a say in it.
const WIDTH: usize = 100;

/// Draws the trace on stdout.
pub fn show(args: &ShowArgs, spool: Option<&Path>, printer: &Printer) -> Result<ExitStatus, Failure> {
    let tree = source::tree(args, spool, printer)?;
    let look = Look {
        width: Stream::Stdout.columns().unwrap_or(WIDTH),
        glyphs: Glyphs::of_locale(),
        paint: printer.result_paint(),
    };
    printer.whole_result(waterfall(&tree, look).trim_end());
    Ok(ExitStatus::Success)
}

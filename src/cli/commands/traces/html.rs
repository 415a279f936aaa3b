//! `realtime-run traces html`: a trace as a page for a browser.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{page, source};
use crate::cli::args::HtmlArgs;
use crate::cli::exit::{ExitStatus, Failure};
use crate::cli::printer::Printer;

/// Writes the page to its file, or to stdout.
pub fn html(args: &HtmlArgs, spool: Option<&Path>, printer: &Printer) -> Result<ExitStatus, Failure> {
    let tree = source::tree(&args.source, spool, printer)?;
    let page = page::page(&tree).map_err(Failure::broken)?;
    let file = match &args.output {
        Some(path) if path.as_os_str() == "-" => {
            printer.whole_result(page.trim_end());
            return Ok(ExitStatus::Success);
        }
        Some(path) => path.clone(),
        None => PathBuf::from(format!("{}.html", tree.trace().id)),
    };
    fs::write(&file, page)
        .with_context(|| format!("cannot write {}", file.display()))
        .map_err(Failure::broken)?;
    printer.result(&file.display().to_string());
    Ok(ExitStatus::Success)
}

//! The command line: the only room that prints, and that decides how the process ends.
//!
//! In: the arguments, the environment, stdin and signals. Out: the assistant's words on stdout, everything about the run
//! on stderr, and an exit status. What it does, it does with the library's public API. A `Printer` decides what may be
//! printed where, an `Output` writes it, an `ExitStatus` is how it ends; the commands know nothing of either process or
//! terminal.

mod approver;
mod args;
mod columns;
mod commands;
mod context;
mod conversation;
mod duration;
mod exit;
mod given;
mod glyphs;
mod keys;
mod logs;
mod output;
mod overrides;
mod page;
mod pairs;
mod printer;
mod prompt;
mod record;
mod render;
mod replay;
mod server;
mod signals;
mod simulator;
mod size;
mod slash;
mod smoke;
mod style;
mod trace;
mod turns;
mod voice;

use std::process::ExitCode;

use self::args::{Arguments, Command};
use self::exit::{ExitStatus, Failure};
use self::keys::Keys;
use self::printer::Printer;

/// Does what the command line asks for.
pub fn main() -> ExitCode {
    let arguments = match Arguments::read() {
        Ok(arguments) => arguments,
        Err(error) => return explain(&error),
    };
    let Ok(printer) = Printer::start(&arguments.output) else {
        return ExitStatus::Failure.into();
    };
    logs::start(arguments.output.verbose, Keys::of(&arguments), &printer);
    let result = match &arguments.command {
        None if arguments.run.script.init => commands::init(&arguments.run, &printer),
        None if !arguments.run.script.paths.is_empty() => smoke::run(&arguments, &printer),
        None => commands::run(&arguments.run, &printer),
        Some(Command::Check(args)) => Ok(commands::check(args, &printer)),
        Some(Command::Schema(args)) => commands::schema(args, &printer),
        Some(Command::Traces(args)) => commands::traces(args, &printer),
        Some(Command::Simulate(args)) => commands::simulate(args, &printer),
    };
    let status = result.unwrap_or_else(|failure: Failure| {
        printer.failure(&failure);
        failure.status()
    });
    printer.finish(status).into()
}

/// Prints what clap has to say: help and the version on stdout, mistakes on stderr.
fn explain(error: &clap::Error) -> ExitCode {
    // If nobody reads it, nobody misses it.
    let _ = error.print();
    if error.use_stderr() {
        ExitStatus::Usage.into()
    } else {
        ExitStatus::Success.into()
    }
}

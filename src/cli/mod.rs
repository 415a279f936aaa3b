//! The command line: the only room that prints, and that decides how the process ends.
//!
//! In: the arguments, the environment, stdin and signals. Out: the assistant's words on stdout, everything about the run
//! on stderr, and an exit status. What it does, it does with the library's public API. A `Printer` decides what may be
//! printed where, an `Output` writes it, an `ExitStatus` is how it ends; the commands know nothing of either process or
//! terminal.

mod approver;
mod args;
mod commands;
mod context;
mod conversation;
mod duration;
mod exit;
mod glyphs;
mod logs;
mod output;
mod overrides;
mod pairs;
mod printer;
mod prompt;
mod record;
mod render;
mod replay;
mod signals;
mod simulator;
mod size;
mod slash;
mod style;
mod trace;
mod turns;
mod voice;

use std::env;
use std::process::ExitCode;

use realtime_run::Secret;

use self::args::{Arguments, Command};
use self::exit::{ExitStatus, Failure};
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
    logs::start(arguments.output.verbose, keys(&arguments), &printer);
    let result = match &arguments.command {
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

/// Every key that this run may hold.
fn keys(arguments: &Arguments) -> Vec<Secret> {
    let args = &arguments.run.server;
    let simulator = match &arguments.command {
        Some(Command::Simulate(args)) => &args.simulator,
        _ => &arguments.run.simulator,
    };
    let named = [&args.api_key_env, &simulator.llm_key_env];
    let named = named.into_iter().filter_map(|name| name.as_deref());
    let variables = ["OPENAI_API_KEY", "AZURE_OPENAI_API_KEY"]
        .into_iter()
        .chain(named);
    let headers = args.header.iter().filter_map(|header| header.split_once(':'));
    variables
        .filter_map(|name| env::var(name).ok())
        .chain(headers.map(|(_, value)| value.trim().trim_start_matches("Bearer ").to_owned()))
        .filter_map(Secret::new)
        .collect()
}

//! The program `realtime-run`: runs sessions from the command line. Everything it can do, the library can.
#![forbid(unsafe_code)]

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}

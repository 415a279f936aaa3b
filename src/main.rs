//! The program `realtime-run`: runs sessions from the command line. Everything it can do, the library can.
#![forbid(unsafe_code)]
// No input may make the program panic; it prints through its printer and exits by returning.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::todo)]
#![deny(clippy::print_stdout, clippy::print_stderr, clippy::exit, clippy::dbg_macro)]

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}

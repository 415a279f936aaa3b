//! What the program says of itself.

#[path = "support/cli.rs"]
mod cli;

use cli::{program, run};

fn stdout(arguments: &[&str]) -> String {
    let mut command = program();
    command.args(arguments);
    let outcome = run(command);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    outcome.stdout
}

#[test]
fn the_long_help() {
    insta::assert_snapshot!(stdout(&["--help"]));
}

#[test]
fn the_short_help() {
    insta::assert_snapshot!(stdout(&["-h"]));
}

#[test]
fn the_help_of_the_commands() {
    insta::assert_snapshot!("check", stdout(&["check", "-h"]));
    insta::assert_snapshot!("simulate", stdout(&["simulate", "-h"]));
    insta::assert_snapshot!("traces", stdout(&["traces", "-h"]));
    insta::assert_snapshot!("traces_show", stdout(&["traces", "show", "-h"]));
    insta::assert_snapshot!("traces_html", stdout(&["traces", "html", "-h"]));
    insta::assert_snapshot!("traces_resend", stdout(&["traces", "resend", "-h"]));
    insta::assert_snapshot!("traces_clear", stdout(&["traces", "clear", "-h"]));
}

#[test]
fn the_version() {
    let expected = concat!("realtime-run ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(stdout(&["--version"]), expected);
}

#[test]
fn without_arguments_it_says_how_to_use_it() {
    let outcome = run(program());
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""));
    assert!(
        outcome.stderr.contains("Usage: realtime-run --agent <FILE>"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn help_shows_no_value_from_the_environment() {
    let mut command = program();
    command
        .arg("--help")
        .env("OPENAI_AGENTS_DISABLE_TRACING", "planted")
        .env("OPENAI_API_KEY", "planted")
        .env("OPENAI_BASE_URL", "planted");
    assert!(!run(command).stdout.contains("planted"));
}

//! What is said where the program was built without microphones and speakers.
#![cfg(not(feature = "devices"))]

#[path = "support/cli.rs"]
mod cli;

use cli::{Agent, program, run};

const HELP: &str = "help: install it with `cargo install --locked --path . --features devices`; on Linux that needs ALSA's \
                    headers (Debian: libasound2-dev)";

#[test]
fn devices_say_how_they_are_to_be_had() {
    for flags in [
        &["--mic"][..],
        &["--speaker"],
        &["--mic", "--speaker", "--push-to-talk"],
    ] {
        let outcome = Agent::weather().run([&["--simulate"], flags].concat());
        assert_eq!(outcome.code, Some(2), "{flags:?}");
        assert!(
            outcome.stderr.contains(flags[0]) && outcome.stderr.contains(HELP),
            "{}",
            outcome.stderr
        );
    }
    let mut command = program();
    command.arg("devices");
    let outcome = run(command);
    assert_eq!(outcome.code, Some(2));
    assert!(
        outcome.stderr.contains("`devices`") && outcome.stderr.contains(HELP),
        "{}",
        outcome.stderr
    );
}

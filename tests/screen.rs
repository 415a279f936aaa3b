//! The full screen of a run with a microphone, at a real terminal and on a virtual sound card.
#![cfg(feature = "devices")]

#[path = "support/cli.rs"]
mod cli;
#[path = "support/sound_card.rs"]
mod sound_card;
#[path = "support/terminal.rs"]
mod terminal;

use std::process::Command;
use std::time::{Duration, Instant};

use cli::Agent;
use nix::sys::signal::Signal;
use realtime_run::audio::{self, decode};
use realtime_run::protocol::AudioFormat;
use sound_card::{RATE, SoundCard, sound_card};
use terminal::Terminal;

/// Long enough to be interrupted.
const LONG: &str = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen \
                    seventeen eighteen nineteen twenty one two three four five six seven eight nine ten";
/// The lines of both sides, by how they begin.
const YOU: &str = " you   ";

/// A run of one of the agents that come with the program, on the simulator and this card.
fn run(card: &SoundCard, agent: &str, arguments: &[&str]) -> Command {
    let path = format!("{}/agents/{agent}.toml", env!("CARGO_MANIFEST_DIR"));
    let mut command = cli::program();
    command.args(["--agent", &path]);
    talk(card, command, arguments)
}

fn talk(card: &SoundCard, mut command: Command, arguments: &[&str]) -> Command {
    command
        .args(["--simulate", "--no-tracing", "--mic"])
        .args(arguments);
    card.plug_in(&mut command);
    command
}

/// A voice, at the card's rate.
fn voice(millis: u64) -> Vec<i16> {
    let format = AudioFormat::Pcm { rate: RATE };
    decode(&audio::tone(300.0, Duration::from_millis(millis), format), format)
}

/// How many seconds of sound the user's turns lasted, as the simulator hears them.
fn turns(shown: &str) -> Vec<f64> {
    let seconds = |line: &str| {
        let words = line.trim_matches(['│', '|', ' ']).strip_prefix("> ")?;
        words.strip_suffix(" seconds of audio")?.parse().ok()
    };
    shown.lines().filter_map(seconds).collect()
}

#[test]
fn a_conversation_is_seen_and_keys_do_what_they_say() {
    let Some(card) = sound_card() else { return };
    let mut terminal = Terminal::start(run(&card, "concierge", &["--speaker"]));
    terminal.shows(" Triage on gpt-realtime");
    terminal.shows_beside(YOU, "listening");
    std::thread::scope(|scope| {
        scope.spawn(|| card.say(&voice(1_500)));
        terminal.shows_beside(YOU, "━━━━");
        terminal.shows_beside(YOU, "speaking");
    });
    let shown = terminal.shows("You said: ");
    assert_eq!(turns(&shown).len(), 1, "{shown}");

    terminal.press("m");
    terminal.shows_beside(YOU, "muted");
    card.say(&voice(1_500));
    terminal.press("thello there\r");
    let shown = terminal.shows("You said: hello there");
    assert_eq!(turns(&shown).len(), 1, "who is muted is not heard: {shown}");
    terminal.press("a");
    terminal.shows("Triage (in charge)");
    terminal.press("\x1b[B\r");
    terminal.shows(" Billing on gpt-realtime");

    terminal.press(&format!("t{LONG}\r"));
    terminal.shows_beside(" Billing   ", "speaking");
    terminal.press("i");
    terminal.wait_until("silence", |shown| {
        let is_silent = |line: &str| !line.contains("speaking");
        shown
            .lines()
            .any(|line| line.starts_with(" Billing   ") && is_silent(line))
    });
    terminal.shows("(cut off");
    // Only now: under load the microphone may be a second behind what is said.
    terminal.press("m");
    terminal.shows_beside(YOU, "listening");
    assert!(terminal.has_a_full_screen());
    terminal.press("q");
    let (code, shown) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    assert_eq!(turns(&shown).len(), 1, "{shown}");
    for line in ["> hello there", "You said: hello there", "(cut off"] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
}

#[test]
fn a_call_is_approved_and_a_signal_sets_the_terminal_back() {
    let Some(card) = sound_card() else { return };
    let mut command = run(&card, "approval", &[]);
    command.env("LC_ALL", "C");
    let mut terminal = Terminal::start(command);
    terminal.shows_beside(YOU, "listening");
    terminal.press("tRefund 120 euros\r");
    terminal.shows("[o]nce");
    terminal.shows(" answer > ");
    terminal.press("o\r");
    terminal.shows("Paid back: 120 euros");
    terminal.press("?");
    let shown = terminal.shows(" keys ");
    // What tools and people say is shown as it is.
    let frame = shown.replace('→', "");
    assert!(frame.is_ascii(), "in a locale of ASCII: {shown}");
    assert!(terminal.has_a_full_screen());
    terminal.signal(Signal::SIGTERM);
    let (code, shown) = terminal.end();
    assert_eq!(code, 130, "{shown}");
    assert!(shown.contains("Paid back: 120 euros"), "{shown}");
}

fn agent_without_turn_detection() -> Agent {
    Agent::new(
        "[session]\nturn_detection = \"none\"\n[agents.Assistant]\ninstructions = \"You are friendly.\"\n",
    )
}

#[test]
fn who_pushes_to_talk_is_heard_while_the_key_is_down_and_no_longer() {
    let Some(card) = sound_card() else { return };
    let agent = agent_without_turn_detection();
    let held = ("\x1b[32;1:1u", "\x1b[32;1:3u");
    for (start, (down, up)) in [
        (Terminal::start as fn(Command) -> Terminal, (" ", " ")),
        (Terminal::that_tells_releases, held),
    ] {
        let mut terminal = start(talk(&card, agent.command([]), &["--push-to-talk"]));
        terminal.shows_beside(YOU, "press space to talk");
        card.say(&voice(3_000));
        let pressed = Instant::now();
        terminal.press(down);
        terminal.shows_beside(YOU, "listening");
        card.say(&voice(1_000));
        terminal.press(up);
        terminal.shows_beside(YOU, "press space to talk");
        let at_most = pressed.elapsed().as_secs_f64() + 0.1;
        let shown = terminal.shows("You said: ");
        let [seconds] = turns(&shown)[..] else {
            panic!("{shown}")
        };
        // What the microphone has not handed over when the key goes up is lost.
        assert!((0.7..at_most).contains(&seconds), "of {at_most} s: {shown}");
        terminal.press("q");
        assert_eq!(terminal.end().0, 0);
    }
}

#[test]
fn without_the_screen_enter_is_the_key_to_talk() {
    let Some(card) = sound_card() else { return };
    let agent = agent_without_turn_detection();
    let mut terminal = Terminal::start(talk(&card, agent.command([]), &["--push-to-talk", "--json"]));
    terminal.shows("session_start");
    assert!(!terminal.has_a_full_screen());
    terminal.press("\r");
    terminal.shows("(you are heard until you press Enter)");
    card.say(&voice(1_000));
    terminal.press("\r");
    terminal.shows("(sent)");
    terminal.shows("You said: ");
    terminal.shows("turn_end");
    terminal.press("\x04");
    assert_eq!(terminal.end().0, 0);
}

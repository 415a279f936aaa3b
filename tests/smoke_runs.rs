//! Runs of smoke tests are each by themselves: none sees another's context, tools, servers or trace.

#[path = "support/cli.rs"]
mod cli;
#[path = "mcp/mod.rs"]
mod mcp;
#[path = "support/smoke.rs"]
mod smoke;

use serde_json::{Value, json};
use smoke::{Folder, RIGHT, WRONG};

/// Its tool tells a word of the context, and makes it longer.
const REMEMBERS: &str = r#"
[context]
word = "a"
[agents.Assistant]
instructions = ""
tools = ["lengthen"]
[tools.lengthen]
description = "Lengthens the word."
output = { context = { word = "{{ word }}x" }, output = "<{{ word }}>" }
updates_context = true
"#;

const LENGTHENS: &str = r#"
agent = "agent.toml"
[[turns]]
user = "Lengthen the word"
expect = [{ event = "tool_result", text_contains = "<a>" }]
[[turns]]
user = "Lengthen the word again"
expect = [{ event = "tool_result", text_contains = "<ax>" }]
[[spans]]
type = "function"
name = "lengthen"
count = 2
[[spans]]
type = "agent"
count = 1
"#;

#[test]
fn runs_at_the_same_time_share_no_context_and_no_trace() {
    let folder = Folder::with(&[("agent.toml", REMEMBERS), ("b.smoke.toml", LENGTHENS)]);
    let arguments = [
        "--script",
        ".",
        "--simulate",
        "--repeat",
        "8",
        "--concurrency",
        "8",
        "--json",
    ];
    let outcome = folder.run(&arguments);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stdout);
    let lines = outcome.json();
    let mut ids: Vec<&Value> = lines[..8].iter().map(|line| &line["trace_id"]).collect();
    ids.sort_by_key(|id| id.as_str());
    ids.dedup();
    assert_eq!(ids.len(), 8);
}

#[test]
fn what_stands_in_for_a_tool_in_one_script_does_not_in_another() {
    let mocked = format!("{WRONG}\n[tools.get_weather]\noutput = 'thunder'\n");
    let folder = Folder::with(&[
        ("a.smoke.toml", &mocked),
        ("b.smoke.toml", RIGHT),
        ("c.smoke.toml", &mocked),
    ]);
    let outcome = folder.run(&["--script", ".", "--simulate", "--concurrency", "3"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stdout);
}

/// Asks the server of tests/mcp for the same twice: it is there for the whole of a run.
const ECHOES: &str = r#"
agent = "agent.toml"
[[turns]]
user = "Echo one"
expect = [{ event = "tool_result", name = "echo", text_contains = "Echo" }]
[[turns]]
user = "Echo two"
expect = [{ event = "tool_result", name = "echo", text_contains = "Echo" }]
"#;

#[tokio::test]
async fn runs_at_the_same_time_each_have_a_server_of_their_own() {
    const RUNS: usize = 6;
    let Some(watched) = mcp::Watched::new("echoes", &["tools=echo"]) else {
        return;
    };
    let agent = format!(
        "[agents.Assistant]\ninstructions = ''\nmcp_servers = ['echoes']\n\
         [mcp_servers.echoes]\ncommand = 'python3'\nargs = {}\nstartup_timeout_sec = 20\n",
        json!(watched.arguments())
    );
    let folder = Folder::with(&[("agent.toml", &agent), ("b.smoke.toml", ECHOES)]);
    let runs = RUNS.to_string();
    let outcome = folder.run(&[
        "--script",
        ".",
        "--simulate",
        "--repeat",
        &runs,
        "--concurrency",
        &runs,
    ]);
    assert_eq!(outcome.code, Some(0), "{}{}", outcome.stdout, outcome.stderr);
    let mut processes = watched.processes();
    processes.sort_unstable();
    processes.dedup();
    assert_eq!(processes.len(), RUNS, "{:?}", watched.log());
    assert_eq!(watched.count("initialize"), RUNS, "{:?}", watched.log());
    assert_eq!(watched.count("tools/call"), 2 * RUNS, "{:?}", watched.log());
    watched.ended().await;
}

#[test]
fn a_script_plays_a_scenario_or_a_recording_of_its_own() {
    let says = |word: &str| format!("[[steps]]\nthen = [{{ say = '{word}' }}]\n");
    let script = |server: &str, word: &str| {
        format!(
            "agent = 'agent.toml'\n[simulator]\n{server}\n[[turns]]\nuser = 'What is the weather in Oslo?'\n\
             expect = [{{ event = 'response', text_contains = '{word}' }}]\n"
        )
    };
    let folder = Folder::with(&[
        ("one.toml", &says("one")),
        ("two.toml", &says("two")),
        ("1.smoke.toml", &script("scenario = 'one.toml'", "one")),
        ("2.smoke.toml", &script("scenario = 'two.toml'", "two")),
        ("3.smoke.toml", &script("replay = 'recorded.jsonl'", "clear")),
    ]);
    let message = ["-m", "What is the weather in Oslo?", "--record", "recorded.jsonl"];
    let recorded = folder.run(&[&["--agent", "agent.toml", "--simulate"], &message[..]].concat());
    assert_eq!(recorded.code, Some(0), "{}", recorded.stderr);
    let outcome = folder.run(&[
        "--script",
        ".",
        "--simulate",
        "--speed",
        "max",
        "--repeat",
        "2",
        "--concurrency",
        "3",
    ]);
    assert_eq!(outcome.code, Some(0), "{}{}", outcome.stdout, outcome.stderr);
    assert!(outcome.stdout.contains("3 passed"), "{}", outcome.stdout);
    // The command line goes over the scripts.
    let outcome = folder.run(&["--script", ".", "--simulate", "--scenario", "two.toml", "--json"]);
    let scripts = outcome.json().pop().unwrap()["scripts"].take();
    let told = |number: usize| &scripts[number]["status"];
    assert_eq!(
        [told(0), told(1), told(2)],
        [&json!("failed"), &json!("passed"), &json!("failed")]
    );
}

#[test]
fn a_run_that_deviates_from_its_recording_fails() {
    let script = "agent = 'agent.toml'\n[simulator]\nreplay = 'recorded.jsonl'\n[[turns]]\nuser = 'What is the weather in Rome?'\n";
    let folder = Folder::with(&[("b.smoke.toml", script)]);
    let message = ["-m", "What is the weather in Oslo?", "--record", "recorded.jsonl"];
    folder.run(&[&["--agent", "agent.toml", "--simulate"], &message[..]].concat());
    let arguments = ["--script", ".", "--simulate", "--speed", "max"];
    let outcome = folder.run(&arguments);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("recorded is"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("Rome"), "{}", outcome.stdout);
    let lenient = folder.run(&[&arguments[..], &["--lenient"]].concat());
    assert_eq!(lenient.code, Some(0), "{}", lenient.stdout);
}

#[test]
fn nothing_of_a_run_is_left_behind() {
    // A program that would go on for ever: the run ends it.
    let agent = r#"
        [agents.Assistant]
        instructions = ""
        tools = ["get_stuck"]
        [tools.get_stuck]
        description = "Gets stuck."
        command = ["sh", "-c", "echo $$ > pid-$$; exec sleep 600"]
        timeout_sec = 600
    "#;
    let script = "agent = 'agent.toml'\n[[turns]]\nuser = 'Get stuck'\n";
    let folder = Folder::with(&[("agent.toml", agent), ("b.smoke.toml", script)]);
    let arguments = [
        "--script",
        ".",
        "--simulate",
        "--turn-timeout",
        "500ms",
        "--repeat",
        "3",
        "--concurrency",
        "3",
    ];
    let outcome = folder.run(&arguments);
    assert_eq!(outcome.code, Some(4), "{}", outcome.stdout);
    let names = std::fs::read_dir(folder.path()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let pids: Vec<String> = names
        .filter_map(|name| Some(name.strip_prefix("pid-")?.to_owned()))
        .collect();
    assert_eq!(pids.len(), 3);
    for pid in pids {
        cli::wait_until("the end of a tool", || {
            !std::path::Path::new(&format!("/proc/{pid}")).exists()
        });
    }
}

#[test]
fn a_scenario_left_to_chance_passes_as_often_as_its_seed_says() {
    let scenario = "seed = 7\n[[steps]]\nchance = 0.7\nthen = [{ say = 'right' }]\n[[steps]]\nthen = [{ say = 'wrong' }]\n";
    let script = "agent = 'agent.toml'\nsimulator = { scenario = 'chance.toml' }\n[[turns]]\nuser = 'Hi'\n\
                  expect = [{ event = 'response', text_contains = 'right' }]\n";
    let folder = Folder::with(&[("chance.toml", scenario), ("b.smoke.toml", script)]);
    let passed = |more: &[&str]| {
        let arguments = ["--script", ".", "--simulate", "--repeat", "20", "--json"];
        let outcome = folder.run(&[&arguments[..], more].concat());
        let script = outcome.json().pop().unwrap()["scripts"][0].take();
        (
            outcome.code,
            script["runs"].as_u64().unwrap(),
            script["passed"].as_u64().unwrap(),
        )
    };
    let (code, runs, first) = passed(&[]);
    assert_eq!((code, runs), (Some(1), 20));
    assert!((10..=18).contains(&first), "about 14: {first}");
    // Which of them pass does not depend on how many are played at the same time.
    assert_eq!(passed(&["--concurrency", "5"]), (Some(1), 20, first));
    assert_eq!(passed(&["--min-pass-rate", "50%"]), (Some(0), 20, first));
    let (code, _, retried) = passed(&["--retries", "20"]);
    assert_eq!((code, retried), (Some(0), 20), "each attempt goes its own way");
}

//! Smoke tests on the command line: what is played how often, what is told of it, and how the program ends.

#[path = "support/cli.rs"]
mod cli;
#[path = "support/smoke.rs"]
mod smoke;

use cli::{LIMIT, Outcome};
use serde_json::{Value, json};
use smoke::{Folder, RIGHT, WRONG, settled};

/// Calls a tool that fails the first time, and works from then on.
const RECOVERS: &str = r#"
[agents.Assistant]
instructions = ""
tools = ["try_it"]
[tools.try_it]
description = "Tries it."
command = ["sh", "-c", "if [ -e tried ]; then echo works; else touch tried; echo fails; fi"]
"#;

const TRIES: &str = r#"
agent = "agent.toml"
[[turns]]
user = "Try it"
expect = [{ event = "tool_result", text_contains = "works" }]
"#;

/// The names and standings of scripts, as the last line of `--json` has them.
fn standings(outcome: &Outcome) -> Vec<(String, String)> {
    let summary = outcome.json().pop().unwrap();
    assert_eq!(summary["type"], "summary");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let scripts = summary["scripts"].as_array().unwrap();
    let standing = |script: &Value| (text(&script["script"]), text(&script["status"]));
    scripts.iter().map(standing).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = pairs
        .iter()
        .map(|(one, other)| ((*one).to_owned(), (*other).to_owned()));
    owned.collect()
}

#[test]
fn what_came_is_told_in_lines() {
    let folder = Folder::with(&[("b.smoke.toml", RIGHT), ("c.smoke.toml", WRONG)]);
    let outcome = folder.run(&["--script", ".", "--simulate", "--no-trace-content"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(1), ""));
    insta::assert_snapshot!(settled(&outcome.stdout));
}

#[test]
fn the_command_that_is_told_plays_just_that_script_again() {
    let folder = Folder::with(&[("b.smoke.toml", RIGHT), ("it's c.smoke.toml", WRONG)]);
    let arguments = [
        "--script",
        ".",
        "--simulate",
        "--workflow-name",
        "a b",
        "--repeat",
        "2",
        "--trace-metadata",
        "k=$v",
    ];
    let outcome = folder.run(&arguments);
    let again = outcome
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("  again  "));
    let again = again.unwrap();
    assert_eq!(
        again,
        r"realtime-run --script 'it'\''s c.smoke.toml' --simulate --workflow-name 'a b' --trace-metadata 'k=$v'"
    );
    let mut shell = folder.command(&[]);
    let program = shell.get_program().to_owned();
    let script = format!("realtime-run() {{ {} \"$@\"; }}\n{again}", program.display());
    let mut bash = std::process::Command::new("bash");
    bash.current_dir(folder.path()).args(["-c", &script]);
    bash.env("REALTIME_RUN_SPOOL", folder.store())
        .stdin(std::process::Stdio::null());
    shell = bash;
    let outcome = cli::run(shell);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    assert!(outcome.stdout.contains("1 failed in"), "{}", outcome.stdout);
}

#[test]
fn programs_get_an_object_for_each_attempt_and_one_at_the_end() {
    let folder = Folder::with(&[("b.smoke.toml", RIGHT), ("c.smoke.toml", WRONG)]);
    let outcome = folder.run(&["--script", ".", "--simulate", "--json", "--retries", "1"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(1), ""));
    assert_eq!(outcome.types(), ["attempt", "attempt", "attempt", "summary"]);
    let seen = |line: &Value| json!([line["script"], line["attempt"], line["retried"], line["status"]]);
    let seen: Vec<_> = outcome.json()[..3].iter().map(seen).collect();
    assert_eq!(
        json!(seen),
        json!([
            ["b", 1, false, "passed"],
            ["c", 1, true, "failed"],
            ["c", 2, false, "failed"],
        ])
    );
    assert_eq!(standings(&outcome), pairs(&[("b", "passed"), ("c", "failed")]));
}

#[test]
fn the_exit_code_is_that_of_the_worst() {
    let broken = "[[turns]]\nuser = 'Hi'\n";
    let scenario = "[[steps]]\nthen = ['drop']\n";
    let late = "[[steps]]\nthen = [{ wait_ms = 60_000 }, { say = 'x' }]\n";
    let simulated =
        |scenario: &str| format!("agent = 'agent.toml'\nsimulator = {{ scenario = '{scenario}' }}\n{broken}");
    let (drop, late_script) = (simulated("drop.toml"), simulated("late.toml"));
    let folder = Folder::with(&[
        ("right.smoke.toml", RIGHT),
        ("wrong.smoke.toml", WRONG),
        ("broken.smoke.toml", &drop),
        ("late.smoke.toml", &late_script),
        ("drop.toml", scenario),
        ("late.toml", late),
    ]);
    let run = |names: &[&str]| {
        let mut arguments = vec![
            "--simulate",
            "--turn-timeout",
            "2s",
            "--concurrency",
            "4",
            "--json",
        ];
        names.iter().for_each(|name| arguments.extend(["--script", name]));
        folder.run(&arguments)
    };
    let (right, wrong) = ("right.smoke.toml", "wrong.smoke.toml");
    let (broken, late) = ("broken.smoke.toml", "late.smoke.toml");
    let cases: [(&[&str], i32); 6] = [
        (&[right], 0),
        (&[right, wrong], 1),
        (&[right, broken], 3),
        (&[right, late], 4),
        (&[late, broken, right], 3),
        (&[late, broken, wrong, right], 1),
    ];
    for (names, code) in cases {
        let outcome = run(names);
        assert_eq!(outcome.code, Some(code), "{names:?}: {}", outcome.stderr);
    }
    let all = standings(&run(&[right, wrong, broken, late]));
    let expected = [
        ("right", "passed"),
        ("wrong", "failed"),
        ("broken", "broken"),
        ("late", "timed_out"),
    ];
    assert_eq!(all, pairs(&expected));
}

#[test]
fn a_server_that_is_not_there_breaks_a_run() {
    let folder = Folder::with(&[("b.smoke.toml", RIGHT)]);
    let outcome = folder.run(&[
        "--script",
        "b.smoke.toml",
        "--url",
        "ws://127.0.0.1:1",
        "--trace",
        "none",
    ]);
    assert_eq!(outcome.code, Some(3));
    assert!(
        outcome.stdout.contains("cannot reach 127.0.0.1:1"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn the_limit_of_a_run_ends_it() {
    let late =
        "[[steps]]\nthen = [{ say = 'hello' }]\n[[steps]]\nthen = [{ wait_ms = 60_000 }, { say = 'x' }]\n";
    let script = "agent = 'agent.toml'\n[simulator]\nscenario = 'late.toml'\n[[turns]]\nuser = 'Hi'\n\
                  expect = [{ event = 'response' }]\n[[turns]]\nuser = 'Wait'\nexpect = [{ event = 'response' }]\n";
    let folder = Folder::with(&[("b.smoke.toml", script), ("late.toml", late)]);
    let arguments = ["--script", "b.smoke.toml", "--simulate", "--timeout", "2s"];
    let outcome = folder.run(&[&arguments[..], &["--report", "out.json"]].concat());
    assert_eq!(outcome.code, Some(4), "{}", outcome.stderr);
    let told = "the time of the whole run was up in turn 2 (says \"Wait\")";
    assert!(outcome.stdout.contains(told), "{}", outcome.stdout);
    // What came before is not lost.
    let report: Value = serde_json::from_str(&folder.read("out.json")).unwrap();
    let turns = &report["scripts"][0]["runs"][0]["attempts"][0]["turns"];
    let met = |turn: usize| &turns[turn]["expectations"][0]["met"];
    assert_eq!([met(0), met(1)], [&json!(true), &json!(false)], "{turns}");
}

#[test]
fn all_that_is_wrong_is_told_before_anything_connects() {
    let folder = Folder::with(&[
        ("a.smoke.toml", "agent = 'agent.toml'\n[[turns]]\nusr = 'Hi'\n"),
        (
            "b.smoke.toml",
            "agent = 'agent.toml'\n[[turns]]\nuser = 'Hi'\nexpect = [{ event = 'handoff', agent = 'Biling' }]\n",
        ),
        ("c.smoke.toml", "agent = 'bad.toml'\n[[turns]]\nuser = 'Hi'\n"),
        ("d.smoke.toml", "agent = 'bad.toml'\n[[turns]]\nuser = 'Hi'\n"),
        ("e.smoke.toml", "[[turns]]\nuser = 'Hi'\n"),
        (
            "f.smoke.toml",
            "agent = 'agent.toml'\nsimulator = { scenario = 'bad.scenario.toml' }\n[[turns]]\nuser = 'Hi'\n",
        ),
        (
            "g.smoke.toml",
            "agent = 'agent.toml'\n[[turns]]\nuser = 'Hi'\nexpect = [{ event = 'response', judge = 'it is kind' }]\n",
        ),
        ("h.smoke.toml", RIGHT),
        ("bad.toml", "[agents.A]\ninstrutions = ''\n"),
        ("bad.scenario.toml", "[[step]]\n"),
    ]);
    let outcome = folder.run(&[
        "--script",
        ".",
        "--simulate",
        "--trace",
        "file=trace.jsonl",
        "--junit",
        "out.xml",
    ]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""));
    let wrong = &outcome.stderr;
    let told = [
        "unknown key `usr`",
        "there is no agent `Biling`",
        "unknown key `instrutions`",
        "e.smoke.toml names no agent file",
        "unknown key `step`",
        "g.smoke.toml asks for a `judge`",
    ];
    for what in told {
        assert_eq!(wrong.matches(what).count(), 1, "{what}: {wrong}");
    }
    assert!(!folder.path().join("trace.jsonl").exists());
    assert!(!folder.path().join("out.xml").exists());
}

#[test]
fn what_can_never_be_met_is_wrong_from_the_start() {
    let spans = format!("{RIGHT}\n[[spans]]\ntype = 'function'\n");
    let folder = Folder::with(&[("b.smoke.toml", &spans)]);
    let wrong = |arguments: &[&str]| {
        let outcome = folder.run(arguments);
        assert_eq!(
            (outcome.code, outcome.stdout.as_str()),
            (Some(2), ""),
            "{}",
            outcome.stderr
        );
        outcome.stderr
    };
    let told = wrong(&["--script", "b.smoke.toml", "--simulate", "--no-tracing"]);
    assert!(told.contains("b.smoke.toml expects spans"), "{told}");
    let told = wrong(&["--script", ".", "--simulate", "--filter", "Rome"]);
    assert!(
        told.contains("no script has `Rome` in its name or path"),
        "{told}"
    );
    let told = wrong(&["--script", "store", "--simulate"]);
    assert!(told.contains("store"), "{told}");
    let told = wrong(&["--script", ".", "-m", "Hi"]);
    assert!(told.contains("--message"), "{told}");
    let told = wrong(&["--agent", "agent.toml", "--repeat", "2", "-m", "Hi"]);
    assert!(told.contains("--script"), "{told}");
}

#[test]
fn the_agent_of_the_command_line_goes_over_that_of_the_script() {
    let other = "[agents.Assistant]\ninstructions = ''\ntools = ['get_weather']\n[tools.get_weather]\ndescription = 'Weather'\noutput = 'thunder'\n";
    let folder = Folder::with(&[("c.smoke.toml", WRONG), ("other.toml", other)]);
    let script = ["--script", "c.smoke.toml", "--simulate", "--json"];
    assert_eq!(folder.run(&script).code, Some(1));
    let outcome = folder.run(&[&script[..], &["--agent", "other.toml"]].concat());
    assert_eq!(outcome.code, Some(0), "{}", outcome.stdout);
    assert_eq!(outcome.json()[0]["agent"], "other.toml");
}

#[test]
fn each_script_gets_the_values_that_it_has_variables_for() {
    let script = "agent = 'agent.toml'\n[variables]\ncity = 'Oslo'\n[[turns]]\nuser = 'The weather in {{ city }}?'\n\
                  expect = [{ event = 'tool_call', args = { city = 'Rome' } }]\n";
    let folder = Folder::with(&[("a.smoke.toml", script), ("b.smoke.toml", RIGHT)]);
    let run = |set| folder.run(&["--script", ".", "--simulate", "--set", set]);
    let outcome = run("city=Rome");
    assert_eq!(outcome.code, Some(0), "{}{}", outcome.stdout, outcome.stderr);
    assert_eq!(run("city=Oslo").code, Some(1));
    let wrong = run("town=Rome");
    assert_eq!(wrong.code, Some(2));
    assert!(
        wrong.stderr.contains("no script has a variable `town`"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn a_filter_chooses_by_name_and_by_path() {
    let named = format!("name = 'Weather in Oslo'\n{RIGHT}");
    let folder = Folder::with(&[("b/x.smoke.toml", RIGHT), ("c.smoke.toml", &named)]);
    folder.write("b/agent.toml", cli::WEATHER);
    let chosen = |filter| {
        let outcome = folder.run(&["--script", ".", "--simulate", "--json", "--filter", filter]);
        let names = standings(&outcome).into_iter().map(|(name, _)| name);
        names.collect::<Vec<_>>()
    };
    assert_eq!(chosen("in Oslo"), ["Weather in Oslo"]);
    assert_eq!(chosen("b/"), ["x"]);
    assert_eq!(chosen(".smoke.toml"), ["x", "Weather in Oslo"]);
}

#[test]
fn what_passes_when_it_is_played_again_is_flaky_and_no_failure() {
    let folder = Folder::with(&[("agent.toml", RECOVERS), ("b.smoke.toml", TRIES)]);
    let outcome = folder.run(&["--script", ".", "--simulate", "--retries", "2"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stdout);
    assert!(
        outcome.stdout.starts_with("retry    b, attempt 1"),
        "{}",
        outcome.stdout
    );
    assert!(
        outcome.stdout.contains("flaky    b, passed at attempt 2"),
        "{}",
        outcome.stdout
    );
    assert!(outcome.stdout.contains("\n1 flaky in"), "{}", outcome.stdout);
}

#[test]
fn enough_runs_have_to_pass() {
    let folder = Folder::with(&[("agent.toml", RECOVERS), ("b.smoke.toml", TRIES)]);
    let run = |rate| {
        let _ = std::fs::remove_file(folder.path().join("tried"));
        folder.run(&[
            "--script",
            ".",
            "--simulate",
            "--repeat",
            "4",
            "--min-pass-rate",
            rate,
        ])
    };
    let (enough, too_few) = (run("75%"), run("0.76"));
    assert_eq!((enough.code, too_few.code), (Some(0), Some(1)));
    assert!(enough.stdout.contains("3/4 (75%)"), "{}", enough.stdout);
    assert!(enough.stdout.contains("\n1 flaky in"), "{}", enough.stdout);
    assert!(too_few.stdout.contains("\n1 failed in"), "{}", too_few.stdout);
}

#[test]
fn nothing_more_begins_when_one_fails_if_that_is_asked_for() {
    let folder = Folder::with(&[
        ("a.smoke.toml", RIGHT),
        ("b.smoke.toml", WRONG),
        ("c.smoke.toml", RIGHT),
    ]);
    let arguments = ["--script", ".", "--simulate", "--json", "--repeat", "2"];
    let outcome = folder.run(&[&arguments[..], &["--fail-fast"]].concat());
    assert_eq!(outcome.code, Some(1));
    let expected = [("a", "passed"), ("b", "failed"), ("c", "not_run")];
    assert_eq!(standings(&outcome), pairs(&expected));
    assert_eq!(
        outcome.json().len(),
        4,
        "two runs of a, one of b, and the summary"
    );
    assert_eq!(folder.run(&arguments).json().len(), 7);
}

#[test]
fn a_signal_ends_all_runs_and_what_there_is_is_told() {
    let late = "[[steps]]\nwhen = { user_says = 'Hi' }\nthen = [{ wait_ms = 60_000 }, { say = 'x' }]\n";
    let script = "agent = 'agent.toml'\n[simulator]\nscenario = 'late.toml'\n[[turns]]\nuser = 'Hi'\n";
    let folder = Folder::with(&[
        ("a.smoke.toml", RIGHT),
        ("b.smoke.toml", script),
        ("late.toml", late),
    ]);
    let arguments = [
        "--script",
        ".",
        "--simulate",
        "--trace",
        "file=trace.jsonl",
        "--report",
        "out.json",
    ];
    let child = cli::Child::start(folder.command(&arguments));
    child.wait_for_stdout("passed   a");
    // Not before the second one has begun.
    cli::wait_until("a second session", || {
        let store = std::fs::read_dir(folder.store())
            .unwrap()
            .next()
            .unwrap()
            .unwrap();
        std::fs::read_to_string(store.path())
            .unwrap()
            .matches(r#""object":"trace","#)
            .count()
            == 2
    });
    let before = std::time::Instant::now();
    child.signal("INT");
    let outcome = child.wait();
    assert!(before.elapsed() < LIMIT / 2);
    assert_eq!(outcome.code, Some(130), "{}", outcome.stderr);
    assert!(
        outcome.stdout.contains("1 passed, 1 not run in"),
        "{}",
        outcome.stdout
    );
    let report: Value = serde_json::from_str(&folder.read("out.json")).unwrap();
    assert_eq!(report["interrupted"], true);
    let spans = folder.read("trace.jsonl");
    assert_eq!(
        spans.matches(r#""type":"agent""#).count(),
        2,
        "all are finished: {spans}"
    );
}

#[test]
fn the_traces_of_all_runs_are_kept_and_say_whose_they_are() {
    let folder = Folder::with(&[("b.smoke.toml", RIGHT)]);
    let outcome = folder.run(&["--script", ".", "--simulate", "--repeat", "3", "--json"]);
    let ids: Vec<Value> = outcome.json()[..3]
        .iter()
        .map(|line| line["trace_id"].clone())
        .collect();
    let listed = folder.run(&["traces", "list", "--json"]).json();
    let listed: Vec<_> = listed.iter().map(|row| row["trace_id"].clone()).collect();
    assert_eq!(listed, ids);
    for id in &ids {
        let id = id.as_str().unwrap();
        let shown = folder.run(&["traces", "show", id]);
        assert_eq!(shown.code, Some(0), "{}", shown.stderr);
        assert!(shown.stdout.contains(id), "{}", shown.stdout);
        assert_eq!(shown.stdout.matches("get_weather").count(), 1, "{}", shown.stdout);
    }
    let store = std::fs::read_dir(folder.store())
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let text = std::fs::read_to_string(store.path()).unwrap();
    assert!(
        text.contains(r#""metadata":{"script":"b","run":"2","attempt":"1"}"#),
        "{text}"
    );
}

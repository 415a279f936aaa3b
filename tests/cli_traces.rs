//! The program and the traces it keeps: `traces list`, `resend` and `clear`, and what a run says at its end.

#[path = "support/cli.rs"]
mod cli;
#[path = "support/sink.rs"]
mod sink;

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cli::{Agent, Child, Outcome, program, run, wait_until};
use serde_json::{Value, json};
use sink::{Answer, Sink};

const KEY: &str = "sk-Planted-traces";
const QUESTION: &str = "What is the weather in Oslo?";

/// A sink that takes everything once it is up, and says 500 before.
struct Backend {
    sink: Sink,
    is_up: Arc<AtomicBool>,
}

impl Backend {
    fn new(is_up: bool) -> Self {
        let is_up = Arc::new(AtomicBool::new(is_up));
        let up = Arc::clone(&is_up);
        let sink = Sink::start(move |_, _| match up.load(Ordering::SeqCst) {
            true => Answer::status(200),
            false => Answer::status(401),
        });
        Self { sink, is_up }
    }

    fn comes_up(&self) {
        self.is_up.store(true, Ordering::SeqCst);
    }

    /// The items that came in requests from number `first` on.
    fn items(&self, first: usize) -> Vec<Value> {
        let requests = self.sink.requests();
        requests[first..].iter().flat_map(sink::Request::items).collect()
    }

    /// A run that is traced to it.
    fn run(&self, agent: &Agent, more: &[&str]) -> Command {
        let url = self.sink.url("/v1/traces/ingest?token=Planted-query");
        let arguments = ["--simulate", "--trace", "openai", "--trace-endpoint", &url];
        let mut command = agent.command(arguments.into_iter().chain(more.iter().copied()));
        command.env("OPENAI_API_KEY", KEY);
        command
    }
}

fn traces(agent: &Agent, arguments: &[&str]) -> Outcome {
    let mut command = program();
    command
        .arg("traces")
        .args(arguments)
        .env("REALTIME_RUN_SPOOL", agent.store())
        .env("OPENAI_API_KEY", KEY);
    run(command)
}

fn stored(agent: &Agent) -> usize {
    std::fs::read_dir(agent.store()).map_or(0, Iterator::count)
}

fn spans_in(text: &str) -> usize {
    let items = text
        .lines()
        .filter(|line| line.contains(r#""object":"trace.span""#));
    items.count()
}

#[test]
fn every_traced_run_is_kept_whether_or_not_it_goes_anywhere() {
    let agent = Agent::weather();
    assert_eq!(agent.run(["--simulate", "-m", QUESTION]).code, Some(0));
    let list = traces(&agent, &["list", "--json"]);
    assert_eq!((list.code, list.stderr.as_str()), (Some(0), ""));
    let run = &list.json()[0];
    assert_eq!(run["workflow_name"], "Agent workflow");
    assert_eq!(run["agents"], json!(["Assistant"]));
    assert_eq!((&run["spans"], &run["errors"]), (&json!(5), &json!(0)));
    assert_eq!((&run["deliveries"], &run["in_use"]), (&json!([]), &json!(false)));
    let text = traces(&agent, &["list"]).stdout;
    let id = run["trace_id"].as_str().unwrap();
    assert!(
        text.contains(id) && text.contains("Assistant") && text.trim_end().ends_with("kept here"),
        "{text}"
    );
}

#[test]
fn what_is_not_to_be_kept_is_not() {
    let agent = Agent::weather();
    for flag in ["--no-store", "--no-tracing"] {
        assert_eq!(agent.run(["--simulate", "-m", "hi", flag]).code, Some(0));
        assert!(!agent.store().exists(), "{flag}");
    }
    let backend = Backend::new(true);
    assert_eq!(
        run(backend.run(&agent, &["--no-store", "-m", "hi"])).code,
        Some(0)
    );
    assert_eq!((stored(&agent), backend.items(0).len()), (0, 4));
    let elsewhere = agent.path().with_file_name("elsewhere");
    let outcome = agent.run(["--simulate", "-m", "hi", "--spool", elsewhere.to_str().unwrap()]);
    assert_eq!(outcome.code, Some(0));
    assert_eq!(std::fs::read_dir(elsewhere).unwrap().count(), 1);
}

#[test]
fn a_run_says_where_its_spans_got_to() {
    let (agent, backend) = (Agent::weather(), Backend::new(true));
    let outcome = run(backend.run(&agent, &["-m", QUESTION]));
    let last = outcome.stderr.lines().last().unwrap();
    let id = outcome
        .stderr
        .lines()
        .find_map(|line| line.strip_prefix("trace_"))
        .unwrap();
    let expected = format!("trace_{}: 5 spans sent to openai in 1 batch", &id[..32]);
    assert_eq!(last, expected);

    let file = agent.path().with_file_name("out.jsonl");
    let target = format!("file={}", file.display());
    let json = run(backend.run(&agent, &["-m", QUESTION, "--json", "--trace", &target]));
    assert_eq!((json.code, json.stderr.as_str()), (Some(0), ""));
    let ends: Vec<_> = json
        .types()
        .into_iter()
        .filter(|kind| kind == "session_end")
        .collect();
    assert_eq!(ends.len(), 1);
    let end = json.json().pop().unwrap();
    let to = |destination: &str| {
        json!({"destination": destination, "spans": 5, "batches": 1, "kept": 0, "lost": 0, "reasons": [],
            "earlier_runs": 0, "earlier_spans": 0})
    };
    assert_eq!(end["type"], "session_end");
    let deliveries = end["deliveries"].as_array().unwrap();
    assert_eq!(deliveries[0], to("openai"));
    assert_eq!(
        (&deliveries[1]["destination"], &deliveries[1]["spans"]),
        (&json!(file), &json!(5))
    );
    assert_eq!(spans_in(&std::fs::read_to_string(&file).unwrap()), 5);
    assert_eq!(
        agent.run(["--simulate", "-m", QUESTION, "--trace", &target]).code,
        Some(0)
    );
    assert_eq!(
        spans_in(&std::fs::read_to_string(&file).unwrap()),
        10,
        "it is appended to"
    );
}

#[test]
fn a_file_that_cannot_be_written_to_is_told_before_anything_else() {
    let outcome = Agent::weather().run(["--simulate", "-m", "hi", "--trace", "file=/nowhere/at/all.jsonl"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""));
    assert!(
        outcome.stderr.contains("--trace file=/nowhere/at/all.jsonl"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn what_did_not_get_there_is_sent_by_resend() {
    let (agent, backend) = (Agent::weather(), Backend::new(false));
    let outcome = run(backend.run(&agent, &["-q", "-m", QUESTION]));
    assert_eq!(
        outcome.code,
        Some(0),
        "trouble with the trace is none with the run"
    );
    let told = "warning: 6 of 6 trace items did not get to openai yet: ";
    assert!(outcome.stderr.starts_with(told), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("`realtime-run traces resend`"),
        "{}",
        outcome.stderr
    );
    let list = traces(&agent, &["list", "--json"]);
    let delivery = &list.json()[0]["deliveries"][0];
    assert_eq!((&delivery["sent"], &delivery["pending"]), (&json!(0), &json!(6)));
    assert!(traces(&agent, &["list"]).stdout.contains("6 wait for openai"));

    let in_vain = traces(&agent, &["resend"]);
    assert_eq!(
        (in_vain.code, in_vain.stdout.as_str()),
        (Some(3), "sent nothing; 6 items still to be sent\n")
    );
    assert!(in_vain.stderr.contains("check the API key"), "{}", in_vain.stderr);
    backend.comes_up();
    let before = backend.sink.requests().len();
    let id = list.json()[0]["trace_id"].as_str().unwrap().to_owned();
    let resent = traces(&agent, &["resend", &id, "--to", "openai"]);
    assert_eq!(
        (resent.code, resent.stdout.as_str()),
        (Some(0), "sent 5 spans of 1 run\n"),
        "{}",
        resent.stderr
    );
    assert_eq!(backend.items(before).len(), 6);
    assert_eq!(backend.items(before)[0]["id"], id);
    let again = traces(&agent, &["resend"]);
    assert_eq!(
        (again.code, again.stdout.as_str()),
        (Some(0), "nothing waits to be sent\n")
    );
    assert_eq!(backend.items(before).len(), 6);
    assert!(traces(&agent, &["list"]).stdout.contains("sent to openai"));
}

#[test]
fn the_next_run_to_the_same_place_brings_what_is_left() {
    let (agent, backend) = (Agent::weather(), Backend::new(false));
    run(backend.run(&agent, &["-m", QUESTION]));
    backend.comes_up();
    let next = run(backend.run(&agent, &["-m", QUESTION]));
    let last = next.stderr.lines().last().unwrap();
    assert!(
        last.ends_with("5 spans sent to openai in 1 batch, and 5 spans of 1 earlier run"),
        "{}",
        next.stderr
    );
    let list = traces(&agent, &["list", "--json"]).json();
    assert!(
        list.iter().all(|run| run["deliveries"][0]["pending"] == 0),
        "{list:?}"
    );
}

#[test]
fn a_kept_trace_can_be_sent_where_it_was_not_meant_to_go() {
    let (agent, backend) = (Agent::weather(), Backend::new(true));
    agent.run(["--simulate", "-m", QUESTION]);
    let id = traces(&agent, &["list", "--json"]).json()[0]["trace_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let url = backend.sink.url("/ingest");
    let to = ["--to", "openai", "--trace-endpoint", &url];
    let unnamed = traces(&agent, &[&["resend"], &to[..]].concat());
    assert_eq!(unnamed.stdout, "nothing waits to be sent\n");
    let named = traces(&agent, &[&["resend", &id], &to[..]].concat());
    assert_eq!(
        (named.code, named.stdout.as_str()),
        (Some(0), "sent 5 spans of 1 run\n"),
        "{}",
        named.stderr
    );
    assert_eq!(backend.items(0)[0]["id"], id);
    let unknown = traces(&agent, &["resend", &format!("trace_{}", "0".repeat(32))]);
    assert_eq!(unknown.code, Some(2));
    assert!(
        unknown.stderr.contains("there is no trace_0000"),
        "{}",
        unknown.stderr
    );
    let nowhere = traces(&agent, &["resend", "--to", "stdout"]);
    assert_eq!(nowhere.code, Some(2));
}

#[test]
fn a_strict_run_fails_if_its_trace_does_not_arrive() {
    let agent = Agent::weather();
    for (is_up, code) in [(true, 0), (false, 3)] {
        let outcome = run(Backend::new(is_up).run(&agent, &["--trace-strict", "-m", "hi"]));
        assert_eq!(outcome.code, Some(code), "{}", outcome.stderr);
    }
    assert_eq!(
        agent.run(["--simulate", "--trace-strict", "-m", "hi"]).code,
        Some(0)
    );
}

#[test]
fn clear_says_what_it_removed_and_leaves_what_goes_on() {
    let (agent, backend) = (Agent::weather(), Backend::new(false));
    run(backend.run(&agent, &["-m", "hi"]));
    agent.run(["--simulate", "-m", "hi"]);
    let mut child = Child::start({
        let mut command = agent.command(["--simulate"]);
        command.stdin(std::process::Stdio::piped());
        command
    });
    child.say("hi\n");
    child.wait_for_stdout("You said: hi");
    wait_until("its file", || stored(&agent) == 3);
    assert!(traces(&agent, &["list"]).stdout.contains("in use"));
    let cleared = traces(&agent, &["clear"]).stdout;
    assert!(cleared.starts_with("removed 2 runs ("), "{cleared}");
    assert!(
        cleared.ends_with("and with them 4 items that waited to be sent; left 1 run in use\n"),
        "{cleared}"
    );
    child.end_input();
    assert_eq!(child.wait().code, Some(0));
    assert_eq!(stored(&agent), 1);
}

#[test]
fn an_empty_store_is_no_mistake() {
    let agent = Agent::weather();
    for (arguments, stdout) in [
        (&["list"][..], ""),
        (&["resend"], "nothing waits to be sent\n"),
        (&["clear"], "removed 0 runs (0 B)\n"),
    ] {
        let outcome = traces(&agent, arguments);
        assert_eq!(
            (outcome.code, outcome.stdout.as_str()),
            (Some(0), stdout),
            "{arguments:?}"
        );
    }
    assert!(!agent.store().exists(), "looking makes nothing");
}

#[test]
fn no_key_is_in_the_store() {
    let (agent, backend) = (Agent::weather(), Backend::new(false));
    run(backend.run(&agent, &["-m", QUESTION]));
    traces(&agent, &["resend"]);
    for file in std::fs::read_dir(agent.store()).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(text.contains("Oslo") && !text.contains("Planted"), "{text}");
    }
}

#[test]
fn a_full_disk_costs_one_warning() {
    let agent = Agent::weather();
    let command = agent.command(["--simulate", "-q", "-m", QUESTION, "--trace", "stdout"]);
    // The limit of a file's size is like a disk that is full; without the trap it would end the program.
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$@\"", "sh"])
        .arg(command.get_program())
        .args(command.get_args())
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    let outcome = run(shell);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(spans_in(&outcome.stdout), 5, "what goes elsewhere is whole");
    let warnings: Vec<_> = outcome
        .stderr
        .lines()
        .filter(|line| line.starts_with("warning"))
        .collect();
    assert_eq!(warnings.len(), 1, "{}", outcome.stderr);
    assert!(
        warnings[0].starts_with("warning: this run's trace is not kept: "),
        "{}",
        warnings[0]
    );
    let list = traces(&agent, &["list"]);
    assert_eq!(list.stderr, "", "what is on the disk can be read");
}

#[test]
fn a_folder_that_cannot_be_used_costs_one_warning() {
    let agent = Agent::weather();
    std::fs::write(agent.store(), "a file").unwrap();
    let outcome = agent.run(["--simulate", "-q", "-m", "hi"]);
    assert_eq!(outcome.code, Some(0));
    assert!(
        outcome
            .stderr
            .starts_with("warning: this run's trace is not kept: "),
        "{}",
        outcome.stderr
    );
    let mut homeless = agent.command(["--simulate", "-q", "-m", "hi"]);
    homeless
        .env_remove("REALTIME_RUN_SPOOL")
        .env_remove("XDG_STATE_HOME")
        .env_remove("HOME");
    let outcome = run(homeless);
    assert_eq!(outcome.code, Some(0));
    assert!(
        outcome.stderr.contains("--spool names a folder"),
        "{}",
        outcome.stderr
    );
}

/// Every tool call that a killed run had told of, long enough before, is in a span that arrives.
#[test]
fn a_killed_run_leaves_its_spans_to_resend() {
    let (agent, backend) = (Agent::weather(), Backend::new(false));
    let mut random = fastrand::Rng::with_seed(7);
    let mut told = BTreeSet::new();
    for _ in 0..20 {
        let mut command = backend.run(&agent, &["--json"]);
        command.stdin(std::process::Stdio::piped());
        let mut child = Child::start(command);
        child.say(&format!("{QUESTION}\n").repeat(200));
        let seen = child.wait_for_stdout(r#""type":"tool_end""#);
        let (saw, lives) = (Instant::now(), Duration::from_millis(100 + random.u64(..100)));
        std::thread::sleep(lives); // The moment is what the test is about.
        assert!(saw.elapsed() >= Duration::from_millis(100));
        child.signal("KILL");
        child.wait();
        let events = seen
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let calls = events.filter(|event| event["type"] == "tool_end");
        told.extend(calls.map(|event| event["call_id"].as_str().unwrap().to_owned()));
    }
    assert!(told.len() >= 20);
    backend.comes_up();
    let resent = traces(&agent, &["resend"]);
    assert_eq!(resent.code, Some(0), "{}{}", resent.stdout, resent.stderr);
    let arrived: BTreeSet<String> = backend
        .items(0)
        .iter()
        .filter_map(|item| Some(item["metadata"]["call_id"].as_str()?.to_owned()))
        .collect();
    assert!(told.is_subset(&arrived), "{:?}", told.difference(&arrived));
    assert_eq!(traces(&agent, &["resend"]).stdout, "nothing waits to be sent\n");
}

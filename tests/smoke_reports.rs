//! Reports of smoke tests: what programs and CI systems read in them, and that they are there when it matters.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "support/cli.rs"]
mod cli;
#[path = "support/python.rs"]
mod python;
#[path = "support/reports.rs"]
mod reports;
#[path = "support/smoke.rs"]
mod smoke;

use std::path::Path;
use std::process::Command;

use cli::{Child, program, run};
use python::python;
use reports::{BAD, GOOD, Smoke};
use serde_json::{Value, json};

const ALL: [&str; 6] = [
    "--junit",
    "report.xml",
    "--report",
    "report.json",
    "--report",
    "report.html",
];

/// An agent whose tool fails to tell the weather when it is asked first.
const MOODY: &str = r#"
[agents.Assistant]
instructions = "You are friendly."
tools = ["get_weather"]

[tools.get_weather]
description = "Tells the current weather of a city."
command = ["sh", "-c", "if [ -e asked ]; then echo sunny; else touch asked; echo 'no idea </script> \u0007'; fi"]
"#;
const SUNNY: &str = r#"
[[turns]]
user = "What is the weather in Rome?"
expect = [{ event = "response", text_contains = "sunny" }]
"#;

/// What a reader of JUnit has read.
fn junit(python: &Path, smoke: &Smoke) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/read_junit.py");
    let mut command = Command::new(python);
    command.arg(script).arg(smoke.path("report.xml"));
    let outcome = run(command);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    serde_json::from_str(&outcome.stdout).unwrap()
}

#[test]
fn the_report_for_programs_follows_the_schema_that_is_printed() {
    let mut schema = program();
    schema.args(["schema", "report"]);
    let schema: Value = serde_json::from_str(&run(schema).stdout).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let smoke = Smoke::new(&[("good", GOOD), ("bad", BAD)]);
    let outcome = smoke.run(ALL);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    let report = smoke.read_json("report.json");
    let mistakes: Vec<_> = validator
        .iter_errors(&report)
        .map(|error| error.to_string())
        .collect();
    assert_eq!(mistakes, [""; 0]);
    assert!(!validator.is_valid(&json!({"version": 2})));

    let [bad, good] = [0, 1].map(|script| &report["scripts"][script]);
    assert_eq!([&bad["status"], &good["status"]], ["failed", "passed"]);
    let attempt = &bad["runs"][0]["attempts"][0];
    let unmet = &attempt["turns"][1]["expectations"][0];
    assert_eq!((&unmet["met"], &unmet["line"]), (&json!(false), &json!(9)));
    assert!(unmet["came"].as_str().unwrap().contains("Oslo"), "{unmet}");
    assert_eq!(attempt["spans"][0]["met"], false);
    assert_eq!(
        attempt["turns"][1]["transcript"][0],
        json!({"from": "user", "name": null, "text": "What is the weather in Oslo?"})
    );
    assert!(attempt["trace_id"].as_str().unwrap().starts_with("trace_"));
    assert!(bad["rerun"].as_str().unwrap().contains("smoke/bad.smoke.toml"));
    assert!(good["first_word"]["p99_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(
        smoke.names(),
        ["agent.toml", "report.html", "report.json", "report.xml", "smoke"]
    );
}

#[test]
fn a_reader_of_junit_reads_what_failed_and_what_was_said() {
    let Some(python) = python() else { return };
    let smoke = Smoke::new(&[("good", GOOD), ("bad", BAD)]);
    assert_eq!(
        smoke
            .run(ALL.into_iter().chain(["--repeat", "2", "--retries", "1"]))
            .code,
        Some(1)
    );
    let report = junit(&python, &smoke);
    let [bad, good] = [0, 1].map(|suite| &report["suites"][suite]);
    let counts =
        |suite: &Value| ["tests", "failures", "errors", "skipped"].map(|name| suite[name].as_u64().unwrap());
    assert_eq!((counts(bad), counts(good)), ([2, 2, 0, 0], [2, 0, 0, 0]));
    let case = &bad["cases"][1];
    assert_eq!(case["name"], "bad [2/2]");
    assert_eq!(
        (&case["file"], &case["line"]),
        (&json!("smoke/bad.smoke.toml"), &json!("9"))
    );
    let failure = &case["results"][0];
    assert_eq!(
        (&failure["kind"], &failure["type"]),
        (&json!("failure"), &json!("failed"))
    );
    for part in ["args", "Rome", "(and 1 more)"] {
        assert!(failure["message"].as_str().unwrap().contains(part), "{failure}");
    }
    for part in [
        "smoke/bad.smoke.toml:6 the user says",
        "the trace\n",
        "trace: trace_",
        "again: realtime-run --script",
    ] {
        assert!(
            failure["text"].as_str().unwrap().contains(part),
            "{part}: {failure}"
        );
    }
    assert_eq!(case["reruns"].as_array().unwrap().len(), 1);
    assert!(
        case["said"]
            .as_str()
            .unwrap()
            .contains("  user: What is the weather in Oslo?\n"),
        "{case}"
    );
    // Of many that passed, the first tells what was said.
    assert!(
        good["cases"][0]["said"].is_string() && good["cases"][1]["said"].is_null(),
        "{good}"
    );
}

#[test]
fn what_passes_when_it_is_played_again_is_flaky() {
    let smoke = Smoke::of(MOODY, &[("sunny", SUNNY)]);
    let outcome = smoke.run(ALL.into_iter().chain(["--retries", "1"]));
    assert_eq!(outcome.code, Some(0), "{}", outcome.stdout);
    let report = smoke.read_json("report.json");
    assert_eq!(
        (&report["totals"]["flaky"], &report["totals"]["attempts"]),
        (&json!(1), &json!(2))
    );
    let Some(python) = python() else { return };
    let case = &junit(&python, &smoke)["suites"][0]["cases"][0];
    assert_eq!(case["results"], json!([]));
    // What XML can't hold is replaced, and the rest is as it was.
    let first = case["flaky"][0]["text"].as_str().unwrap();
    assert!(first.contains("no idea </script> \u{fffd}"), "{first}");
}

#[test]
fn enough_that_passed_is_no_failure() {
    let Some(python) = python() else { return };
    let smoke = Smoke::of(MOODY, &[("sunny", SUNNY)]);
    let outcome = smoke.run(
        ALL.into_iter()
            .chain(["--repeat", "4", "--min-pass-rate", "0.75"]),
    );
    assert_eq!(outcome.code, Some(0), "{}", outcome.stdout);
    let suite = &junit(&python, &smoke)["suites"][0];
    assert_eq!((&suite["failures"], &suite["skipped"]), (&json!(0), &json!(1)));
    let skipped = &suite["cases"][0]["results"][0];
    assert!(
        skipped["message"]
            .as_str()
            .unwrap()
            .starts_with("not passed, but 3 of 4 are enough: expected"),
        "{skipped}"
    );
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_anything_is_played() {
    let smoke = Smoke::new(&[("good", GOOD)]);
    for (file, reason) in [
        ("none/report.json", "its folder does not exist"),
        ("smoke/good.smoke.toml/report.html", "ot a directory"),
    ] {
        let outcome = smoke.run(["--report", "first.json", "--report", file]);
        assert_eq!(outcome.code, Some(2));
        assert!(
            outcome
                .stderr
                .contains(&format!("cannot write the report {file}")),
            "{}",
            outcome.stderr
        );
        assert!(outcome.stderr.contains(reason), "{}", outcome.stderr);
        assert_eq!(outcome.stdout, "");
    }
    let twice = smoke.run(["--report", "report.json", "--report", "./report.json"]);
    assert!(
        twice.stderr.contains("./report.json is asked for as two reports"),
        "{}",
        twice.stderr
    );
    let other = smoke.run(["--report", "report.xml"]);
    assert_eq!(other.code, Some(2));
    assert!(other.stderr.contains("--junit"), "{}", other.stderr);
    assert_eq!(smoke.names(), ["agent.toml", "smoke"]);
}

#[test]
fn an_interrupted_run_has_reports_of_what_was_played() {
    let waits = "[[turns]]\nwait_ms = 600_000\n";
    let smoke = Smoke::new(&[("a_good", GOOD), ("b_waits", waits)]);
    let child = Child::start(smoke.command(ALL));
    child.wait_for_any("a_good");
    child.signal("INT");
    let outcome = child.wait();
    assert_eq!(outcome.code, Some(130), "{}", outcome.stderr);
    let report = smoke.read_json("report.json");
    assert_eq!(report["interrupted"], true);
    let [played, waiting] = [0, 1].map(|script| &report["scripts"][script]);
    assert_eq!([&played["status"], &waiting["status"]], ["passed", "not_run"]);
    assert_eq!(
        (&waiting["runs"], &waiting["pass_rate"]),
        (&json!([]), &Value::Null)
    );
    assert!(smoke.read("report.xml").contains("<skipped message=\"not run\""));
    assert!(smoke.read("report.html").contains("</html>"));
}

#[test]
fn no_report_has_a_key() {
    let key = "sk-planted-\"quoted\"<&-1";
    let said = format!(
        "[[turns]]\nuser = '''My key is {key}. What is the weather?'''\nexpect = [{{ event = \"error\" }}]\n"
    );
    let smoke = Smoke::new(&[("key", &said)]);
    let mut command = smoke.command(ALL);
    command.env("OPENAI_API_KEY", key);
    assert_eq!(run(command).code, Some(1));
    for (file, beside) in [
        ("report.json", "My key is ***."),
        ("report.xml", "My key is ***."),
        ("report.html", "My key is ***."),
    ] {
        let text = smoke.read(file);
        assert!(text.contains(beside), "{file}");
        assert!(!text.contains("sk-planted"), "{file}");
    }
}

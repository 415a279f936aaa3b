//! Script files, good and bad, from `tests/script_files/` and `agents/`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/written.rs"]
mod written;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use realtime_run::agent::AgentFile;
use realtime_run::script::{Act, Mock, MockAnswer, Place, Script};
use serde_json::{Value, json};
use written::{assert_fresh, committed_schema, files, fits, root};

fn set(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(pair).collect()
}

fn everything(pairs: &[(&str, &str)]) -> Script {
    Script::load(root("tests/script_files/valid/everything.toml"), &set(pairs)).unwrap()
}

/// A script's mistakes, each in a line.
fn mistakes(text: &str, pairs: &[(&str, &str)]) -> Vec<String> {
    let directory = root("tests/script_files/valid");
    let mistakes = Script::parse("test.toml", text, &directory, &set(pairs)).unwrap_err();
    let line = |mistake: &realtime_run::file::Diagnostic| match &mistake.help {
        Some(help) => format!("{}; {help}", mistake.message),
        None => mistake.message.clone(),
    };
    mistakes.iter().map(line).collect()
}

#[test]
fn every_mistake_is_explained() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("script_files/invalid");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for path in files("tests/script_files/invalid") {
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let mistakes = Script::parse(name, &text, path.parent().unwrap(), &[])
            .expect_err(&format!("{name} is meant to be bad"));
        let stem = path.file_stem().unwrap().to_str().unwrap();
        settings.bind(|| insta::assert_snapshot!(stem, mistakes.render(false)));
    }
}

#[test]
fn names_that_the_agents_do_not_have_are_told_with_the_nearest() {
    let path = root("tests/script_files/invalid/for_agents/names.toml");
    let agents = AgentFile::load(root("tests/script_files/valid/agents.toml"))
        .unwrap()
        .agents;
    let text = fs::read_to_string(&path).unwrap();
    let script = Script::parse("names.toml", &text, path.parent().unwrap(), &[]).unwrap();
    let mistakes = script.check_with(&agents).unwrap_err();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("script_files/invalid/for_agents");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("names", mistakes.render(false)));
    assert!(everything(&[]).check_with(&agents).is_ok());
}

#[test]
fn good_files_load_and_follow_the_schema() {
    let examples = [files("agents"), files("scenarios")].concat();
    let is_script = |path: &PathBuf| path.with_extension("").extension().is_some();
    let examples: Vec<PathBuf> = examples.into_iter().filter(is_script).collect();
    for path in &examples {
        let text = fs::read_to_string(path).unwrap();
        assert!(
            text.starts_with("#:schema ./script.schema.json\n") || path.ends_with("flaky.smoke.toml"),
            "{}",
            path.display()
        );
    }
    let good = [
        examples,
        files("tests/script_files/valid"),
        files("tests/script_files/valid/shared"),
        files("tests/script_files/valid/shared/more"),
    ];
    let scripts = good
        .concat()
        .into_iter()
        .filter(|path| !path.ends_with("agents.toml"));
    for path in scripts {
        if let Err(mistakes) = Script::load(&path, &[]) {
            panic!("{} is meant to be good:\n{mistakes}", path.display());
        }
        assert_eq!(
            fits(&committed_schema("agents/script.schema.json"), &path),
            Some(true),
            "{}",
            path.display()
        );
    }
}

#[test]
fn the_schema_in_the_repository_is_fresh() {
    assert_fresh("agents/script.schema.json", &Script::schema(), "script_files");
}

#[test]
fn the_schema_refuses_files_of_a_bad_shape() {
    for name in ["unknown_keys", "wrong_types", "no_turns"] {
        let path = root(&format!("tests/script_files/invalid/{name}.toml"));
        assert_eq!(
            fits(&committed_schema("agents/script.schema.json"), &path),
            Some(false),
            "{name}"
        );
    }
}

#[test]
fn what_a_file_says_is_what_its_script_is() {
    let script = everything(&[]);
    assert_eq!(script.name, "All that a script can say");
    let agent = script.agent.unwrap();
    assert!(agent.is_absolute() && agent.ends_with("tests/script_files/valid/agents.toml"));
    assert!(script.simulator.scenario.unwrap().is_absolute());
    assert_eq!(Value::Object(script.context), json!({"user": {"tier": "gold"}}));
    let mock = |answer, delay| Mock {
        answer,
        delay: Duration::from_millis(delay),
    };
    let weather = json!({"city": "Rome", "sky": ["clear", "true"], "people": 2});
    assert_eq!(script.mocks["get_weather"], mock(MockAnswer::Output(weather), 5));
    let closed = MockAnswer::Error("The bank of Rome is closed.".into());
    assert_eq!(script.mocks["refund"], mock(closed, 0));
    assert_eq!(script.mocks["remember"], mock(MockAnswer::Real, 10));

    let acts: Vec<&Act> = script.turns.iter().map(|turn| &turn.act).collect();
    let approve = |tool: Option<&str>, always| Act::Approve {
        tool: tool.map(Into::into),
        always,
    };
    let reject = |tool: Option<&str>, message: Option<&str>| Act::Reject {
        tool: tool.map(Into::into),
        message: message.map(Into::into),
    };
    assert_eq!(
        acts[..4],
        [
            &Act::Say("Hello from Rome".into()),
            &Act::Say("Thanks.".into()),
            &Act::Say("What is the weather in Rome for 3 people?".into()),
            &Act::Say("Refund me.".into()),
        ]
    );
    assert!(matches!(acts[4], Act::Speak(path) if path.is_file()));
    assert_eq!(
        acts[5..14],
        [
            &Act::Silence(Duration::from_millis(500)),
            &Act::SwitchAgent("Billing".into()),
            &Act::InterruptAfter(Duration::ZERO),
            &approve(None, false),
            &approve(Some("refund"), false),
            &approve(Some("refund"), true),
            &reject(None, Some("Not today, Rome.")),
            &reject(Some("refund"), None),
            &reject(None, None),
        ]
    );
    assert_eq!(acts[14], &Act::Wait(Duration::from_millis(10)));
    assert!(matches!(acts[15], Act::Raw(event) if event["item"]["content"][0]["text"] == "Rome"));

    let weather = &script.turns[2];
    let answer = &weather.expect[2].conditions;
    assert_eq!(answer.text_contains.as_deref(), Some("Rome"));
    assert_eq!(answer.within, Some(Duration::from_secs(3)));
    assert_eq!(weather.expect[0].conditions.args, Some(json!({"city": "Rome"})));
    assert!(weather.expect[4].absent && script.turns[3].any_order);
    let counts: Vec<_> = script.spans.iter().map(|span| span.count).collect();
    assert_eq!(counts, [(1, Some(1)), (1, Some(2)), (2, None), (0, Some(9))]);
    assert_eq!(
        (script.spans[0].error, script.spans[1].parent.as_deref()),
        (Some(false), Some(""))
    );
}

#[test]
fn places_are_those_of_the_file_that_has_them() {
    let script = everything(&[]);
    let text = fs::read_to_string(root("tests/script_files/valid/everything.toml")).unwrap();
    let line = |what: &str| text.lines().position(|line| line.contains(what)).unwrap() + 1;
    let beside = |name: &str| root("tests/script_files/valid").join(name).display().to_string();
    let place = |file: String, line| Place { file, line };
    assert_eq!(script.turns[0].place, place(beside("shared/greeting.toml"), 5));
    assert_eq!(
        script.turns[0].expect[0].place,
        place(beside("shared/greeting.toml"), 7)
    );
    assert_eq!(script.turns[1].place, place(beside("shared/more/thanks.toml"), 1));
    let weather = line("What is the weather");
    assert_eq!(
        script.turns[2].place,
        place(beside("everything.toml"), weather - 1)
    );
    assert_eq!(script.turns[2].expect[1].place.line, weather + 3);
    assert_eq!(script.spans[3].place.line, line("type = \"guardrail\"") - 1);
}

#[test]
fn what_is_set_goes_over_the_defaults_of_all_files() {
    let script = everything(&[("city", "Oslo"), ("greeting", "Hi {{ city }}")]);
    assert_eq!(script.turns[0].act, Act::Say("Hi {{ city }} from Oslo".into()));
    assert_eq!(
        script.turns[2].act,
        Act::Say("What is the weather in Oslo for 3 people?".into())
    );
}

#[test]
fn what_is_set_has_to_be_a_variable() {
    let text = "[variables]\ncity = 'Rome'\n[[turns]]\nuser = '{{ city }}'\n";
    assert_eq!(
        mistakes(text, &[("ciy", "Oslo"), ("zebra", "1")]),
        [
            "there is no variable `ciy` to set; did you mean `city`?",
            "there is no variable `zebra` to set; its variables are `city`",
        ]
    );
    let told = mistakes("[[turns]]\nuser = 'Hello'", &[("city", "Oslo")]);
    assert_eq!(
        told,
        ["there is no variable `city` to set; the script has no variables; they stand under `[variables]`"]
    );
}

#[test]
fn includes_have_an_end() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    let include = |name: &str| format!("[[turns]]\ninclude = \"{name}\"\n");
    for depth in 0..12 {
        write(&format!("{depth}.toml"), &include(&format!("{}.toml", depth + 1)));
    }
    write("12.toml", "[[turns]]\nuser = 'Hello'");
    write("wide.toml", &include("12.toml").repeat(150));
    let load = |name: &str| Script::load(directory.path().join(name), &[]);
    let told = |name: &str| load(name).unwrap_err().iter().next().unwrap().message.clone();
    assert_eq!(load("4.toml").unwrap().turns.len(), 1);
    assert_eq!(told("3.toml"), "files can include files 8 deep");
    assert_eq!(told("wide.toml"), "a script can include 100 files");
    assert_eq!(load("wide.toml").unwrap_err().iter().len(), 1);
}

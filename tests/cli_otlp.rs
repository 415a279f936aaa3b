//! Traces to an OpenTelemetry collector, through the built program: the standard variables, the parent from outside, and
//! the place that tools are told.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "support/cli.rs"]
mod cli;
#[path = "support/collector.rs"]
mod collector;
#[path = "support/sink.rs"]
mod sink;

use cli::{Agent, Outcome, run};
use collector::{GrpcCollector, Received, decode, gunzip, named, names};
use sink::{Answer, Sink};

const SECRET: &str = "Planted-9f8e7d6c5b4a";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const ASK: [&str; 4] = ["--simulate", "-m", "What is the weather in Oslo?", "--trace"];

/// Runs the agent with these variables and flags.
fn ask(agent: &Agent, flags: &[&str], variables: &[(&str, &str)]) -> Outcome {
    let mut command = agent.command(ASK.iter().chain(&["otlp"]).chain(flags).copied());
    command.envs(variables.iter().copied());
    run(command)
}

fn received(sink: &Sink) -> Vec<Received> {
    let requests = sink.requests();
    requests
        .iter()
        .flat_map(|request| decode(&request.body))
        .collect()
}

/// An agent whose tool makes a request to the sink.
fn requesting(sink: &Sink, headers: &str) -> Agent {
    let url = sink.url("/weather");
    Agent::new(&cli::WEATHER.replace(
        r#"output = { sky = "clear", celsius = 21 }"#,
        &format!(r#"http = {{ url = "{url}"{headers} }}"#),
    ))
}

#[test]
fn the_standard_variables_say_where_and_how() {
    let sink = Sink::always(200);
    let headers = format!("api-key={SECRET}");
    let outcome = ask(
        &Agent::weather(),
        &["--workflow-name", "Desk", "--group-id", "chat-7", "-vvv"],
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.url("")),
            ("OTEL_EXPORTER_OTLP_HEADERS", &headers),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_SERVICE_NAME", "desk"),
            ("RUST_LOG", "trace"),
        ],
    );
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let told = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(!told.contains(SECRET), "{told}");
    let requests = sink.requests();
    assert!(requests.iter().all(|own| own.header("api-key") == Some(SECRET)));
    let bodies = requests.iter().map(|own| gunzip(&own.body));
    let spans: Vec<_> = bodies.flat_map(|body| decode(&body)).collect();
    let root = named(&spans, "Desk");
    assert_eq!(root.resource["service.name"], "desk");
    assert_eq!(root.parent(), "");
    let agent = named(&spans, "invoke_agent Assistant");
    assert_eq!(agent.parent(), root.id());
    assert!(names(&spans).contains(&"execute_tool get_weather"));
    assert!(spans.iter().all(|own| own.attributes()["session.id"] == "chat-7"));
    // The id in the span tree is the one there.
    assert!(outcome.stderr.contains(&format!("trace_{}", root.trace_id())));
}

#[test]
fn grpc_is_spoken_where_the_variables_say_so() {
    let collector = GrpcCollector::start(&[0]);
    let outcome = ask(
        &Agent::weather(),
        &[],
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_HEADERS", &format!("api-key={SECRET}")),
            ("RUST_LOG", "trace"),
        ],
    );
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains(SECRET), "{}", outcome.stderr);
    let calls = collector.calls();
    assert_eq!(calls[0].headers["api-key"], SECRET);
    let spans: Vec<_> = calls.into_iter().flat_map(|call| call.spans).collect();
    named(&spans, "Agent workflow");
    named(&spans, "execute_tool get_weather");
}

#[test]
fn a_variable_that_cannot_be_used_is_a_mistake() {
    let agent = Agent::weather();
    let outcome = ask(&agent, &[], &[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")]);
    assert_eq!(outcome.code, Some(2));
    assert!(
        outcome
            .stderr
            .contains("OTEL_EXPORTER_OTLP_PROTOCOL: `http/json` is not supported"),
        "{}",
        outcome.stderr
    );
    // Without that target nobody asks for it.
    let mut command = agent.command(ASK.iter().chain(&["none"]).copied());
    command.env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json");
    assert_eq!(run(command).code, Some(0));
}

#[test]
fn a_collector_that_is_not_there_is_told_and_no_failure() {
    let outcome = ask(
        &Agent::weather(),
        &[],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")],
    );
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(
        outcome
            .stderr
            .contains("did not get to otlp yet: 127.0.0.1:1 could not be reached"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_run_hangs_under_the_parent_from_outside_and_its_tools_under_their_calls() {
    let (sink, weather) = (
        Sink::always(200),
        Sink::start(|_, _| Answer::status(200).body("clear")),
    );
    let outcome = ask(
        &requesting(&weather, ""),
        &[],
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.url("")),
            ("TRACEPARENT", PARENT),
            ("TRACESTATE", "vendor=1"),
        ],
    );
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let spans = received(&sink);
    assert!(
        spans
            .iter()
            .all(|own| own.trace_id() == "0af7651916cd43dd8448eb211c80319c")
    );
    assert_eq!(named(&spans, "Agent workflow").parent(), "b7ad6b7169203331");
    let call = named(&spans, "execute_tool get_weather");
    let requests = weather.requests();
    let expected = format!("00-0af7651916cd43dd8448eb211c80319c-{}-01", call.id());
    assert_eq!(requests[0].header("traceparent"), Some(expected.as_str()));
    assert_eq!(requests[0].header("tracestate"), Some("vendor=1"));
}

#[test]
fn what_is_no_parent_is_passed_over() {
    let sink = Sink::always(200);
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*sink.url("")),
        ("TRACEPARENT", "nonsense"),
        ("TRACESTATE", "vendor=1"),
    ];
    let outcome = ask(&Agent::weather(), &["-v"], &variables);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("TRACEPARENT is passed over"),
        "{}",
        outcome.stderr
    );
    let spans = received(&sink);
    let root = named(&spans, "Agent workflow");
    assert_eq!((root.parent().as_str(), root.span.trace_state.as_str()), ("", ""));
}

#[test]
fn a_header_of_the_file_wins() {
    let (sink, weather) = (Sink::always(200), Sink::always(200));
    let agent = requesting(&weather, r#", headers = { traceparent = "mine" }"#);
    let outcome = ask(&agent, &[], &[("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.url(""))]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(weather.requests()[0].header("traceparent"), Some("mine"));
}

#[test]
fn n1_without_tracing_nothing_is_sent_and_nobody_is_told() {
    let (sink, weather) = (Sink::always(200), Sink::always(200));
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*sink.url("")),
        ("TRACEPARENT", PARENT),
    ];
    let outcome = ask(&requesting(&weather, ""), &["--no-tracing"], &variables);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(sink.requests().len(), 0);
    let requests = weather.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].header("traceparent"), None);
    assert_eq!(requests[0].header("tracestate"), None);
}

#[cfg(unix)]
#[test]
fn programs_find_the_place_of_their_call_in_their_environment() {
    let agent = Agent::new(&cli::WEATHER.replace(
        r#"output = { sky = "clear", celsius = 21 }"#,
        r#"command = ["sh", "-c", "echo place=$TRACEPARENT state=$TRACESTATE."]"#,
    ));
    let sink = Sink::always(200);
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", &*sink.url(""));
    let stale = ("TRACESTATE", "stale=1");
    let outcome = ask(&agent, &[], &[endpoint, stale]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let spans = received(&sink);
    let call = named(&spans, "execute_tool get_weather");
    let expected = format!("place=00-{}-{}-01 state=.", call.trace_id(), call.id());
    assert_eq!(call.attributes()["gen_ai.tool.call.result"], expected);

    // Untraced, a program gets what it would get from a shell.
    let mut command = agent.command(ASK.iter().take(3).copied().chain(["--json", "--no-tracing"]));
    command.env("TRACEPARENT", "as it was");
    let outcome = run(command);
    assert!(
        outcome.stdout.contains("place=as it was state=."),
        "{}",
        outcome.stdout
    );
}

#[test]
fn what_is_redacted_is_in_no_output() {
    let sink = Sink::always(200);
    let file = cli::WEATHER.replace(
        "[tools.get_weather]",
        "[tracing]\nredact = ['(?i)oslo']\n\n[tools.get_weather]",
    );
    let card = "What is the weather in Oslo? My card is 4111 1111 1111 1111.";
    let agent = Agent::new(&file);
    let flags = ["--simulate", "-m", card, "--trace", "otlp", "--trace", "stdout"];
    let redact = [
        "--redact",
        r"\d{4}( \d{4}){3}",
        "--trace-metadata",
        "note=4111 1111 1111 1111",
    ];
    let mut command = agent.command(flags.into_iter().chain(redact));
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", sink.url(""));
    let outcome = run(command);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let (_, tree) = outcome.stderr.split_once("\ntrace_").unwrap();
    let mut outputs = vec![outcome.stdout.clone(), tree.to_owned()];
    for request in sink.requests() {
        outputs.push(String::from_utf8_lossy(&request.body).into_owned());
    }
    for output in &outputs {
        assert!(!output.contains("4111") && !output.contains("Oslo"), "{output}");
    }
    assert!(outputs[0].contains("My card is [redacted]."), "{}", outputs[0]);
    assert!(
        outputs[0].contains(r#"{\"city\":\"[redacted]\"}"#),
        "{}",
        outputs[0]
    );

    let outcome = agent.run(["--simulate", "-m", "Hi", "--redact", "card ("]);
    assert_eq!(outcome.code, Some(2));
    assert!(
        outcome
            .stderr
            .contains("invalid value 'card (' for '--redact <PATTERN>': unclosed group"),
        "{}",
        outcome.stderr
    );
}

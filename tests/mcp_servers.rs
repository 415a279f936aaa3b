//! Live MCP servers: started once, asked once, ended always.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod mcp;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mcp::{Watched, call, echo, names, tools};
use realtime_run::agent::{Agent, Agents};
use realtime_run::script::Script;
use realtime_run::tool::{McpCommand, McpError, McpServer, McpServers, Tool, ToolCall};
use realtime_run::trace::{MemoryProcessor, Span, SpanData, Tracer};
use serde_json::{Value, json};

/// Why the server can't be used.
async fn failure(server: McpServer) -> McpError {
    McpServers::new().tools(&Arc::new(server)).await.unwrap_err()
}

#[tokio::test]
async fn a_server_s_tools_are_told_and_called() {
    let Some(watched) = Watched::new("docs", &[]) else {
        return;
    };
    let (servers, server) = (McpServers::new(), Arc::new(watched.server()));
    let tools = tools(&servers, &server).await;
    assert_eq!(names(&tools), ["echo", "env", "grow", "hang", "leave"]);
    assert_eq!(tools[0].spec().description, "Does echo.");
    assert_eq!(
        tools[0].spec().parameters["properties"]["message"]["type"],
        "string"
    );
    assert_eq!(tools[0].mcp_server(), Some("docs"));
    assert_eq!(echo(&tools, "hello").await.unwrap(), "Echo: hello");
    let wrong = call(&tools, "echo", json!("hello")).await.unwrap_err();
    assert_eq!(wrong.message(), "the arguments must be a JSON object");
    servers.close().await;
}

#[tokio::test]
async fn m2_a_list_is_asked_for_again_only_when_it_has_changed() {
    let Some(watched) = Watched::new("docs", &[]) else {
        return;
    };
    let (servers, server) = (McpServers::new(), Arc::new(watched.server()));
    for _ in 0..3 {
        assert_eq!(tools(&servers, &server).await.len(), 5);
    }
    assert_eq!((watched.count("initialize"), watched.count("tools/list")), (1, 1));

    call(&tools(&servers, &server).await, "grow", json!({}))
        .await
        .unwrap();
    // The notice was sent before the answer, but may be handled after it.
    let mut grown = tools(&servers, &server).await;
    while grown.len() == 5 {
        tokio::task::yield_now().await;
        grown = tools(&servers, &server).await;
    }
    assert_eq!(names(&grown).last(), Some(&"grown"));
    tools(&servers, &server).await;
    assert_eq!((watched.count("initialize"), watched.count("tools/list")), (1, 2));
    servers.close().await;
}

#[tokio::test]
async fn a_server_that_tells_no_changes_is_asked_each_time() {
    let Some(watched) = Watched::new("docs", &["no-notices"]) else {
        return;
    };
    let (servers, server) = (McpServers::new(), Arc::new(watched.server()));
    for asked in 1..=3 {
        tools(&servers, &server).await;
        assert_eq!(watched.count("tools/list"), asked);
    }
    assert_eq!(watched.count("initialize"), 1);
    servers.close().await;
}

#[tokio::test]
async fn a_failed_start_names_the_server_the_cause_and_the_end_of_stderr() {
    let Some(watched) = Watched::new("docs", &["fail"]) else {
        return;
    };
    let mut server = watched.server();
    server.transport = watched.command().env("DATABASE", "postgres://planted").into();
    let error = failure(server).await;
    let expected = "the MCP server `docs` ended before it was ready; the end of its stderr:\nstarting\nno database at ***";
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.server(), "docs");
    watched.ended().await;
}

#[tokio::test]
async fn a_failed_start_is_not_tried_again() {
    let Some(watched) = Watched::new("docs", &["fail"]) else {
        return;
    };
    let (servers, server) = (McpServers::new(), Arc::new(watched.server()));
    let first = servers.tools(&server).await.unwrap_err();
    assert_eq!(servers.tools(&server).await.unwrap_err(), first);
    assert_eq!(watched.processes().len(), 1);
}

#[tokio::test]
async fn a_program_that_is_missing_is_told() {
    let error = failure(McpServer::new(
        "docs",
        McpCommand::new("no-such-program", [""; 0]),
    ))
    .await;
    let expected = "the MCP server `docs` can't be run: the program `no-such-program` can't start: there is no such \
                    program in PATH; install it, or give its path";
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up_and_ended() {
    for (way, expected) in [
        (
            "silent",
            "the MCP server `docs` could not be started: no answer within 700ms",
        ),
        (
            "silent-list",
            "the MCP server `docs` did not list its tools: no answer within 700ms",
        ),
    ] {
        let Some(watched) = Watched::new("docs", &[way, "child"]) else {
            return;
        };
        let mut server = watched.server();
        server.startup_timeout = Duration::from_millis(700);
        let error = failure(server).await.to_string();
        // On a busy machine Python itself may take longer than that.
        if watched.count("initialize") > 0 && (way == "silent" || watched.count("tools/list") > 0) {
            assert!(error.starts_with(expected), "{error}");
        }
        assert!(error.contains("`startup_timeout_sec` gives it longer"), "{error}");
        if !watched.processes().is_empty() {
            watched.ended().await;
        }
    }
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_cancelled() {
    let Some(watched) = Watched::new("docs", &[]) else {
        return;
    };
    let mut server = watched.server();
    server.tool_timeout = Duration::from_millis(200);
    let (servers, server) = (McpServers::new(), Arc::new(server));
    let tools = tools(&servers, &server).await;
    let error = call(&tools, "hang", json!({})).await.unwrap_err();
    let expected = "the MCP server `docs` took longer than 200ms (`tool_timeout_sec` gives it longer)";
    assert_eq!(error.message(), expected);
    watched.saw("notifications/cancelled").await;
    servers.close().await;
}

#[tokio::test]
async fn a_server_that_has_ended_is_told_in_calls_and_lists() {
    let Some(watched) = Watched::new("docs", &["no-notices"]) else {
        return;
    };
    let (servers, server) = (McpServers::new(), Arc::new(watched.server()));
    let tools = tools(&servers, &server).await;
    let expected = "the MCP server `docs` could not be called: the server has ended";
    assert_eq!(
        call(&tools, "leave", json!({})).await.unwrap_err().message(),
        expected
    );
    assert_eq!(echo(&tools, "hello").await.unwrap_err().message(), expected);
    let error = servers.tools(&server).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the MCP server `docs` did not list its tools: the server has ended"
    );
}

#[tokio::test]
async fn what_a_tool_says_went_wrong_is_for_the_model() {
    let Some(watched) = Watched::new("docs", &["tools=fail"]) else {
        return;
    };
    let (servers, server) = (McpServers::new(), Arc::new(watched.server()));
    let tools = tools(&servers, &server).await;
    assert_eq!(
        call(&tools, "fail", json!({})).await.unwrap_err().message(),
        "No such city."
    );
    servers.close().await;
}

#[tokio::test]
async fn p4_a_server_is_told_the_place_of_each_call_in_the_trace() {
    let Some(watched) = Watched::new("docs", &["tools=env,meta"]) else {
        return;
    };
    let (servers, server) = (McpServers::new(), Arc::new(watched.server()));
    let tracer = Tracer::builder().processor(MemoryProcessor::default()).build();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let trace = tracer
        .trace("t")
        .parent(parent.parse().unwrap(), Some("vendor=1".into()));
    let trace = trace.start();
    let agent = trace.context().span(SpanData::agent("Assistant"));
    let tools = agent.context().scope(tools(&servers, &server)).await;
    let told = |name: &'static str| {
        let tools = &tools;
        async move {
            let told = call(tools, name, json!({})).await.unwrap();
            serde_json::from_str::<Value>(&told).unwrap()
        }
    };
    let place = |span: &Span| span.context().traceparent().unwrap().to_string();
    for _ in 0..2 {
        let span = agent.context().span(SpanData::function("meta"));
        let meta = span.context().scope(told("meta")).await;
        assert_eq!(meta["traceparent"], place(&span));
        assert_eq!(meta["tracestate"], "vendor=1");
    }
    let environment = told("env").await;
    assert_eq!(environment["TRACEPARENT"], place(&agent), "it was started there");
    assert_eq!(environment["TRACESTATE"], "vendor=1");
    let meta = told("meta").await;
    assert_eq!(
        meta.get("traceparent"),
        None,
        "nothing where nothing is recorded (span rule N1)"
    );
    servers.close().await;
}

#[tokio::test]
async fn a_server_s_environment_is_safe_and_has_what_was_given() {
    let Some(watched) = Watched::new("docs", &[]) else {
        return;
    };
    let mut server = watched.server();
    server.transport = watched.command().env("TOKEN", "abc").into();
    let (servers, server) = (McpServers::new(), Arc::new(server));
    let tools = tools(&servers, &server).await;
    let seen: Value = serde_json::from_str(&call(&tools, "env", json!({})).await.unwrap()).unwrap();
    assert_eq!(seen["TOKEN"], "abc");
    assert_eq!(seen["HOME"], std::env::var("HOME").unwrap());
    // Set by cargo for every test, so that it stands for any variable of ours.
    assert!(std::env::var("CARGO_MANIFEST_DIR").is_ok());
    assert_eq!(seen.get("CARGO_MANIFEST_DIR"), None);
    servers.close().await;
}

#[tokio::test]
async fn closing_lets_a_server_leave_by_itself() {
    let Some(watched) = Watched::new("docs", &[]) else {
        return;
    };
    let (servers, server) = (McpServers::new(), Arc::new(watched.server()));
    tools(&servers, &server).await;
    servers.close().await;
    watched.saw("stdin closed").await;
    assert!(!watched.processes().into_iter().any(mcp::runs));
}

#[tokio::test]
async fn closing_ends_a_server_that_stays_and_what_it_has_started() {
    let Some(watched) = Watched::new("docs", &["stays", "child"]) else {
        return;
    };
    let (servers, server) = (McpServers::new(), Arc::new(watched.server()));
    tools(&servers, &server).await;
    assert_eq!(watched.processes().len(), 2);
    servers.close().await;
    assert!(watched.count("stdin closed") == 1 && watched.count("SIGTERM") == 1);
    watched.ended().await;
}

#[tokio::test]
async fn dropping_ends_a_server_at_once() {
    let Some(watched) = Watched::new("docs", &["stays", "child"]) else {
        return;
    };
    let (servers, server) = (McpServers::new(), Arc::new(watched.server()));
    let tools = tools(&servers, &server).await;
    drop(servers);
    watched.ended().await;
    assert!(echo(&tools, "hello").await.is_err());
}

#[tokio::test]
async fn a_script_s_mock_stands_in_for_a_tool_of_a_server() {
    let Some(watched) = Watched::new("docs", &[]) else {
        return;
    };
    let text = "[tools.echo]\noutput = 'mocked'\n[[turns]]\nuser = 'Hello'";
    let script = Script::parse("test.toml", text, Path::new("."), &[]).unwrap();
    let mut agents = Agents::new(Agent::new("A").mcp_server(watched.server()));
    script.check_with(&agents).unwrap();
    script.apply_to(&mut agents);
    let servers = McpServers::new();
    let agent = agents.resolve_entry(&json!({}), &servers).await.unwrap();
    let echo = agent
        .tools
        .iter()
        .find(|tool| tool.spec().name == "echo")
        .unwrap();
    let call = |arguments| echo.call(ToolCall::new("call_1", "A", arguments));
    let answer = call(json!({"message": "hello"})).await.unwrap();
    assert_eq!(
        (answer.into_text().as_str(), echo.mcp_server()),
        ("mocked", Some("docs"))
    );
    let wrong = call(json!({"message": 1})).await.unwrap_err();
    assert!(wrong.message().starts_with("invalid arguments"), "{wrong}");
    assert_eq!(watched.count("tools/call"), 0);
    servers.close().await;
}

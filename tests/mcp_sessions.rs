//! MCP servers in sessions: what agents get of them, what the trace tells, and that they end with the session.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod mcp;

use std::sync::Arc;

use mcp::{LIMIT, Watched};
use realtime_run::agent::{Agent, Agents, ResolveError, ResolvedAgent};
use realtime_run::context::Condition;
use realtime_run::protocol::{Item, Part, Role};
use realtime_run::session::{Decision, Session, SessionError, SessionEvent};
use realtime_run::simulator::{Brain, Options, Output, Prompt, Reply, Simulator};
use realtime_run::tool::{McpServer, McpServers, OutputTool, ToolCall, ToolSpec};
use realtime_run::trace::{MemoryProcessor, SpanData, SpanRecord, Trace, Tracer};
use realtime_run::transport::Endpoint;
use serde_json::json;

/// Calls the functions that the user names, each after the word `call`.
struct Obedient;

impl Brain for Obedient {
    fn answer(&mut self, prompt: &Prompt<'_>) -> Reply {
        let wish = match prompt.items().next_back() {
            Some(Item::Message(message)) if message.role == Role::User => {
                message.content.iter().find_map(text)
            }
            _ => None,
        };
        let output = match wish.as_deref().and_then(|wish| wish.strip_prefix("call ")) {
            Some(name) => Output::Call {
                name: name.to_owned(),
                arguments: r#"{"message": "hello"}"#.to_owned(),
            },
            None => Output::Say("Done.".to_owned()),
        };
        vec![output].into()
    }
}

fn text(part: &Part) -> Option<String> {
    match part {
        Part::InputText { text } => Some(text.clone()),
        _ => None,
    }
}

/// A simulator, and a trace to hold sessions in.
struct Stage {
    simulator: Simulator,
    memory: Arc<MemoryProcessor>,
    trace: Trace,
}

impl Stage {
    async fn new() -> Self {
        let options = Options {
            brain: Arc::new(|| Box::new(Obedient)),
            ..Options::default()
        };
        let simulator = Simulator::bind_with("127.0.0.1:0", options).await.unwrap();
        let memory = Arc::new(MemoryProcessor::default());
        let trace = Tracer::builder()
            .processor(Arc::clone(&memory))
            .build()
            .trace("test")
            .start();
        Self {
            simulator,
            memory,
            trace,
        }
    }

    async fn connect(&self, agents: Agents) -> Result<Session, SessionError> {
        let endpoint = Endpoint::new(&self.simulator.url()).unwrap();
        let session = Session::builder(agents).endpoint(endpoint).connect();
        tokio::time::timeout(LIMIT, self.trace.scope(session))
            .await
            .unwrap()
    }

    /// The finished spans of a kind, in the order in which they ended.
    fn spans(&self, kind: &str) -> Vec<Arc<SpanRecord>> {
        let spans = self.memory.spans().into_iter();
        spans.filter(|span| span.data.kind() == kind).collect()
    }
}

/// Says something and reads on to the end of the turn; the end of one without an answer, such as a change of agent, is not
/// it.
async fn turn(session: &mut Session, words: &str) -> Vec<SessionEvent> {
    session.send_message(words).await.unwrap();
    let mut events = Vec::new();
    let is_answer = |event: &SessionEvent| matches!(event, SessionEvent::AgentEnd { .. });
    while !matches!(events.last(), Some(SessionEvent::TurnEnd { .. })) || !events.iter().any(is_answer) {
        let next = tokio::time::timeout(LIMIT, session.next()).await;
        events.push(next.unwrap().unwrap());
    }
    events
}

/// The outputs of the tools that were called.
fn outputs(events: &[SessionEvent]) -> Vec<&str> {
    let output = |event: &'_ SessionEvent| matches!(event, SessionEvent::ToolEnd { .. });
    let ends = events.iter().filter(|event| output(event));
    ends.map(|event| match event {
        SessionEvent::ToolEnd { output, .. } => output.as_str(),
        _ => "",
    })
    .collect()
}

fn tool(name: &str) -> OutputTool {
    // Takes what `Obedient` gives to whatever it calls.
    let spec = ToolSpec::new(name, "Does it.").parameters(json!({"type": "object", "properties": {}}));
    OutputTool::new(spec, "done")
}

/// What an agent that uses these servers gets.
async fn resolve(agent: Agent, servers: &McpServers) -> Result<ResolvedAgent, ResolveError> {
    let name = agent.name.clone();
    Agents::new(agent).resolve(&name, &json!({}), servers).await
}

#[tokio::test]
async fn tools_are_left_out_and_those_that_are_missing_are_told() {
    let Some(watched) = Watched::new("docs", &["tools=echo,add,sub"]) else {
        return;
    };
    let mut server = watched.server();
    server.enabled_tools = Some(vec!["sub".into(), "echo".into(), "mul".into()]);
    server.disabled_tools = vec!["echo".into()];
    let servers = McpServers::new();
    let agent = resolve(Agent::new("A").tool(tool("own")).mcp_server(server), &servers)
        .await
        .unwrap();
    assert_eq!(agent.tool_names(), ["own", "sub"]);
    assert_eq!(
        agent.warnings,
        ["the MCP server `docs` has no tool `mul` (`enabled_tools`)"]
    );
}

#[tokio::test]
async fn a_server_that_is_not_enabled_is_not_started() {
    let Some(watched) = Watched::new("docs", &[]) else {
        return;
    };
    let mut server = watched.server();
    server.enabled = false;
    let servers = McpServers::new();
    let agent = resolve(Agent::new("A").mcp_server(server), &servers)
        .await
        .unwrap();
    assert_eq!((agent.tool_names().len(), watched.log().len()), (0, 0));
}

#[tokio::test]
async fn a_server_is_used_where_its_condition_holds() {
    let Some(watched) = Watched::new("docs", &["tools=echo"]) else {
        return;
    };
    let mut server = watched.server();
    server.when = Some(Condition::new("tier == 'gold'").unwrap());
    let (servers, agents) = (McpServers::new(), Agents::new(Agent::new("A").mcp_server(server)));
    let silver = agents.resolve("A", &json!({"tier": "silver"}), &servers).await;
    assert_eq!((silver.unwrap().tool_names().len(), watched.log().len()), (0, 0));
    let gold = agents.resolve("A", &json!({"tier": "gold"}), &servers).await;
    assert_eq!(gold.unwrap().tool_names(), ["echo"]);
    let unknown = agents.resolve("A", &json!({}), &servers).await.unwrap_err();
    let expected = "the condition of the MCP server `docs`";
    assert!(unknown.to_string().contains(expected), "{unknown}");
}

#[tokio::test]
async fn wrong_arguments_do_not_reach_a_server() {
    let Some(watched) = Watched::new("docs", &["tools=echo"]) else {
        return;
    };
    let servers = McpServers::new();
    let agent = resolve(Agent::new("A").mcp_server(watched.server()), &servers)
        .await
        .unwrap();
    let call = ToolCall::new("call_1", "A", json!({"message": 5}));
    let error = agent.tools[0].call(call).await.unwrap_err();
    assert!(
        error.message().starts_with("invalid arguments: message: "),
        "{error}"
    );
    assert_eq!(watched.count("tools/call"), 0);
}

#[tokio::test]
async fn tools_that_are_overridden_for_a_run_take_the_place_of_those_of_servers() {
    let Some(watched) = Watched::new("docs", &["tools=echo"]) else {
        return;
    };
    let agent = Agent::new("A").tool(tool("own")).mcp_server(watched.server());
    let mut agents = Agents::new(agent);
    agents.override_tools(&["own"]).unwrap();
    let servers = McpServers::new();
    let entered = agents.resolve_entry(&json!({}), &servers).await.unwrap();
    assert_eq!(
        (entered.tool_names(), watched.log().len()),
        (vec!["own".to_owned()], 0)
    );
    let later = agents.resolve("A", &json!({}), &servers).await.unwrap();
    assert_eq!(later.tool_names(), ["own", "echo"]);
}

#[tokio::test]
async fn a_clash_is_an_error_unless_the_server_may_be_prefixed() {
    let Some(watched) = Watched::new("docs", &["tools=echo,add"]) else {
        return;
    };
    let Some(other) = Watched::new("more", &["tools=echo"]) else {
        return;
    };
    let agent = |docs: McpServer, more: McpServer| {
        Agent::new("A")
            .tool(tool("add"))
            .mcp_server(docs)
            .mcp_server(more)
    };
    let prefixed = |mut server: McpServer| {
        server.prefix_on_clash = true;
        server
    };
    let servers = McpServers::new();
    let error = resolve(agent(watched.server(), prefixed(other.server())), &servers)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "agent `A` can't have the tool `add` of the MCP server `docs`: another function has that name; set \
         `prefix_on_clash = true` for the server, or leave the tool out with `disabled_tools`"
    );
    let resolved = resolve(agent(prefixed(watched.server()), other.server()), &servers)
        .await
        .unwrap();
    assert_eq!(resolved.tool_names(), ["add", "docs__echo", "docs__add", "echo"]);
}

#[tokio::test]
async fn a_name_that_the_api_does_not_take_is_told() {
    let Some(watched) = Watched::new("docs", &["tools=a.b"]) else {
        return;
    };
    let servers = McpServers::new();
    let error = resolve(Agent::new("A").mcp_server(watched.server()), &servers)
        .await
        .unwrap_err();
    let expected = "agent `A` can't have the tool `a.b` of the MCP server `docs`: names are 1 to 64 letters";
    assert!(error.to_string().starts_with(expected), "{error}");
}

#[tokio::test]
async fn m2_each_activation_lists_once_and_all_share_one_server() {
    let Some(watched) = Watched::new("docs", &["no-notices"]) else {
        return;
    };
    let stage = Stage::new().await;
    let server = Arc::new(watched.server());
    let agents = Agents::new(Agent::new("A").mcp_server(Arc::clone(&server)))
        .with(Agent::new("B").mcp_server(server))
        .with(Agent::new("C"));
    let session = stage.connect(agents).await.unwrap();
    for (agent, listed) in [("B", 2), ("C", 2), ("A", 3)] {
        session.update_agent(agent).await.unwrap();
        assert_eq!(watched.count("tools/list"), listed);
    }
    assert_eq!(watched.count("initialize"), 1);
    session.close().await;
    assert_eq!(stage.spans("mcp_tools").len(), 3);
}

#[tokio::test]
async fn an_unchanged_list_is_not_asked_for_again() {
    let Some(watched) = Watched::new("docs", &[]) else {
        return;
    };
    let stage = Stage::new().await;
    let agents = Agents::new(Agent::new("A").mcp_server(watched.server()));
    let mut session = stage.connect(agents).await.unwrap();
    session.update_agent("A").await.unwrap();
    assert_eq!(watched.count("tools/list"), 1);
    assert_eq!(outputs(&turn(&mut session, "call grow").await), ["grew"]);
    session.update_agent("A").await.unwrap();
    session.close().await;
    assert_eq!(watched.count("tools/list"), 2);
    let SpanData::Agent {
        tools: Some(tools), ..
    } = stage.spans("agent").pop().unwrap().data.clone()
    else {
        panic!("no tools")
    };
    assert_eq!(tools.last().unwrap(), "grown");
}

#[tokio::test]
async fn p3_listings_and_calls_show_under_the_agent_in_charge_and_name_their_server() {
    let Some(watched) = Watched::new("docs", &["no-notices"]) else {
        return;
    };
    let stage = Stage::new().await;
    let server = Arc::new(watched.server());
    let agents = Agents::new(Agent::new("A").tool(tool("own")).mcp_server(Arc::clone(&server)))
        .with(Agent::new("B").mcp_server(server));
    let mut session = stage.connect(agents).await.unwrap();
    assert_eq!(outputs(&turn(&mut session, "call echo").await), ["Echo: hello"]);
    assert_eq!(outputs(&turn(&mut session, "call own").await), ["done"]);
    session.update_agent("B").await.unwrap();
    session.close().await;

    let agents = stage.spans("agent");
    let [a, _] = agents.as_slice() else {
        panic!("{agents:?}")
    };
    let listings = stage.spans("mcp_tools");
    assert_eq!(listings.len(), 2);
    for listing in listings {
        assert_eq!(
            listing.parent_id,
            Some(a.id),
            "A was in charge when B was resolved"
        );
        assert!(listing.started_at >= a.started_at && listing.ended_at <= a.ended_at);
        let SpanData::McpTools { server, result } = &listing.data else {
            panic!("{listing:?}")
        };
        assert_eq!(server.as_deref(), Some("docs"));
        assert_eq!(result.as_ref().unwrap()[..2], ["echo", "env"]);
    }
    let of_server = |span: &SpanRecord| match &span.data {
        SpanData::Function { mcp_data, .. } => mcp_data.as_ref().map(ToString::to_string),
        _ => None,
    };
    let functions = stage.spans("function");
    let servers: Vec<_> = functions.iter().map(|span| of_server(span)).collect();
    assert_eq!(servers, [Some(r#"{"server":"docs"}"#.to_owned()), None]);
}

#[tokio::test]
async fn l3_a_server_that_fails_to_start_fails_the_entry() {
    let Some(watched) = Watched::new("docs", &["fail"]) else {
        return;
    };
    let Some(other) = Watched::new("more", &["child"]) else {
        return;
    };
    let stage = Stage::new().await;
    let agents = Agents::new(
        Agent::new("A")
            .mcp_server(watched.server())
            .mcp_server(other.server()),
    );
    let error = stage.connect(agents).await.unwrap_err();
    let expected = "agent `A` can't take charge: the MCP server `docs` ended before it was ready; the end of its \
                    stderr:\nstarting\nno database at home";
    assert!(matches!(
        error,
        SessionError::Resolve(ResolveError::McpServer { .. })
    ));
    assert_eq!(error.to_string(), expected);
    let agents = stage.spans("agent");
    let [span] = agents.as_slice() else {
        panic!("{agents:?}")
    };
    assert_eq!(span.error.as_ref().unwrap().message, expected);
    assert!(
        !other.processes().into_iter().any(mcp::runs),
        "ended before the error is told"
    );
}

#[tokio::test]
async fn a_server_that_is_not_required_gives_a_warning() {
    let Some(watched) = Watched::new("docs", &["fail"]) else {
        return;
    };
    let stage = Stage::new().await;
    let mut server = watched.server();
    server.required = false;
    let agents = Agents::new(Agent::new("A").tool(tool("own")).mcp_server(server));
    let mut session = stage.connect(agents).await.unwrap();
    let events = turn(&mut session, "call own").await;
    let place = |wanted: fn(&SessionEvent) -> bool| events.iter().position(wanted);
    let started = place(|event| matches!(event, SessionEvent::SessionStart { .. })).unwrap();
    let SessionEvent::Warning { message } = &events[started + 1] else {
        panic!("{events:?}")
    };
    assert!(
        message.starts_with("the MCP server `docs` ended before it was ready"),
        "{message}"
    );
    assert!(message.ends_with("; the agent goes on without it"), "{message}");
    assert_eq!(outputs(&events), ["done"]);
    session.close().await;
}

#[tokio::test]
async fn l6_a_handoff_to_an_agent_whose_server_fails_keeps_the_agent() {
    let Some(watched) = Watched::new("docs", &["fail"]) else {
        return;
    };
    let stage = Stage::new().await;
    let agents = Agents::new(Agent::new("A").handoff("B")).with(Agent::new("B").mcp_server(watched.server()));
    let mut session = stage.connect(agents).await.unwrap();
    turn(&mut session, "call transfer_to_b").await;
    session.close().await;
    assert_eq!(stage.spans("agent").len(), 1);
    let error = stage.spans("handoff").pop().unwrap().error.clone().unwrap();
    assert!(
        error
            .message
            .contains("the MCP server `docs` ended before it was ready"),
        "{}",
        error.message
    );
}

#[tokio::test]
async fn servers_end_with_the_session() {
    let Some(watched) = Watched::new("docs", &["stays", "child"]) else {
        return;
    };
    let stage = Stage::new().await;
    let session = stage
        .connect(Agents::new(Agent::new("A").mcp_server(watched.server())))
        .await
        .unwrap();
    session.close().await;
    assert!(
        !watched.processes().into_iter().any(mcp::runs),
        "ended when closing has ended"
    );
}

#[tokio::test]
async fn servers_end_when_the_session_is_dropped() {
    let Some(watched) = Watched::new("docs", &["stays", "child"]) else {
        return;
    };
    let stage = Stage::new().await;
    let session = stage
        .connect(Agents::new(Agent::new("A").mcp_server(watched.server())))
        .await
        .unwrap();
    drop(session);
    watched.ended().await;
}

#[test]
fn servers_end_with_the_runtime() {
    let Some(watched) = Watched::new("docs", &["stays", "child"]) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let session = runtime.block_on(async {
        let stage = Stage::new().await;
        stage
            .connect(Agents::new(Agent::new("A").mcp_server(watched.server())))
            .await
            .unwrap()
    });
    drop(runtime);
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(watched.ended());
    drop(session);
}

#[tokio::test]
async fn the_tools_of_a_server_may_need_approval() {
    let Some(watched) = Watched::new("watched", &[]) else {
        return;
    };
    let stage = Stage::new().await;
    let mut server = watched.server();
    server.needs_approval = Condition::new("args.message == 'hello'").unwrap().into();
    let mut session = stage
        .connect(Agents::new(Agent::new("Assistant").mcp_server(server)))
        .await
        .unwrap();
    session.send_message("call echo").await.unwrap();
    let call_id = loop {
        let next = tokio::time::timeout(LIMIT, session.next()).await;
        if let SessionEvent::ToolApprovalRequired { call_id, .. } = next.unwrap().unwrap() {
            break call_id;
        }
    };
    session
        .decide(call_id, Decision::approve().always())
        .await
        .unwrap();
    // It holds on after the tools have been listed anew.
    session.update_agent("Assistant").await.unwrap();
    let events = turn(&mut session, "call echo").await;
    assert!(
        outputs(&events).iter().all(|output| output.contains("hello")),
        "{events:?}"
    );
    let asked = |event: &SessionEvent| matches!(event, SessionEvent::ToolApprovalRequired { .. });
    assert!(!events.iter().any(asked), "{events:?}");
    session.close().await;
    stage.simulator.shutdown().await;
}

//! A session with a tool written in Rust, against the embedded simulator: no key, no network.
//!
//! `cargo run --example rust_tool`

use realtime_run::agent::{Agent, Agents};
use realtime_run::session::{Session, SessionEvent};
use realtime_run::simulator::Simulator;
use realtime_run::tool::{FunctionTool, ToolError, ToolOutput};
use realtime_run::transport::Endpoint;
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let parameters = json!({
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    });
    let weather = FunctionTool::new(
        "get_weather",
        "Current weather for a city.",
        parameters,
        |call| async move {
            let city = call.arguments["city"]
                .as_str()
                .ok_or_else(|| ToolError::new("which city?"))?;
            Ok(ToolOutput::from(format!("22 degrees and clear in {city}")))
        },
    );
    let agents = Agents::new(
        Agent::new("Assistant")
            .instructions("Answer in one sentence.")
            .tool(weather),
    );

    let simulator = Simulator::bind("127.0.0.1:0").await?;
    let mut session = Session::builder(agents)
        .endpoint(Endpoint::new(&simulator.url())?)
        .connect()
        .await?;
    session.send_message("What is the weather in Rome?").await?;
    while let Some(event) = session.next().await {
        match event {
            SessionEvent::ToolStart { tool, arguments, .. } => println!("[{tool} {arguments}]"),
            SessionEvent::TranscriptDelta { delta, .. } => print!("{delta}"),
            SessionEvent::TurnEnd { .. } => {
                println!();
                session.close().await;
            }
            _ => {}
        }
    }
    simulator.shutdown().await;
    Ok(())
}

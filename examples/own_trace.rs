//! An application's own trace around two sessions: its own spans and the sessions' in one tree, and a processor of its own
//! that prints them. Against the embedded simulator: no key, no network.
//!
//! `cargo run --example own_trace`

use std::sync::Arc;
use std::time::Duration;

use realtime_run::agent::{Agent, Agents};
use realtime_run::session::{Session, SessionError, SessionEvent};
use realtime_run::simulator::Simulator;
use realtime_run::trace::{
    Context, ShutdownReport, SpanData, SpanProcessor, SpanRecord, TraceRecord, Tracer,
};
use realtime_run::transport::Endpoint;

/// Prints each span when it ends.
struct Printer;

impl SpanProcessor for Printer {
    fn on_trace_start(&self, trace: &Arc<TraceRecord>) {
        println!("{} {}", trace.id, trace.workflow_name);
    }

    fn on_span_end(&self, span: Arc<SpanRecord>) {
        let parent = span.parent_id.map_or("the trace".to_owned(), |id| id.to_string());
        println!(
            "  {} {} `{}` under {parent}",
            span.id,
            span.data.kind(),
            span.data.label()
        );
    }

    fn flush(&self, _limit: Duration) -> bool {
        true
    }

    fn shutdown(&self, _limit: Duration) -> ShutdownReport {
        ShutdownReport {
            destination: "the terminal".to_owned(),
            ..ShutdownReport::default()
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let simulator = Simulator::bind("127.0.0.1:0").await?;
    let endpoint = Endpoint::new(&simulator.url())?;
    let tracer = Tracer::builder().processor(Printer).build();

    let trace = tracer.trace("Two callers").group_id("morning").start();
    trace
        .scope(async {
            for caller in ["Ada", "Grace"] {
                // The session's agent spans hang under what is current when it is opened: this span.
                let call = Context::current().span(SpanData::custom(format!("call from {caller}")));
                call.context().scope(hold(&endpoint, caller)).await?;
                call.finish();
            }
            Ok::<_, SessionError>(())
        })
        .await?;

    simulator.shutdown().await;
    Ok(())
}

/// One question, one answer.
async fn hold(endpoint: &Endpoint, caller: &str) -> Result<(), SessionError> {
    let agents = Agents::new(Agent::new("Receptionist").instructions("Greet the caller by name."));
    let mut session = Session::builder(agents)
        .endpoint(endpoint.clone())
        .connect()
        .await?;
    session.send_message(format!("Hello, this is {caller}.")).await?;
    while let Some(event) = session.next().await {
        if let SessionEvent::TurnEnd { .. } = event {
            session.close().await;
        }
    }
    Ok(())
}

//! Whether an event costs more late in a conversation than early: CPU time per event of a session of 10,000 turns beside
//! sessions of 10, in turn.

mod support;

use std::time::Duration;

use realtime_run::agent::{Agent, Agents};
use realtime_run::session::{Session, SessionEvent};
use realtime_run::transport::Endpoint;
use support::{answer, cpu, median, runtime, server, spread, transcript_delta};

const LONG: usize = 10_000;
const SHORT: usize = 10;
const DELTAS: usize = 20;
const ROUNDS: usize = 5;

fn main() {
    let url = server(|socket| {
        if !support::open(socket) {
            return;
        }
        for turn in 0.. {
            if !support::wait_for(socket, "response.create") {
                return;
            }
            for event in answer(turn, vec![transcript_delta(turn); DELTAS]) {
                support::send(socket, &event);
            }
        }
    });
    let runtime = runtime();
    let (mut whole, mut late) = (Vec::new(), Vec::new());
    runtime.block_on(short_sessions(&url));
    for _ in 0..ROUNDS {
        let short = runtime.block_on(short_sessions(&url));
        let long = runtime.block_on(conversation(&url, LONG));
        whole.push(per_turn(&long) / short);
        late.push(per_turn(&long[LONG * 9 / 10..]) / short);
    }
    println!("time per event, CPU time of the client's thread, {LONG} turns beside {SHORT}");
    println!("  all turns:          {}", spread(whole, 2));
    println!("  the last tenth:     {}", spread(late, 2));
}

/// The median time of a turn over as many short sessions as make up a tenth of a long one.
async fn short_sessions(url: &str) -> f64 {
    let mut turns = Vec::new();
    for _ in 0..LONG / 10 / SHORT {
        turns.extend(conversation(url, SHORT).await);
    }
    per_turn(&turns)
}

fn per_turn(turns: &[Duration]) -> f64 {
    median(turns.iter().map(Duration::as_secs_f64).collect())
}

/// The CPU time of each turn.
async fn conversation(url: &str, turns: usize) -> Vec<Duration> {
    let agents = Agents::new(Agent::new("Assistant"));
    let mut session = Session::builder(agents)
        .endpoint(Endpoint::new(url).unwrap())
        .connect()
        .await
        .unwrap();
    let mut times = Vec::with_capacity(turns);
    for _ in 0..turns {
        let (time, ()) = cpu(async {
            session.send_message("go on").await.unwrap();
            while !matches!(session.next().await.unwrap(), SessionEvent::TurnEnd { .. }) {}
        })
        .await;
        times.push(time);
    }
    session.close().await;
    times
}

//! `realtime-run simulate`: a local Realtime server for other clients.

use std::path::Path;

use anyhow::Context;
use realtime_run::simulator::{EventLog, Logged, Options, Pace, Simulator, Tally};

use crate::cli::args::{self, SimulateArgs};
use crate::cli::exit::{ExitStatus, Failure};
use crate::cli::printer::Printer;
use crate::cli::replay::Replaying;
use crate::cli::signals::Signals;
use crate::cli::simulator;

/// Serves until a signal ends it.
pub fn simulate(args: &SimulateArgs, printer: &Printer) -> Result<ExitStatus, Failure> {
    // Many clients at once are what it is for.
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::broken)?;
    runtime.block_on(serve(args, printer))
}

async fn serve(args: &SimulateArgs, printer: &Printer) -> Result<ExitStatus, Failure> {
    let replaying = Replaying::load(&args.replay, printer)?;
    let event_log = args.log_events.as_deref().map(open_log).transpose()?;
    let behaviour = simulator::options(&args.simulator)?;
    let options = Options {
        refuse: args.refuse.or(behaviour.refuse),
        max_session: args.max_session,
        pace: match args.pace {
            args::Pace::Realtime => Pace::Realtime,
            args::Pace::Fast => Pace::Fast,
        },
        event_log: event_log.clone(),
        replay: replaying.as_ref().map(Replaying::replay),
        ..behaviour
    };
    let mut signals = Signals::listen().map_err(Failure::broken)?;
    let simulator = Simulator::bind_with((args.host, args.port), options)
        .await
        .with_context(|| {
            format!(
                "cannot listen on {} port {}; choose others with --host and --port",
                args.host, args.port
            )
        })
        .map_err(Failure::broken)?;
    let url = simulator.url();
    if !args.host.is_loopback() {
        printer.warning(
            "other machines can reach this server, and it asks for no key",
            None,
        );
    }
    printer.result(&url);
    printer.note(&hints(&url, printer));
    tokio::select! {
        _ = signals.next() => {}
        _ = printer.output().stdout_gone() => {}
    }
    printer.note("The server closes.");
    let served = simulator.tally();
    let served = tokio::select! {
        _ = signals.next() => served,
        served = simulator.shutdown() => served,
    };
    printer.note(&summary(&served));
    if let Some(log) = event_log {
        tell_log(&log.finish(), printer);
    }
    let status = ExitStatus::Success;
    Ok(replaying.map_or(status, |replaying| replaying.finish(status, printer)))
}

/// Each connection is an open file, of which systems allow few unless they are asked.
#[cfg(unix)]
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Where it may not be raised, fewer clients get in.
    let _ = setrlimit(Resource::Nofile, raised);
}

#[cfg(not(unix))]
fn raise_file_limit() {}

fn open_log(path: &Path) -> Result<EventLog, Failure> {
    EventLog::create(path)
        .with_context(|| {
            format!(
                "cannot write {}; choose another file with --log-events",
                path.display()
            )
        })
        .map_err(Failure::broken)
}

/// What was served, in one line and one more for each error.
fn summary(served: &Tally) -> String {
    let mut lines = vec![format!(
        "It served {}, {} and {}.",
        count(served.sessions, "session"),
        count(served.turns, "turn"),
        count(served.responses, "response")
    )];
    let errors = served.errors.iter();
    lines.extend(errors.map(|(code, times)| format!("  {}: {code}", count(*times, "error"))));
    lines.join("\n")
}

fn count(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

fn tell_log(logged: &Logged, printer: &Printer) {
    if let Some(error) = &logged.error {
        printer.warning(&format!("the log of events is not complete: {error}"), None);
    }
    if logged.dropped > 0 {
        let message = format!(
            "{} are missing in the log: they came too fast",
            count(logged.dropped, "event")
        );
        printer.warning(&message, None);
    }
}

/// How to point clients at it.
fn hints(url: &str, printer: &Printer) -> String {
    let base = url.replacen("ws", "http", 1);
    let base = base.trim_end_matches("/realtime");
    let dim = |text: &str| printer.paint().dim(text);
    format!(
        "A Realtime server listens there; any key will do. Ctrl-C ends it.\n  \
         {}  realtime-run --agent FILE --url {url}\n  \
         {}  OPENAI_BASE_URL={base} OPENAI_API_KEY=any",
        dim("this program:"),
        dim("other clients:"),
    )
}

//! `realtime-run simulate`: a local Realtime server for other clients.

use anyhow::Context;
use realtime_run::simulator::{Options, Simulator};

use crate::cli::args::SimulateArgs;
use crate::cli::exit::{ExitStatus, Failure};
use crate::cli::printer::Printer;
use crate::cli::replay::Replaying;
use crate::cli::signals::Signals;

/// Serves until a signal ends it.
pub fn simulate(args: &SimulateArgs, printer: &Printer) -> Result<ExitStatus, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::broken)?;
    runtime.block_on(serve(args, printer))
}

async fn serve(args: &SimulateArgs, printer: &Printer) -> Result<ExitStatus, Failure> {
    let replaying = Replaying::load(&args.replay, printer)?;
    let options = Options {
        replay: replaying.as_ref().map(Replaying::replay),
        ..Options::default()
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
    tokio::select! {
        _ = signals.next() => {}
        () = simulator.shutdown() => {}
    }
    let status = ExitStatus::Success;
    Ok(replaying.map_or(status, |replaying| replaying.finish(status, printer)))
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

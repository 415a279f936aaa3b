//! `realtime-run traces resend`: sends what could not be delivered.

use std::cell::Cell;
use std::env;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use realtime_run::Secret;
use realtime_run::trace::{Destination, ShutdownReport, SpanExporter, StoredRun, TraceStore};
use tokio::time::{Instant, sleep_until};

use crate::cli::args::ResendArgs;
use crate::cli::exit::{ExitStatus, Failure};
use crate::cli::printer::Printer;
use crate::cli::signals::Signals;
use crate::cli::trace::{TraceTarget, counted, exporters};

/// Sends what is left, destination by destination, until it is sent or the destination can't take it.
pub fn resend(store: &TraceStore, args: &ResendArgs, printer: &Printer) -> Result<ExitStatus, Failure> {
    let runs = chosen(store, args)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::broken)?;
    let result = runtime.block_on(async {
        let mut work = Resend {
            printer,
            signals: Signals::listen().map_err(Failure::broken)?,
            until: args.timeout.and_then(|limit| Instant::now().checked_add(limit)),
            is_over: Cell::new(false),
            sent: Sent::default(),
        };
        for (destination, runs) in jobs(&runs, args)? {
            work.destination(&destination, &runs).await?;
        }
        Ok::<_, Failure>(work.sent)
    });
    runtime.shutdown_background();
    let sent = result?;
    printer.result(&sent.line());
    Ok(match sent.left {
        0 => ExitStatus::Success,
        _ => ExitStatus::Failure,
    })
}

/// The runs that were named; all, if none was.
fn chosen(store: &TraceStore, args: &ResendArgs) -> Result<Vec<StoredRun>, Failure> {
    let mut runs = store
        .runs()
        .with_context(|| format!("cannot read {}", store.dir().display()))
        .map_err(Failure::broken)?;
    if let Some(id) = args
        .traces
        .iter()
        .find(|id| runs.iter().all(|run| run.trace_id() != **id))
    {
        let dir = store.dir().display();
        return Err(Failure::usage(anyhow!("there is no {id} in {dir}")));
    }
    runs.retain(|run| args.traces.is_empty() || args.traces.contains(&run.trace_id()));
    Ok(runs)
}

/// What may have to be sent where.
fn jobs<'a>(
    runs: &'a [StoredRun],
    args: &ResendArgs,
) -> Result<Vec<(Destination, Vec<&'a StoredRun>)>, Failure> {
    let mut jobs: Vec<(Destination, Vec<&StoredRun>)> = Vec::new();
    let mut add = |destination: Destination, run: &'a StoredRun| match jobs
        .iter_mut()
        .find(|(known, _)| *known == destination)
    {
        Some((_, runs)) => runs.push(run),
        None => jobs.push((destination, vec![run])),
    };
    if args.to.is_empty() {
        for run in runs {
            for destination in run.destinations() {
                add(destination.clone(), run);
            }
        }
    }
    for target in &args.to {
        let to = destination(target, args)?;
        for run in runs {
            let meant = run.destinations().iter().find(|meant| match args.trace_endpoint {
                Some(_) => **meant == to,
                None => meant.exporter == to.exporter,
            });
            match meant {
                Some(meant) => add(meant.clone(), run),
                None if !args.traces.is_empty() => add(to.clone(), run),
                None => {}
            }
        }
    }
    Ok(jobs)
}

fn destination(target: &TraceTarget, args: &ResendArgs) -> Result<Destination, Failure> {
    let endpoint = args.trace_endpoint.as_deref();
    let destination = match target {
        TraceTarget::Openai => Destination::of(&exporters::openai(endpoint, None)?),
        TraceTarget::Otlp => Destination::of(&exporters::otlp(endpoint)?),
        _ => None,
    };
    destination.ok_or_else(|| {
        Failure::usage(anyhow!(
            "--to {target} is no place to send to later: traces can be sent to openai and otlp"
        ))
    })
}

struct Resend<'a> {
    printer: &'a Printer,
    signals: Signals,
    until: Option<Instant>,
    /// A signal came, or time ran out.
    is_over: Cell<bool>,
    sent: Sent,
}

/// What was sent in all.
#[derive(Debug, Default)]
struct Sent {
    runs: u64,
    spans: u64,
    refused: u64,
    left: u64,
}

impl Resend<'_> {
    async fn destination(&mut self, to: &Destination, runs: &[&StoredRun]) -> Result<(), Failure> {
        match to.exporter.as_str() {
            "openai" => {
                let key = env::var("OPENAI_API_KEY").ok().and_then(Secret::new);
                let exporter = exporters::openai(Some(&to.endpoint), key)?;
                self.send(&Arc::new(exporter), to, runs).await
            }
            "otlp" => {
                let exporter = exporters::otlp(Some(&to.endpoint))?;
                self.send(&Arc::new(exporter), to, runs).await
            }
            other => {
                let message = format!("nothing is sent to {other}: this version does not know how");
                self.printer.warning(&message, None);
                Ok(())
            }
        }
    }

    /// Sends runs one after the other; when the destination can't take one, the others stay as well.
    async fn send(
        &mut self,
        exporter: &Arc<impl SpanExporter>,
        to: &Destination,
        runs: &[&StoredRun],
    ) -> Result<(), Failure> {
        let mut is_hopeless = false;
        for run in runs {
            if run.is_held() {
                self.printer.note(&format!("{} is in use", run.trace_id()));
                continue;
            }
            if is_hopeless || self.is_over.get() {
                self.sent.left += pending(run, to);
                continue;
            }
            let over = over(&mut self.signals, self.until, &self.is_over);
            let report = run.resend(exporter, over).await;
            let path = run.path().display();
            let report = report.with_context(|| format!("cannot send what {path} holds"));
            if let Some(report) = report.map_err(Failure::broken)? {
                self.tell(run, &report);
                is_hopeless = report.kept > 0;
            }
        }
        Ok(())
    }

    fn tell(&mut self, run: &StoredRun, report: &ShutdownReport) {
        let (id, to) = (run.trace_id(), &report.destination);
        self.sent.runs += u64::from(report.sent > 0);
        self.sent.spans += report.sent_spans;
        self.sent.refused += report.dropped;
        self.sent.left += report.kept;
        if report.sent > 0 {
            let spans = counted(report.sent_spans, "span");
            self.printer.note(&format!("{id}: {spans} sent to {to}"));
        }
        for (items, losses, what) in [
            (report.dropped, &report.losses, "will not get"),
            (report.kept, &report.postponements, "did not get"),
        ] {
            if items > 0 {
                let reasons: Vec<_> = losses.iter().map(|loss| loss.reason.as_str()).collect();
                let (items, reasons) = (counted(items, "item"), reasons.join("; "));
                self.printer
                    .warning(&format!("{id}: {items} {what} to {to}: {reasons}"), None);
            }
        }
    }
}

impl Sent {
    fn line(&self) -> String {
        let Self {
            runs,
            spans,
            refused,
            left,
        } = self;
        if (*runs, *refused, *left) == (0, 0, 0) {
            return "nothing waits to be sent".to_owned();
        }
        let mut line = match runs {
            0 => "sent nothing".to_owned(),
            _ => format!("sent {} of {}", counted(*spans, "span"), counted(*runs, "run")),
        };
        if *refused > 0 {
            line += &format!("; {} refused", counted(*refused, "item"));
        }
        if *left > 0 {
            line += &format!("; {} still to be sent", counted(*left, "item"));
        }
        line
    }
}

fn pending(run: &StoredRun, to: &Destination) -> u64 {
    let content = run.read().unwrap_or_default();
    let delivery = content.deliveries.iter().find(|it| it.destination == *to);
    delivery.map_or(content.items.len() as u64, |delivery| delivery.pending)
}

async fn over(signals: &mut Signals, until: Option<Instant>, is_over: &Cell<bool>) {
    let out_of_time = async {
        match until {
            Some(until) => sleep_until(until).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = signals.next() => {}
        () = out_of_time => {}
    }
    is_over.set(true);
}

//! Smoke tests: many scripts are played, each as often as is asked for, and judged.
//!
//! In: script files, and the flags of a run. Out: what came of each on stdout, the reports that are asked for, and an exit
//! status. A `plan` is what is to be played, and known to be right; a `pool` plays it, one `attempt` after or beside the
//! other; `tell` tells what comes of it, and `report` writes it down.

mod attempt;
mod find;
mod flags;
mod judge;
mod plan;
mod pool;
mod report;
mod results;
mod tell;

use std::sync::Arc;

use realtime_run::script::Progress;
use tokio::sync::watch;

pub use flags::{MinPassRate, ReportFile, ReportForm};
pub use report::schema as report_schema;

use self::attempt::Stage;
use self::plan::Planned;
use self::pool::Pool;
use self::report::Reports;
use self::results::{Results, ScriptResult, Standing};
use self::tell::Teller;
use super::args::{Arguments, ScriptArgs};
use super::exit::{ExitStatus, Failure};
use super::given::{Given, quoted};
use super::keys::Keys;
use super::printer::Printer;
use super::server::Server;
use super::signals::Signals;
use super::trace::{Destinations, Targets};

/// Which time it is that a script is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Time {
    /// The script's place among all.
    script: usize,
    /// Of its runs, from 1.
    run: u32,
    /// Of the run's attempts, from 1.
    attempt: u32,
}

/// Told when a turn begins.
type OnTurn = Arc<dyn Fn(Progress) + Send + Sync>;

/// Flags that are about many scripts, or about what is told of them: one script is played again without them.
const NOT_AGAIN: [&str; 15] = [
    "script",
    "filter",
    "repeat",
    "min-pass-rate",
    "retries",
    "concurrency",
    "fail-fast",
    "junit",
    "report",
    "json",
    "quiet",
    "verbose",
    "color",
    "trace-strict",
    "init",
];

/// Plays all scripts, from their files to the reports.
pub fn run(arguments: &Arguments, printer: &Printer) -> Result<ExitStatus, Failure> {
    let args = &arguments.run;
    let planned = match plan::make(args, printer) {
        Ok(planned) => planned,
        Err(failures) => {
            failures.iter().for_each(|failure| printer.failure(failure));
            return Ok(ExitStatus::Usage);
        }
    };
    let judge = judge::judge(&args.script)?;
    let keys = Keys::of(arguments);
    let reports = Reports::prepare(&report_files(&args.script), keys.clone())?;
    let key = Server::choose(args)?.trace_key(&args.server);
    let targets = Targets::choose(&args.trace, args.server.simulate, key.is_some())?;
    let printer = if targets.has_stdout() {
        printer.clone().with_words_on_stderr()
    } else {
        printer.clone()
    };
    let destinations = Destinations::open(&targets, args, key, &printer)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::broken)?;
    let mut signals = {
        let _in_runtime = runtime.enter();
        Signals::listen().map_err(Failure::broken)?
    };
    let (end, ending) = watch::channel(false);
    let stage = Stage {
        args,
        destinations: &destinations,
        judge,
        keep_trees: reports.show_traces(),
        ending,
    };
    let results = unplayed(&planned, &args.script, &arguments.given);
    let runs = planned.len() as u64 * u64::from(args.script.repeat);
    let mut teller = Teller::new(printer.clone(), keys, args.format.json, runs);
    let pool = Pool::new(&args.script, &stage, &planned, results, &mut teller);
    let results = runtime.block_on(pool.play(&mut signals, printer.output(), &end));
    // Ends what is left of sessions that were cut off while they opened, and so their spans.
    runtime.shutdown_background();
    teller.finish(&results);
    let mut status = status(&results);
    if let Err(failure) = reports.write(&results) {
        printer.failure(&failure);
        status = status.or(failure.status());
    }
    let deliveries = destinations.finish(None, &mut signals);
    if !args.format.json {
        deliveries.show(&printer);
    }
    deliveries.warn(&printer);
    if args.trace.trace_strict && !deliveries.are_complete() {
        status = status.or(ExitStatus::Failure);
    }
    Ok(status)
}

fn report_files(args: &ScriptArgs) -> Vec<ReportFile> {
    let junit = args.junit.iter().map(|path| ReportFile {
        path: path.clone(),
        form: ReportForm::Junit,
    });
    junit.chain(args.report.iter().cloned()).collect()
}

/// The results before anything was played.
fn unplayed(planned: &[Planned], args: &ScriptArgs, given: &Given) -> Vec<ScriptResult> {
    let flags = given.words_without(&NOT_AGAIN);
    let rerun = |planned: &Planned| {
        let path = planned.path.display().to_string();
        let words = ["realtime-run", "--script"].map(str::to_owned);
        let words = words.into_iter().chain([quoted(&path).into_owned()]);
        words.chain(flags.iter().cloned()).collect::<Vec<_>>().join(" ")
    };
    let unplayed = planned.iter().map(|planned| ScriptResult {
        name: planned.script.name.clone(),
        path: planned.path.clone(),
        agent: planned.agent_file.clone(),
        planned: args.repeat as usize,
        min_pass_rate: args.min_pass_rate,
        runs: Vec::new(),
        rerun: rerun(planned),
    });
    unplayed.collect()
}

/// How the program ends: by the worst of the scripts.
fn status(results: &Results) -> ExitStatus {
    let any = |standing| results.count(standing) > 0;
    if results.is_interrupted {
        ExitStatus::Interrupted
    } else if any(Standing::Failed) {
        ExitStatus::Unexpected
    } else if any(Standing::Broken) {
        ExitStatus::Failure
    } else if any(Standing::TimedOut) {
        ExitStatus::Timeout
    } else {
        ExitStatus::Success
    }
}

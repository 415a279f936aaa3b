//! `realtime-run traces list`: what runs there were, and where their traces got to.

use std::time::Duration;

use anyhow::Context;
use indexmap::IndexMap;
use realtime_run::trace::{Delivery, Item, RunContent, SpanData, SpanRecord, StoredRun, TraceId, TraceStore};
use serde::Serialize;

use crate::cli::args::ListArgs;
use crate::cli::columns::columns;
use crate::cli::duration;
use crate::cli::exit::{ExitStatus, Failure};
use crate::cli::output::Stream;
use crate::cli::printer::Printer;
use crate::cli::style::in_one_line;

/// Characters of a name that are shown.
const SHOWN: usize = 30;

/// Lists every run, and tells of the files that are none.
pub fn list(store: &TraceStore, args: &ListArgs, printer: &Printer) -> Result<ExitStatus, Failure> {
    let (runs, unreadable) = store
        .listing()
        .with_context(|| format!("cannot read {}", store.dir().display()))
        .map_err(Failure::broken)?;
    for file in &unreadable {
        printer.warning(&format!("left out {file}"), None);
    }
    let mut rows = Vec::new();
    for run in &runs {
        match run.read() {
            Ok(content) => rows.extend(Row::of(run, &content)),
            Err(error) => printer.warning(&format!("left out {}: {error}", run.path().display()), None),
        }
    }
    if args.json {
        for row in &rows {
            // The types of a row can all be written as JSON.
            if let Ok(line) = serde_json::to_string(row) {
                printer.result(&line);
            }
        }
    } else if rows.is_empty() {
        printer.note(&format!("No traces are kept in {}.", store.dir().display()));
    } else {
        table(&rows).iter().for_each(|line| printer.result(line));
    }
    Ok(ExitStatus::Success)
}

/// What is told of a run.
#[derive(Debug, Serialize)]
struct Row {
    trace_id: String,
    started_at: String,
    workflow_name: String,
    /// In the order in which they took charge, each once.
    agents: Vec<String>,
    duration_s: f64,
    spans: usize,
    errors: usize,
    /// A process has it in hand.
    in_use: bool,
    deliveries: Vec<To>,
    damage: Vec<String>,
    file: String,
}

/// How much has got to one destination.
#[derive(Debug, Serialize)]
struct To {
    exporter: String,
    endpoint: String,
    sent: u64,
    refused: u64,
    pending: u64,
}

impl Row {
    /// A row for each trace of a run; one, too, if nothing of the first has got into the file.
    fn of(run: &StoredRun, content: &RunContent) -> Vec<Self> {
        let mut traces = IndexMap::from([(run.trace_id(), Vec::new())]);
        for item in &content.items {
            traces.entry(item.trace().id).or_default().push(item);
        }
        let rows = traces
            .iter()
            .map(|(id, items)| Self::new(run, content, *id, items));
        rows.collect()
    }

    fn new(run: &StoredRun, content: &RunContent, id: TraceId, items: &[&Item]) -> Self {
        let spans: Vec<&SpanRecord> = items.iter().copied().filter_map(span).collect();
        let first = items.first().map(|item| item.trace());
        let started_at = match id == run.trace_id() {
            true => None,
            false => spans.iter().map(|span| span.started_at).min(),
        };
        Self {
            trace_id: id.to_string(),
            started_at: started_at.unwrap_or(run.started_at()).to_string(),
            workflow_name: first.map_or_else(String::new, |trace| trace.workflow_name.clone()),
            agents: agents(&spans),
            duration_s: whole(&spans).as_secs_f64(),
            spans: spans.len(),
            errors: spans.iter().filter(|span| span.error.is_some()).count(),
            in_use: run.is_held(),
            deliveries: content.deliveries.iter().map(To::new).collect(),
            damage: content.damage.clone(),
            file: run.path().display().to_string(),
        }
    }

    /// As the columns of the table.
    fn cells(&self) -> [String; 8] {
        let time = self.started_at.get(..19).unwrap_or_default().replace('T', " ");
        let agents = match self.agents.as_slice() {
            [first, _, ..] => format!("{} +{}", in_one_line(first, SHOWN), self.agents.len() - 1),
            agents => in_one_line(&agents.concat(), SHOWN),
        };
        [
            time,
            self.trace_id.clone(),
            in_one_line(&self.workflow_name, SHOWN),
            agents,
            duration::show(Duration::try_from_secs_f64(self.duration_s).unwrap_or_default()),
            self.spans.to_string(),
            self.errors.to_string(),
            self.delivered(),
        ]
    }

    fn delivered(&self) -> String {
        let mut told: Vec<String> = self.deliveries.iter().map(To::told).collect();
        if told.is_empty() {
            told.push("kept here".to_owned());
        }
        if self.in_use {
            told.push("in use".to_owned());
        }
        if !self.damage.is_empty() {
            told.push("damaged".to_owned());
        }
        told.join("; ")
    }
}

impl To {
    fn new(delivery: &Delivery) -> Self {
        Self {
            exporter: delivery.destination.exporter.clone(),
            endpoint: delivery.destination.endpoint.clone(),
            sent: delivery.sent,
            refused: delivery.refused,
            pending: delivery.pending,
        }
    }

    fn told(&self) -> String {
        let to = &self.exporter;
        match (self.pending, self.refused) {
            (0, 0) => format!("sent to {to}"),
            (0, refused) => format!("{refused} refused by {to}"),
            (pending, _) => format!("{pending} wait for {to}"),
        }
    }
}

fn span(item: &Item) -> Option<&SpanRecord> {
    match item {
        Item::Span(span) => Some(span),
        Item::Trace(_) => None,
    }
}

fn agents(spans: &[&SpanRecord]) -> Vec<String> {
    let mut agents: Vec<_> = spans
        .iter()
        .filter_map(|span| match &span.data {
            SpanData::Agent { name, .. } => Some((span.started_at, name)),
            _ => None,
        })
        .collect();
    agents.sort();
    let mut names: Vec<String> = Vec::new();
    for (_, name) in agents {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// From the start of the first span to the end of the last.
fn whole(spans: &[&SpanRecord]) -> Duration {
    let first = spans.iter().map(|span| span.started_at).min();
    let last = spans.iter().filter_map(|span| span.ended_at).max();
    first.zip(last).map_or(Duration::ZERO, |(first, last)| {
        last.saturating_duration_since(first)
    })
}

/// The rows in columns, with a heading for a person's eyes.
fn table(rows: &[Row]) -> Vec<String> {
    let mut cells: Vec<_> = rows.iter().map(Row::cells).collect();
    if Stream::Stdout.is_terminal() {
        let heading = [
            "started (UTC)",
            "trace",
            "workflow",
            "agents",
            "took",
            "spans",
            "errors",
            "delivery",
        ];
        cells.insert(0, heading.map(str::to_owned));
    }
    columns(&cells)
}

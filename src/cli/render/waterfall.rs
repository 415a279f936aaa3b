//! A trace as a waterfall: a line for each span, with a bar to scale for the time that it took.

use realtime_run::trace::{SpanRecord, Timestamp, TraceTree, TreeNode};
use serde_json::Value;

use super::bar::{Scale, Stretch};
use super::cell::{self, Cell, fit, right, width};
use super::node::{self, Branches, Remark};
use crate::cli::duration;
use crate::cli::glyphs::Glyphs;
use crate::cli::style::Paint;
use crate::cli::trace::counted;

/// Columns between columns.
const GAP: &str = "  ";
/// Columns that names have before bars have more than the least.
const NAME: usize = 24;
/// Cells of the shortest bars.
const LEAST_BARS: usize = 10;
/// Columns of a line in which everything has its place; in fewer, tokens are left out, and levels are narrow.
const WIDTH_FOR_ALL: usize = 64;

/// How it is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Columns that a line may take.
    pub width: usize,
    pub glyphs: Glyphs,
    pub paint: Paint,
}

/// The waterfall of a trace.
pub fn waterfall(tree: &TraceTree, look: Look) -> String {
    let mut text = heading(tree, look);
    let Some((start, end)) = tree.started_at().zip(tree.ended_at()) else {
        return text + "no spans were recorded\n";
    };
    let mut branches = Branches::new(look.glyphs, levels(look.width));
    if look.width < WIDTH_FOR_ALL {
        branches = branches.narrow();
    }
    let row = |node| Row::new(node, &mut branches, look.glyphs);
    let rows: Vec<_> = tree.nodes().iter().map(row).collect();
    let columns = Columns::of(&rows, look.width);
    let scale = Scale::new(start, end, columns.bars);
    text += &columns.axis(&scale, look);
    for row in &rows {
        text += &columns.row(row, &scale, look);
    }
    if rows.iter().any(|row| row.mark.is_some()) {
        let legend = format!("{} its first word, sound or call", look.glyphs.mark);
        text += &format!("{}\n", look.paint.dim(&fit(&legend, look.width, look.glyphs)));
    }
    text
}

/// Levels for which there is room.
fn levels(width: usize) -> usize {
    (width / 12).clamp(2, 16)
}

/// What is shown of a span.
struct Row<'a> {
    node: &'a TreeNode,
    kind: &'static str,
    name: String,
    took: String,
    tokens: String,
    mark: Option<Timestamp>,
    remarks: Vec<Remark<'a>>,
    /// What joins it to the rows above, and further lines about it to this one.
    before: String,
    below: String,
}

impl<'a> Row<'a> {
    fn new(node: &'a TreeNode, branches: &mut Branches, glyphs: Glyphs) -> Self {
        Self {
            node,
            kind: node::kind(node),
            name: node::name(node, glyphs),
            took: node::took(node, glyphs),
            tokens: tokens(node).map_or_else(String::new, |[input, output]| format!("{input}/{output}")),
            mark: node.record().and_then(SpanRecord::first_content_at),
            remarks: Remark::of(node),
            before: branches.before(node),
            below: branches.trunks(),
        }
    }

    fn is_wrong(&self) -> bool {
        self.remarks
            .iter()
            .any(|remark| matches!(remark, Remark::Error(_)))
    }
}

/// Tokens that went in and came out, if it is said.
fn tokens(node: &TreeNode) -> Option<[u64; 2]> {
    let usage = node.record()?.data.usage()?;
    let count = |name| usage.get(name).and_then(Value::as_u64);
    Some([count("input_tokens")?, count("output_tokens")?])
}

/// Which trace it is, and what there is to say of it as a whole.
fn heading(tree: &TraceTree, look: Look) -> String {
    let Look { width, glyphs, paint } = look;
    let trace = tree.trace();
    let id = fit(&trace.id.to_string(), width, glyphs);
    let name = fit(&node::words(&trace.workflow_name, glyphs), width, glyphs);
    let between = match cell::width(&id) + 1 + cell::width(&name) {
        _ if name.is_empty() => "",
        both if both <= width => " ",
        _ => "\n",
    };
    let facts = wrapped(&facts(tree, glyphs), width);
    format!("{}{between}{}\n{facts}\n", paint.dim(&id), paint.bold(&name))
}

fn facts(tree: &TraceTree, glyphs: Glyphs) -> Vec<String> {
    let records = || tree.nodes().iter().filter_map(TreeNode::record);
    let mut facts = vec![counted(records().count() as u64, "span")];
    let errors = records().filter(|record| record.error.is_some()).count();
    if errors > 0 {
        facts.push(counted(errors as u64, "error"));
    }
    if let Some((start, end)) = tree.started_at().zip(tree.ended_at()) {
        let whole = duration::show(end.saturating_duration_since(start));
        facts.push(glyphs.spell(&whole).into_owned());
        facts.push(format!("{} UTC", start.to_string()[..19].replace('T', " ")));
    }
    let [input, output] = tree
        .nodes()
        .iter()
        .filter_map(tokens)
        .fold([0_u64; 2], |sum, own| {
            [sum[0].saturating_add(own[0]), sum[1].saturating_add(own[1])]
        });
    if (input, output) != (0, 0) {
        facts.push(format!("{input} tokens in"));
        facts.push(format!("{output} out"));
    }
    facts
}

/// The facts with commas between them, in lines of so many columns.
fn wrapped(facts: &[String], width: usize) -> String {
    let mut lines = String::new();
    let mut taken = 0;
    for fact in facts {
        let needed = cell::width(fact) + 2;
        if taken == 0 {
            taken = needed;
        } else if taken + needed <= width + 1 {
            lines += ", ";
            taken += needed;
        } else {
            lines += ",\n";
            taken = needed;
        }
        lines += fact;
    }
    lines
}

/// How many columns of a line what has.
struct Columns {
    name: usize,
    took: usize,
    /// 0 for none.
    tokens: usize,
    bars: usize,
}

impl Columns {
    fn of(rows: &[Row<'_>], whole: usize) -> Self {
        let widest = |of: fn(&Row<'_>) -> usize| rows.iter().map(of).max().unwrap_or(0);
        let took = widest(|row| width(&row.took)).max("time".len());
        let tokens = match widest(|row| width(&row.tokens)) {
            0 => 0,
            _ if whole < WIDTH_FOR_ALL => 0,
            widest => widest.max("in/out".len()),
        };
        let gaps = if tokens > 0 { 3 } else { 2 } * GAP.len();
        let rest = whole.saturating_sub(took + tokens + gaps);
        let name = widest(|row| width(&row.before) + row.kind.len() + 1 + width(&row.name));
        let most = (rest / 2).max(rest.saturating_sub(LEAST_BARS).min(NAME));
        let name = name.clamp("span".len(), most.max("span".len()));
        Self {
            name,
            took,
            tokens,
            bars: rest.saturating_sub(name).max(LEAST_BARS),
        }
    }

    fn line(&self, name: &str, took: &str, tokens: &str, bar: &str) -> String {
        let mut line = format!("{name}{GAP}{}", right(took, self.took));
        if self.tokens > 0 {
            line += &format!("{GAP}{}", right(tokens, self.tokens));
        }
        line + GAP + bar
    }

    fn axis(&self, scale: &Scale, look: Look) -> String {
        let name = Cell::new(self.name, look.glyphs)
            .with("span", str::to_owned)
            .into_filled();
        let line = self.line(&name, "time", "in/out", &scale.axis(look.glyphs));
        format!("{}\n", look.paint.dim(&line))
    }

    fn row(&self, row: &Row<'_>, scale: &Scale, look: Look) -> String {
        let Look {
            width: whole,
            glyphs,
            paint,
        } = look;
        let name = Cell::new(self.name, glyphs)
            .with(&row.before, |text| paint.dim(text))
            .with(row.kind, str::to_owned)
            .with(" ", str::to_owned)
            .with(&row.name, |text| paint.name(text));
        let stretch = Stretch {
            start: row.node.started_at(),
            end: row.node.ended_at(),
            mark: row.mark,
        };
        let bar = scale.bar(stretch, glyphs);
        let bar = if row.is_wrong() {
            paint.error(&bar)
        } else {
            paint.kind(row.kind, &bar)
        };
        let mut text = self.line(&name.into_filled(), &row.took, &row.tokens, &bar);
        text.push('\n');
        for remark in &row.remarks {
            let room = whole.saturating_sub(width(&row.below));
            text += &format!("{}{}\n", paint.dim(&row.below), remark.show(room, glyphs, paint));
        }
        text
    }
}

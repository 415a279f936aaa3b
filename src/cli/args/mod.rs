//! The command line: what can be asked for, and how each flag explains itself.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::parser::ValueSource;
use clap::{
    ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum, error::ErrorKind,
};
use realtime_run::trace::{Redaction, TraceId};

mod recordings;
mod script;
mod traces;
mod voice;

use realtime_run::simulator::OpeningRefusal;

use super::given::Given;
use super::trace::TraceTarget;
use super::{context, duration, pairs, size};
pub use recordings::{RecordArgs, ReplayArgs};
pub use script::ScriptArgs;
pub use traces::{ClearArgs, HtmlArgs, ListArgs, ResendArgs, ShowArgs, TracesArgs, TracesCommand};
pub use voice::VoiceArgs;

/// Run voice and text agents on the OpenAI Realtime API, and leave a true trace of every session
///
/// An agent file says who the agents are, what they can do and whom they hand over to. Say something with -m, from sound
/// files, through a pipe (a line is a turn), or at the prompt of a terminal.
#[derive(Debug, Parser)]
#[command(
    name = "realtime-run",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    subcommand_negates_reqs = true,
    override_usage = "realtime-run --agent <FILE> [OPTIONS]\n       realtime-run --script <PATH> [OPTIONS]\n       realtime-run <COMMAND>",
    after_long_help = AFTER_HELP
)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub run: RunArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    /// What was said to get here.
    #[arg(skip)]
    pub given: Given,
}

const AFTER_HELP: &str = "\
Examples:
  realtime-run --agent agents/assistant.toml --simulate -m 'What is the weather in Oslo?'
  realtime-run --agent agents/concierge.toml                     # talk at the prompt
  printf 'Hello\\nGoodbye\\n' | realtime-run --agent agents/assistant.toml --json
  realtime-run --agent agents/assistant.toml --trace stdout -m Hi | jq .span_data
  realtime-run --agent agents/assistant.toml --simulate --scenario scenarios/rome.toml -m 'Rome?'
  realtime-run --script agents --simulate --junit report.xml     # smoke tests
  realtime-run check agents/*.toml scenarios/*.toml

What goes where:
  The assistant's words go to stdout, everything else to stderr. --json puts one object per event
  on stdout instead. With --trace stdout the words go to stderr.

Exit codes:
  0    it worked
  1    an expectation of a script was not met, or a client deviated from the recording that was
       replayed
  2    the command line, an agent file or a script is wrong
  3    the connection, the server or a turn failed, or with --trace-strict the trace did not arrive
  4    time ran out (--timeout, --turn-timeout)
  130  a signal ended it
  Of several scripts the worst counts: 1 before 3 before 4.

Environment:
  OPENAI_API_KEY, OPENAI_BASE_URL, OPENAI_ORG_ID, OPENAI_PROJECT_ID,
  AZURE_OPENAI_ENDPOINT, AZURE_OPENAI_API_KEY    the server and the key
  OPENAI_AGENTS_DISABLE_TRACING                  as --no-tracing
  OPENAI_AGENTS_TRACE_INCLUDE_SENSITIVE_DATA     0 is --no-trace-content
  REALTIME_RUN_SPOOL                             as --spool
  OTEL_EXPORTER_OTLP_ENDPOINT, _PROTOCOL, _HEADERS, _COMPRESSION, _TIMEOUT, _CERTIFICATE,
  OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES    where and how --trace otlp sends
  TRACEPARENT, TRACESTATE                        the span of another system that the run hangs under
  NO_COLOR                                       as --color never
  RUST_LOG                                       what -v shows, by module";

/// What to do instead of running a session.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check agent files, scenario files and script files, and tell every mistake in them
    Check(CheckArgs),
    /// Print the JSON Schema of a kind of file, by which editors complete and check them
    Schema(SchemaArgs),
    /// Look at the traces that this machine keeps
    Traces(TracesArgs),
    /// Serve a local Realtime server for other clients: no key, no network
    Simulate(SimulateArgs),
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The files
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// The kind of file
    #[arg(value_name = "KIND", default_value = "agent")]
    pub kind: FileKind,
}

/// The kinds of files that have a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FileKind {
    /// Agents, and what they share
    Agent,
    /// What a simulated server says and does wrong
    Scenario,
    /// Smoke tests: a conversation, and what is expected of it
    Script,
    /// What --report FILE.json writes
    Report,
}

#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// The port; 0 takes any free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub port: u16,
    /// The address; one that is not of this machine alone lets others in
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub host: IpAddr,
    /// How fast spoken answers come: in the time they take to play, or as fast as the client reads
    #[arg(long, value_name = "PACE", default_value = "fast", conflicts_with = "replay")]
    pub pace: Pace,
    /// How long a session may last before the server ends it with `session_expired`
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "60m", conflicts_with = "replay")]
    pub max_session: Duration,
    /// Let no client in: invalid_api_key, missing_model, invalid_model, beta_api_shape_disabled, insufficient_quota, or a
    /// status as http-429
    #[arg(long, value_name = "CASE", conflicts_with = "replay")]
    pub refuse: Option<OpeningRefusal>,
    /// Write all events of both sides to this file, one JSON object a line
    #[arg(long, value_name = "FILE", conflicts_with = "replay")]
    pub log_events: Option<PathBuf>,
    #[command(flatten)]
    pub simulator: SimulatorArgs,
    #[command(flatten)]
    pub replay: ReplayArgs,
}

/// How a simulated server behaves, whoever its clients are.
#[derive(Debug, Args)]
#[command(next_help_heading = "Simulator")]
pub struct SimulatorArgs {
    /// What the simulated server says and does wrong, from a scenario file
    #[arg(long, value_name = "FILE", conflicts_with = "replay")]
    pub scenario: Option<PathBuf>,
    /// A server with OpenAI's chat completions whose model answers, such as http://127.0.0.1:11434/v1
    #[arg(long, value_name = "URL", requires = "llm_model", conflicts_with_all = ["scenario", "replay"])]
    pub llm: Option<String>,
    /// With --llm: the model
    #[arg(long, value_name = "MODEL", requires = "llm")]
    pub llm_model: Option<String>,
    /// With --llm: the environment variable that holds the key, if the server wants one
    #[arg(long, value_name = "NAME", requires = "llm")]
    pub llm_key_env: Option<String>,
    /// A program that speaks: text on its stdin, a WAV file on its stdout, as `espeak-ng --stdin --stdout` [default: tones]
    #[arg(long, value_name = "PROGRAM", conflicts_with = "replay")]
    pub tts_command: Option<String>,
    /// A program that listens: a WAV file on its stdin, text on its stdout [default: it is told how long the user speaks]
    #[arg(long, value_name = "PROGRAM", conflicts_with = "replay")]
    pub stt_command: Option<String>,
    /// With --llm: how long the model may be silent [default: 2m]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, requires = "llm")]
    pub llm_timeout: Option<Duration>,
}

/// Everything about a run.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub agent: AgentArgs,
    #[command(flatten)]
    pub turns: TurnArgs,
    #[command(flatten)]
    pub voice: VoiceArgs,
    #[command(flatten)]
    pub script: ScriptArgs,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub replay: ReplayArgs,
    #[command(flatten)]
    pub record: RecordArgs,
    #[command(flatten)]
    pub simulator: SimulatorArgs,
    #[command(flatten)]
    pub trace: TraceArgs,
    #[command(flatten)]
    pub keep: KeepArgs,
    #[command(flatten)]
    pub format: FormatArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Agent")]
pub struct AgentArgs {
    /// The agent file; with --script, instead of those that the scripts name
    #[arg(long = "agent", value_name = "FILE", required_unless_present = "script")]
    pub file: Option<PathBuf>,
    /// The agent that starts, instead of the file's own choice
    #[arg(long, value_name = "NAME")]
    pub start: Option<String>,
    /// The model, instead of the file's
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// The voice of all agents, instead of the file's
    #[arg(long, value_name = "VOICE")]
    pub voice: Option<String>,
    /// Whether agents answer in writing or aloud, with a transcript
    #[arg(long, value_name = "MODALITY")]
    pub modality: Option<Modality>,
    /// A value of the context, over the file's: JSON or a string; `user.name=Ada` reaches into objects. Or `@FILE`: a JSON
    /// object that is merged into the context (repeatable)
    #[arg(long, value_name = "KEY=VALUE", value_parser = context::flag)]
    pub context: Vec<context::ContextFlag>,
    /// The tools of the starting agent on entry, instead of its own, as `a,b`; empty for none
    #[arg(long, value_name = "NAMES")]
    pub tools: Option<String>,
    /// The agents that the starting agent can hand over to on entry, instead of its own, as `a,b`; empty for none
    #[arg(long, value_name = "NAMES")]
    pub handoffs: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Conversation")]
pub struct TurnArgs {
    /// Say this, wait for the answer, then exit (repeatable: one turn after the other)
    #[arg(short, long = "message", value_name = "TEXT")]
    pub messages: Vec<String>,
    /// What becomes of calls that need approval
    #[arg(long, value_name = "ANSWER", default_value = "ask")]
    pub approve: Approve,
    /// How long the whole run may take, as 30s, 2m or 500ms; with --script, each run [default: no limit]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub timeout: Option<Duration>,
    /// How long one turn may take
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "10m")]
    pub turn_timeout: Duration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub struct ServerArgs {
    /// Use a local server inside the program: no key, no network
    #[arg(long, conflicts_with_all = ["url", "header", "api_key_env"])]
    pub simulate: bool,
    /// The server: a ws or wss URL, or an API's base address [default: OPENAI_BASE_URL, else OpenAI]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// A header of the handshake (repeatable)
    // Split later: what clap says of a bad value quotes it, and it may be a key.
    #[arg(long, value_name = "NAME: VALUE")]
    pub header: Vec<String>,
    /// The environment variable that holds the key [default: OPENAI_API_KEY]
    #[arg(long, value_name = "NAME")]
    pub api_key_env: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Tracing")]
pub struct TraceArgs {
    /// Where traces go: openai, otlp, stdout, file=PATH, or none (repeatable) [default: openai if OPENAI_API_KEY is set
    /// and nothing is simulated, else none]
    ///
    /// openai is the OpenAI traces endpoint, or --trace-endpoint. otlp is an OpenTelemetry collector or back end, by the
    /// OTEL_EXPORTER_OTLP_ variables. stdout and file=PATH get one JSON object per trace and
    /// finished span, a line each; a file is appended to. Whatever is chosen, the span tree is shown.
    #[arg(long, value_name = "TARGET")]
    pub trace: Vec<TraceTarget>,
    /// Where `--trace openai` sends, instead of OpenAI
    #[arg(long, value_name = "URL")]
    pub trace_endpoint: Option<String>,
    /// Fail with exit code 3 if not everything got to where --trace sends it
    #[arg(long)]
    pub trace_strict: bool,
    /// What the trace calls this kind of run [default: the agent file's, else `Agent workflow`]
    #[arg(long, value_name = "NAME")]
    pub workflow_name: Option<String>,
    /// The trace's id, `trace_` and 32 hex digits [default: random]
    #[arg(long, value_name = "ID")]
    pub trace_id: Option<TraceId>,
    /// What ties several traces together, such as a call or a chat
    #[arg(long, value_name = "ID")]
    pub group_id: Option<String>,
    /// What else to keep with the trace (repeatable)
    #[arg(long, value_name = "KEY=VALUE", value_parser = pairs::key_value)]
    pub trace_metadata: Vec<(String, String)>,
    /// Keep texts, arguments and outputs out of the trace; names, times, usage and errors stay
    #[arg(long)]
    pub no_trace_content: bool,
    /// Replace what matches this regular expression by `[redacted]` in all that the trace tells of what was said and
    /// done, beside the agent file's (repeatable)
    #[arg(long, value_name = "PATTERN")]
    pub redact: Vec<Redaction>,
    /// Trace nothing at all, here or on the server
    #[arg(long, env = "OPENAI_AGENTS_DISABLE_TRACING", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub no_tracing: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Trace store")]
pub struct KeepArgs {
    /// The folder in which traces are kept, and wait until they are delivered [default: REALTIME_RUN_SPOOL, else
    /// realtime-run in XDG_STATE_HOME or ~/.local/state]
    #[arg(long, value_name = "DIR")]
    pub spool: Option<PathBuf>,
    /// Keep no trace of this run, except until it is delivered
    #[arg(long)]
    pub no_store: bool,
    /// How much the store may hold, as 64MiB or 500KiB; the oldest runs go first
    #[arg(long, value_name = "SIZE", env = "REALTIME_RUN_STORE_SIZE", hide_env_values = true, value_parser = size::parse, default_value = "64MiB")]
    pub store_size: u64,
    /// How long a run is kept, as 7d or 12h
    #[arg(long, value_name = "DURATION", env = "REALTIME_RUN_STORE_AGE", hide_env_values = true, value_parser = duration::parse, default_value = "7d")]
    pub store_age: Duration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct FormatArgs {
    /// Print one JSON object per event on stdout, instead of the words
    #[arg(long)]
    pub json: bool,
    /// With --json: the events on the wire, too
    #[arg(long, requires = "json")]
    pub raw: bool,
}

/// What every command knows about output.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Print the result, warnings and errors only
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Log to stderr; -vv and -vvv log more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// When to colour; auto is on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: ColorChoice,
}

/// How fast speech goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Pace {
    Realtime,
    Fast,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Modality {
    Text,
    Audio,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Approve {
    /// Each is asked about, at the terminal or with --json; where nobody can be asked, it is not run
    Ask,
    /// All are run
    Always,
    /// None is run
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    Auto,
    Always,
    Never,
}

impl Arguments {
    /// Reads the command line of this process.
    pub fn read() -> Result<Self, clap::Error> {
        let mut command = Self::command();
        let matches = command.try_get_matches_from_mut(std::env::args_os());
        let matches = matches.map_err(|error| teach(error, &command))?;
        if let Some((subcommand, _)) = matches.subcommand() {
            let global = ["quiet", "verbose", "color"];
            let given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
            let stray = command
                .get_arguments()
                .find(|arg| !global.contains(&arg.get_id().as_str()) && given(arg.get_id().as_str()));
            if let Some(stray) = stray {
                let message = format!("`{stray}` is for running a session, not for `{subcommand}`");
                return Err(command.error(ErrorKind::ArgumentConflict, message));
            }
        }
        let given = Given::of(&command, &matches);
        Ok(Self {
            given,
            ..Self::from_arg_matches(&matches)?
        })
    }
}

/// Says how to run an agent file that was given without its flag.
fn teach(error: clap::Error, command: &clap::Command) -> clap::Error {
    let is_file = |name: &str| name.ends_with(".toml");
    match error.get(clap::error::ContextKind::InvalidSubcommand) {
        Some(clap::error::ContextValue::String(name)) if is_file(name) => {
            let message = format!("to run `{name}`, write `--agent {name}`; to check it, `check {name}`");
            command.clone().error(ErrorKind::InvalidSubcommand, message)
        }
        _ => error,
    }
}

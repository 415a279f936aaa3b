//! What brings traces to where they go.

use std::env;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use realtime_run::Secret;
use realtime_run::trace::{JsonLinesExporter, OpenAiExporter, OtlpConfig, OtlpExporter};

use crate::cli::exit::Failure;
use crate::cli::output::Output;

/// To the OpenAI traces endpoint, or another that takes the same form.
pub fn openai(endpoint: Option<&str>, key: Option<Secret>) -> Result<OpenAiExporter, Failure> {
    let variable = |name| env::var(name).ok().filter(|value| !value.trim().is_empty());
    let exporter = OpenAiExporter::new(endpoint)
        .context("--trace-endpoint")
        .map_err(Failure::usage)?;
    Ok(exporter
        .api_key(key)
        .organization(variable("OPENAI_ORG_ID"))
        .project(variable("OPENAI_PROJECT_ID")))
}

/// To an OpenTelemetry collector, by the environment; to `endpoint`, if there is one.
pub fn otlp(endpoint: Option<&str>) -> Result<OtlpExporter, Failure> {
    let given = |name: &str| endpoint.filter(|_| name == "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
    let variable = |name: &str| given(name).map(str::to_owned).or_else(|| env::var(name).ok());
    let config = OtlpConfig::from_variables(variable);
    let config = config.context("--trace otlp").map_err(Failure::usage)?;
    Ok(OtlpExporter::new(config))
}

/// To stdout, as JSON lines.
pub fn stdout(output: &Output) -> JsonLinesExporter<Lines> {
    JsonLinesExporter::new("stdout", Lines(output.clone()))
}

/// To the end of a file, as JSON lines.
pub fn file(path: &Path) -> Result<JsonLinesExporter<File>, Failure> {
    let name = path.display().to_string();
    let file = File::options().append(true).create(true).open(path);
    let file = file.with_context(|| format!("--trace file={name} can't be written to"));
    Ok(JsonLinesExporter::new(name, file.map_err(Failure::usage)?))
}

/// Stdout for the exporter, which writes whole lines from its own thread. The end of a pipe ends the run.
#[derive(Debug)]
pub struct Lines(Output);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
        written.inspect_err(|error| self.0.lose_stdout(error.kind()))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

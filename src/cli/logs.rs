//! Logs: off unless asked for, to stderr, and never with a key in them.

use std::env;
use std::io::{self, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::keys::Keys;
use super::output::Output;
use super::printer::Printer;

/// Starts logging if `-v` or RUST_LOG asks for it. `keys` are removed from all that is logged: RUST_LOG can make the
/// libraries below us log what they send.
pub fn start(verbose: u8, keys: Keys, printer: &Printer) {
    let wanted = env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty());
    let default = match verbose {
        0 => None,
        1 => Some("realtime_run=info"),
        2 => Some("realtime_run=debug"),
        _ => Some("realtime_run=trace"),
    };
    let Some(filter) = wanted.as_deref().or(default) else {
        return;
    };
    let writer = Writer {
        output: printer.output().clone(),
        keys,
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_ansi(printer.paint().is_enabled())
        .with_writer(writer)
        .finish();
    // Only this: `init` would also bring in what libraries log by other means, such as whole handshakes.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

#[derive(Clone)]
struct Writer {
    output: Output,
    keys: Keys,
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.log(&self.keys.clean(&String::from_utf8_lossy(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Writer {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

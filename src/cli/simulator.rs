//! The simulated server, as the command line asks for it.

use realtime_run::simulator::{Options, Scenario};

use crate::cli::args::SimulatorArgs;
use crate::cli::exit::Failure;

/// How the server behaves.
pub fn options(args: &SimulatorArgs) -> Result<Options, Failure> {
    let options = Options::default();
    Ok(match &args.scenario {
        Some(path) => options.with_scenario(&Scenario::load(path)?),
        None => options,
    })
}

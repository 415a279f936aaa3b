//! What there is instead of devices where the program was built without them: an error that says how to get them.

use std::convert::Infallible;

use anyhow::anyhow;
use realtime_run::protocol::AudioFormat;
use realtime_run::session::{SessionEvent, SessionHandle};

use super::TurnEnding;
use crate::cli::args::DeviceArgs;
use crate::cli::exit::{ExitStatus, Failure};

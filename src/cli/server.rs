//! The other side of sessions, as the command line asks for it.

use std::env;

use anyhow::{Context, anyhow};
use realtime_run::Secret;
use realtime_run::simulator::{Options, Simulator};
use realtime_run::transport::{Endpoint, EndpointOptions};

use super::args::{RunArgs, ServerArgs};
use super::exit::Failure;
use super::{pairs, simulator};

/// The other side of a session.
#[derive(Debug, Clone)]
pub enum Server {
    /// A simulator that the program starts itself.
    Simulated(Box<Options>),
    /// A server that is there already.
    At(Endpoint),
}

impl Server {
    /// The one that is asked for; a simulated one without the recording that it is to play.
    pub fn choose(args: &RunArgs) -> Result<Self, Failure> {
        let simulated = &args.simulator;
        if args.server.simulate {
            return Ok(Self::Simulated(Box::new(simulator::options(simulated)?)));
        }
        let replay = args.replay.replay.as_ref().map(|_| "--replay");
        if let Some(flag) = simulated.given().or(replay) {
            let message = format!("`{flag}` is for a simulated server: add `--simulate`");
            return Err(Failure::usage(anyhow!(message)));
        }
        let args = &args.server;
        let headers: anyhow::Result<_> = args.header.iter().map(|header| pairs::header(header)).collect();
        let options = EndpointOptions {
            url: args.url.clone(),
            api_key_env: args.api_key_env.clone(),
            headers: headers.map_err(Failure::usage)?,
        };
        let endpoint = Endpoint::resolve(options, |name| env::var(name).ok())?;
        Ok(Self::At(endpoint))
    }

    /// The key that traces go to OpenAI with: the session's own if that is at OpenAI, else OPENAI_API_KEY.
    pub fn trace_key(&self, args: &ServerArgs) -> Option<Secret> {
        let at_openai = matches!(self, Self::At(endpoint) if endpoint.is_openai());
        let variable = args.api_key_env.as_deref().filter(|_| at_openai);
        env::var(variable.unwrap_or("OPENAI_API_KEY"))
            .ok()
            .and_then(Secret::new)
    }

    /// Starts it, if it is the program's own.
    pub async fn open(self) -> Result<OpenServer, Failure> {
        let options = match self {
            Self::At(endpoint) => {
                return Ok(OpenServer {
                    endpoint,
                    simulator: None,
                });
            }
            Self::Simulated(options) => options,
        };
        let simulator = Simulator::bind_with(("127.0.0.1", 0), *options)
            .await
            .context("the simulator cannot listen on a port of this machine")
            .map_err(Failure::broken)?;
        Ok(OpenServer {
            endpoint: Endpoint::new(&simulator.url())?,
            simulator: Some(simulator),
        })
    }
}

/// A server that a session can be opened with.
#[derive(Debug)]
pub struct OpenServer {
    /// Where it is.
    pub endpoint: Endpoint,
    simulator: Option<Simulator>,
}

impl OpenServer {
    /// What it is called in a line about the run.
    pub fn name(&self) -> String {
        match &self.simulator {
            Some(_) => "simulated".to_owned(),
            None => format!("at {}", self.endpoint.host()),
        }
    }

    /// Ends it, if it is the program's own.
    pub async fn close(self) {
        if let Some(simulator) = self.simulator {
            simulator.shutdown().await;
        }
    }
}

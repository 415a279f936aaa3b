//! What the command line says over the agent file.

use realtime_run::agent::{Agent, AgentFile, Agents};
use realtime_run::protocol::{self, Voice};

use super::args::{AgentArgs, Modality};
use super::exit::Failure;

/// Puts the flags' values over the file's.
pub fn apply(args: &AgentArgs, file: &mut AgentFile) -> Result<(), Failure> {
    let agents = &mut file.agents;
    if let Some(start) = &args.start {
        agents.set_start(start)?;
    }
    if let Some(tools) = &args.tools {
        agents.override_tools(&names(tools)).map_err(Failure::usage)?;
    }
    if let Some(handoffs) = &args.handoffs {
        agents.override_handoffs(&names(handoffs))?;
    }
    if let Some(model) = &args.model {
        agents.settings.model.clone_from(model);
    }
    if let Some(modality) = args.modality {
        let modality = match modality {
            Modality::Text => protocol::Modality::Text,
            Modality::Audio => protocol::Modality::Audio,
        };
        agents.settings.config.output_modalities = Some(vec![modality]);
    }
    for value in &args.context {
        value.clone().apply(&mut agents.context).map_err(Failure::usage)?;
    }
    if let Some(voice) = &args.voice {
        agents.settings.config.audio.output.voice = Some(Voice::Named(voice.clone()));
        file.agents = without_own_voices(agents.clone());
    }
    Ok(())
}

/// The names in a list such as `a,b`.
fn names(list: &str) -> Vec<&str> {
    list.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect()
}

/// The agents, all with the session's voice.
fn without_own_voices(agents: Agents) -> Agents {
    let all: Vec<Agent> = agents
        .names()
        .filter_map(|name| agents.get(name))
        .cloned()
        .collect();
    all.into_iter()
        .map(|agent| Agent { voice: None, ..agent })
        .fold(agents, Agents::with)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;
    use realtime_run::tool::McpServers;
    use serde_json::json;

    use super::*;
    use crate::cli::args::Arguments;

    fn applied(flags: &[&str]) -> Result<AgentFile, Failure> {
        let text = "start = 'A'\ncontext = { user = { name = 'Ada', tier = 'gold' } }\n\
                    [agents.A]\ninstructions = ''\nvoice = 'cedar'\n\
                    [agents.B]\ninstructions = ''\nvoice = 'cedar'\n";
        let mut file = AgentFile::parse("test.toml", text, Path::new("/")).unwrap();
        let given = ["test", "--agent", "test.toml"].iter().chain(flags);
        let args = Arguments::parse_from(given).run.agent;
        apply(&args, &mut file).map(|()| file)
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let flags = [
            "--start",
            "B",
            "--model",
            "m",
            "--voice",
            "marin",
            "--modality",
            "text",
            "--context",
            "user.name=Bob",
        ];
        let agents = applied(&flags).unwrap().agents;
        assert_eq!((agents.start(), agents.settings.model.as_str()), ("B", "m"));
        assert_eq!(
            agents.settings.config.output_modalities,
            Some(vec![protocol::Modality::Text])
        );
        let voice = agents.settings.config.audio.output.voice.clone();
        assert_eq!(voice, Some(Voice::Named("marin".into())));
        assert!(
            agents
                .names()
                .all(|name| agents.get(name).unwrap().voice.is_none())
        );
        assert_eq!(agents.names().collect::<Vec<_>>(), ["A", "B"]);
        assert_eq!(agents.context, json!({"user": {"name": "Bob", "tier": "gold"}}));
    }

    #[tokio::test]
    async fn lists_of_the_command_line_hold_on_entry() {
        let agents = applied(&["--tools", "end_session", "--handoffs", "B, A,"])
            .unwrap()
            .agents;
        let entered = agents
            .resolve_entry(&agents.context, &McpServers::new())
            .await
            .unwrap();
        assert_eq!(entered.tool_names(), ["end_session"]);
        assert_eq!(entered.handoff_names(), ["B", "A"]);
        let agents = applied(&["--tools", "", "--handoffs="]).unwrap().agents;
        let entered = agents
            .resolve_entry(&agents.context, &McpServers::new())
            .await
            .unwrap();
        assert!(entered.tool_names().is_empty() && entered.handoff_names().is_empty());
        assert!(applied(&["--tools", "nosuch"]).is_err());
        assert!(applied(&["--handoffs", "nosuch"]).is_err());
    }

    #[test]
    fn without_flags_the_file_stays_as_it_is() {
        let agents = applied(&[]).unwrap().agents;
        assert_eq!(agents.start(), "A");
        assert_eq!(agents.get("B").unwrap().voice, Some(Voice::Named("cedar".into())));
    }
}

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
    use serde_json::json;

    use super::*;

    fn applied(flags: &[&str]) -> Result<AgentFile, Failure> {
        #[derive(Parser)]
        struct Flags {
            #[command(flatten)]
            agent: AgentArgs,
        }
        let text = "start = 'A'\ncontext = { user = { name = 'Ada', tier = 'gold' } }\n\
                    [agents.A]\ninstructions = ''\nvoice = 'cedar'\n\
                    [agents.B]\ninstructions = ''\nvoice = 'cedar'\n";
        let mut file = AgentFile::parse("test.toml", text, Path::new("/")).unwrap();
        let args = Flags::parse_from(["test", "--agent", "test.toml"].iter().chain(flags)).agent;
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

    #[test]
    fn without_flags_the_file_stays_as_it_is() {
        let agents = applied(&[]).unwrap().agents;
        assert_eq!(agents.start(), "A");
        assert_eq!(agents.get("B").unwrap().voice, Some(Voice::Named("cedar".into())));
    }
}

//! Talking and listening through the machine's devices.
//!
//! Two tasks, owned by [`Devices`]: one brings what the microphone hears to the session, the other plays what the
//! session says and reports how much of it was really heard. Whoever cuts in is heard by the first and silences the
//! second at once, without waiting for the conversation.

mod ears;
mod mouth;
mod panel;

use std::io::{self, IsTerminal};
use std::time::Duration;

use anyhow::anyhow;
use realtime_run::audio::devices::{DeviceError, Gate, Intake, Microphone, Opening, PushToTalk, Speaker};
use realtime_run::protocol::AudioFormat;
use realtime_run::session::{SessionEvent, SessionHandle};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;

use self::ears::Ears;
pub use self::ears::Key;
use self::mouth::Mouth;
pub use self::panel::{Levels, MicrophoneLevel, Panel, SpeakerLevel};
use super::{Tape, TurnEnding};
use crate::cli::args::DeviceArgs;
use crate::cli::exit::{ExitStatus, Failure};

/// How long devices may take to open.
const OPEN_LIMIT: Duration = Duration::from_secs(10);

/// Devices that are open and wait for a session.
#[derive(Debug)]
pub struct OpenDevices {
    microphone: Option<(Microphone, Intake)>,
    speaker: Option<Speaker>,
    ending: TurnEnding,
}

/// Devices in use. Dropping them ends their streams.
#[derive(Debug)]
pub struct Devices {
    ears: Option<Ears>,
    mouth: Option<Mouth>,
    tasks: JoinSet<Result<(), DeviceError>>,
    ending: TurnEnding,
}

impl OpenDevices {
    /// Opens what the command line asks for; none if it asks for none.
    ///
    /// # Errors
    /// When a device is not there or can't be opened, or nobody could tell where turns end.
    pub async fn open(
        args: &DeviceArgs,
        (heard, said): (AudioFormat, AudioFormat),
        ending: TurnEnding,
    ) -> Result<Option<Self>, Failure> {
        if !args.mic && !args.speaker {
            return Ok(None);
        }
        if args.push_to_talk && !io::stdin().is_terminal() {
            let message = "`--push-to-talk` reads its key from a terminal, and stdin is none";
            return Err(Failure::usage(anyhow!(message)));
        }
        let commits = matches!(ending, TurnEnding::Commit);
        let opening = match (args.push_to_talk, commits) {
            (true, _) => Opening::Key(PushToTalk::new(commits)),
            (false, true) if args.mic => {
                let message = "`--mic` can't tell where a turn ends: the session has no turn detection";
                return Err(Failure::Other {
                    status: ExitStatus::Usage,
                    error: anyhow!(message),
                    advice: Some("add --push-to-talk, or set `turn_detection` under [session]"),
                });
            }
            (false, _) => Opening::Gate(Box::new(Gate::new(heard))),
        };
        let input = args.mic.then(|| args.input_device.clone());
        let output = args.speaker.then(|| args.output_device.clone());
        // Sound systems take their time, and may hang.
        let open = spawn_blocking(move || {
            let microphone = input.map(|name| Microphone::open(name.as_deref(), heard));
            let speaker = output.map(|name| Speaker::open(name.as_deref(), said));
            Ok::<_, DeviceError>((microphone.transpose()?, speaker.transpose()?))
        });
        let (microphone, speaker) = match timeout(OPEN_LIMIT, open).await {
            Ok(Ok(devices)) => devices.map_err(unusable)?,
            Ok(Err(error)) => return Err(Failure::broken(error)),
            Err(_) => return Err(Failure::broken(anyhow!("the sound system does not answer"))),
        };
        Ok(Some(Self {
            microphone: microphone.map(|microphone| (microphone, Intake::new(heard, opening))),
            speaker,
            ending,
        }))
    }

    /// Connects them with a session.
    pub fn start(self, session: &SessionHandle, tape: &Tape) -> Devices {
        let mut tasks = JoinSet::new();
        let mouth = self
            .speaker
            .map(|speaker| Mouth::start(speaker, session.clone(), &mut tasks));
        let ears = self.microphone.map(|devices| {
            Ears::start(
                devices,
                mouth.clone(),
                (session.clone(), tape.clone()),
                &mut tasks,
            )
        });
        Devices {
            ears,
            mouth,
            tasks,
            ending: self.ending,
        }
    }
}

/// A device that was named and is not there is a mistake on the command line.
fn unusable(error: DeviceError) -> Failure {
    let named = matches!(error, DeviceError::Unknown { .. } | DeviceError::Ambiguous { .. });
    let (status, advice) = match named {
        true => (
            ExitStatus::Usage,
            Some("`realtime-run devices` lists what there is"),
        ),
        false => (ExitStatus::Failure, None),
    };
    Failure::Other {
        status,
        error: error.into(),
        advice,
    }
}

impl Devices {
    /// Whether the user is heard.
    pub fn hear(&self) -> bool {
        self.ears.is_some()
    }

    /// Whether the server hears where turns end and leaves the wish for an answer to us.
    pub fn leave_answers_to_us(&self) -> bool {
        self.hear() && self.ending.leaves_answers_to_us()
    }

    /// Whether the assistant is being heard.
    pub fn are_sounding(&self) -> bool {
        self.mouth.as_ref().is_some_and(Mouth::is_sounding)
    }

    /// Takes note of what happens in the session.
    pub async fn note(&self, event: &SessionEvent) {
        if let Some(mouth) = &self.mouth {
            mouth.note(event).await;
        }
    }

    /// The key of push-to-talk was pressed. Terminals don't tell when a key is let go of, so every other press does that.
    /// Tells whether the user is heard now; nothing if the key does nothing.
    pub async fn press(&mut self) -> Option<bool> {
        match &mut self.ears {
            Some(ears) => ears.press().await,
            None => None,
        }
    }

    /// Waits until nothing is to be heard any more.
    pub fn silence(&self) -> impl Future<Output = ()> + use<> {
        let mouth = self.mouth.clone();
        async move {
            if let Some(mouth) = mouth {
                mouth.silence().await;
            }
        }
    }

    /// Waits until a device does not work any more, and tells why.
    pub async fn lost(&mut self) -> anyhow::Error {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(Err(error))) => return error.into(),
                // The session is over, which an event tells.
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// What a screen shows of them.
    pub fn panel(&self) -> Panel {
        Panel::new(self.ears.as_ref(), self.mouth.as_ref())
    }

    /// What went wrong with the sound meanwhile, in words.
    pub fn troubles(&self) -> Vec<String> {
        let ears = self.ears.as_ref().and_then(Ears::trouble);
        let mouth = self.mouth.as_ref().and_then(Mouth::trouble);
        ears.into_iter().chain(mouth).collect()
    }
}

//! What a scenario does, made of a file that was found to be good.

use std::time::Duration;

use regex::Regex;
use serde_json::{Value, json};

use crate::protocol::{ApiError, transfer_tool};
use crate::simulator::brain::{CutOff, Output};
use crate::simulator::fault::{Fault, Faults};
use crate::simulator::opening::OpeningRefusal;

use super::schema::{
    ActionEntry, ActionSection, ArgumentsEntry, CutOffEntry, ErrorSection, FaultsSection, Otherwise,
    ScenarioContent, SendEntry, StepSection, TranscriptEntry, WhenEntry, WhenSection, Word,
};

/// What a scenario does.
#[derive(Debug)]
pub(super) struct Program {
    pub otherwise: Otherwise,
    pub in_order: bool,
    pub seed: Option<u32>,
    pub transcripts: Vec<Result<String, ApiError>>,
    pub steps: Vec<Step>,
    pub faults: Faults,
    pub refuse: Option<OpeningRefusal>,
}

#[derive(Debug)]
pub(super) struct Step {
    pub when: When,
    pub chance: Option<f64>,
    pub repeat: bool,
    pub then: Vec<Action>,
}

/// When a step fits.
#[derive(Debug)]
pub(super) enum When {
    /// Whenever the model is to answer.
    Asked,
    /// The user's words contain this, which is in lower case.
    UserSays(String),
    UserMatches(Regex),
    ToolOutput(String),
    SessionUpdate,
}

/// One thing that happens.
#[derive(Debug, Clone)]
pub(super) enum Action {
    Output(Output),
    /// Words with so much time between them.
    Slowly(String, Duration),
    Wait(Duration),
    /// A retrieved item with audio of so many bytes.
    HugeItem(usize),
    StaySilent,
}

impl Program {
    /// Makes the program.
    ///
    /// # Errors
    /// When the checks have overlooked something.
    pub fn of(content: ScenarioContent) -> Result<Self, Overlooked> {
        let transcript = |entry| match entry {
            TranscriptEntry::Words(words) => Ok(words),
            TranscriptEntry::Failure(failure) => Err(failure
                .fail
                .with_defaults("server_error", "Input transcription failed.")),
        };
        let steps: Result<_, _> = content.steps.into_iter().map(Step::of).collect();
        Ok(Self {
            otherwise: content.otherwise,
            in_order: content.in_order,
            seed: content.seed,
            transcripts: content.transcripts.into_iter().map(transcript).collect(),
            steps: steps?,
            refuse: refusal(content.faults.refuse.as_deref())?,
            faults: faults(content.faults)?,
        })
    }
}

/// The checks have overlooked something.
#[derive(Debug)]
pub(super) struct Overlooked;

impl Step {
    fn of(section: StepSection) -> Result<Self, Overlooked> {
        let mut then = Vec::new();
        for entry in section.then {
            match entry {
                ActionEntry::Word(word) => then.extend(word.actions()),
                ActionEntry::Table(section) => then.push(action(*section)?),
            }
        }
        Ok(Self {
            when: match section.when {
                None => When::Asked,
                Some(WhenEntry::Happens(_)) => When::SessionUpdate,
                Some(WhenEntry::Answers(section)) => when(section)?,
            },
            chance: section.chance,
            repeat: section.repeat,
            then,
        })
    }
}

fn when(section: WhenSection) -> Result<When, Overlooked> {
    match (section.user_says, section.user_matches, section.tool_output) {
        (Some(words), _, _) => Ok(When::UserSays(words.to_lowercase())),
        (_, Some(pattern), _) => Regex::new(&pattern)
            .map(When::UserMatches)
            .map_err(|_| Overlooked),
        (_, _, Some(name)) => Ok(When::ToolOutput(name)),
        _ => Err(Overlooked),
    }
}

impl Word {
    fn actions(self) -> Vec<Action> {
        match self {
            Self::Done => vec![Action::Output(Output::Done)],
            Self::StaySilent => vec![Action::StaySilent],
            Self::Drop => vec![Action::Output(Output::Fault(Fault::Drop))],
            Self::Expire => expiry().map(|fault| Action::Output(Output::Fault(fault))).into(),
        }
    }
}

/// How a session ends that has reached its greatest length (protocol.md section 1.5).
fn expiry() -> [Fault; 2] {
    const MESSAGE: &str = "Your session hit the maximum duration of 60 minutes.";
    let error = json!({"type": "error", "error": {
        "type": "invalid_request_error", "code": "session_expired", "message": MESSAGE, "param": null, "event_id": null,
    }});
    let event = match error {
        Value::Object(event) => Fault::Event(event),
        other => Fault::Text(other.to_string()),
    };
    let close = Fault::Close {
        code: 1001,
        reason: MESSAGE.to_owned(),
    };
    [event, close]
}

fn action(section: ActionSection) -> Result<Action, Overlooked> {
    let fault = |fault| Ok(Action::Output(Output::Fault(fault)));
    let millis = |ms: u32| Duration::from_millis(ms.into());
    match section {
        ActionSection {
            say: Some(words),
            pace_ms: Some(pace),
            ..
        } => Ok(Action::Slowly(words, millis(pace))),
        ActionSection { say: Some(words), .. } => Ok(Action::Output(Output::Say(words))),
        ActionSection {
            call: Some(name),
            arguments,
            ..
        } => Ok(call(name, arguments)),
        ActionSection {
            hand_off: Some(agent),
            arguments,
            ..
        } => Ok(call(transfer_tool(&agent), arguments)),
        ActionSection {
            fail: Some(error), ..
        } => {
            let message = "The server had an error while processing your request.";
            Ok(Action::Output(Output::Fail(
                error.with_defaults("server_error", message),
            )))
        }
        ActionSection {
            cut_off: Some(why), ..
        } => Ok(Action::Output(Output::CutOff(match why {
            CutOffEntry::MaxOutputTokens => CutOff::MaxOutputTokens,
            CutOffEntry::ContentFilter => CutOff::ContentFilter,
        }))),
        ActionSection {
            wait_ms: Some(ms), ..
        } => Ok(Action::Wait(millis(ms))),
        ActionSection {
            send: Some(entry), ..
        } => fault(match entry {
            SendEntry::Text(text) => Fault::Text(text),
            SendEntry::Event(event) => Fault::Event(event),
        }),
        ActionSection {
            send_binary: Some(text),
            ..
        } => fault(Fault::Binary(text.into())),
        ActionSection {
            huge_item_bytes: Some(bytes),
            ..
        } => Ok(Action::HugeItem(usize::try_from(bytes).map_err(|_| Overlooked)?)),
        ActionSection {
            close: Some(code),
            reason,
            ..
        } => fault(Fault::Close {
            code,
            reason: reason.unwrap_or_default(),
        }),
        ActionSection {
            deaf_ms: Some(ms), ..
        } => fault(Fault::Deaf(millis(ms))),
        _ => Err(Overlooked),
    }
}

fn call(name: String, arguments: Option<ArgumentsEntry>) -> Action {
    let arguments = match arguments {
        None => "{}".to_owned(),
        Some(ArgumentsEntry::Text(text)) => text,
        Some(ArgumentsEntry::Table(table)) => Value::Object(table).to_string(),
    };
    Action::Output(Output::Call { name, arguments })
}

fn refusal(name: Option<&str>) -> Result<Option<OpeningRefusal>, Overlooked> {
    name.map(str::parse).transpose().map_err(|_| Overlooked)
}

fn faults(section: FaultsSection) -> Result<Faults, Overlooked> {
    Ok(Faults {
        null_keys: section.null_keys,
        duplicate: section.duplicate,
        late_deltas: usize::try_from(section.late_deltas).map_err(|_| Overlooked)?,
        frame_delay: Duration::from_millis(section.frame_delay_ms.into()),
    })
}

impl ErrorSection {
    fn with_defaults(self, kind: &str, message: &str) -> ApiError {
        ApiError {
            kind: self.kind.unwrap_or_else(|| kind.to_owned()),
            code: self.code,
            message: self.message.unwrap_or_else(|| message.to_owned()),
            ..ApiError::default()
        }
    }
}

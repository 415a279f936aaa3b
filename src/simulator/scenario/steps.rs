//! The brain that takes the steps of a scenario.

use std::future::pending;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::protocol::ApiError;
use crate::simulator::brain::{AutoBrain, Brain, Last, Output, Pen, Prompt, Reply, Turn};
use crate::simulator::fault::Fault;
use crate::simulator::transcriber::Speech;
use crate::simulator::{id, words};

use super::build::{Action, Program, When};
use super::chance::Chance;
use super::schema::Otherwise;

/// A brain that follows a scenario.
pub(super) struct ScenarioBrain {
    program: Arc<Program>,
    /// The steps that were taken and do not repeat.
    taken: Vec<bool>,
    /// How often the user has spoken.
    heard: usize,
    chance: Chance,
}

impl ScenarioBrain {
    pub fn new(program: Arc<Program>, chance: Chance) -> Self {
        Self {
            taken: vec![false; program.steps.len()],
            program,
            heard: 0,
            chance,
        }
    }

    /// Takes the step that fits, if one does.
    fn take(&mut self, fits: impl Fn(&When) -> bool) -> Option<Reply> {
        let n = self.choose(fits)?;
        if self.program.in_order {
            self.taken[..n].fill(true);
        }
        self.taken[n] = !self.program.steps.get(n)?.repeat;
        let program = Arc::clone(&self.program);
        Some(Reply::written(move |pen| async move {
            for action in program.steps.get(n).into_iter().flat_map(|step| &step.then) {
                action.perform(&pen).await;
            }
        }))
    }

    /// The number of the step that fits and is to be taken.
    fn choose(&mut self, fits: impl Fn(&When) -> bool) -> Option<usize> {
        for (n, step) in self.program.steps.iter().enumerate() {
            if self.taken[n] {
                continue;
            }
            let fits = fits(&step.when);
            if fits && step.chance.is_none_or(|likely| self.chance.happens(likely)) {
                return Some(n);
            }
            // What repeats is left behind when it no longer fits, and so is what chance passes over.
            if self.program.in_order && !step.repeat && !fits {
                return None;
            }
        }
        None
    }
}

impl Brain for ScenarioBrain {
    fn answer(&mut self, prompt: &Prompt<'_>) -> Reply {
        let turn = Turn::of(prompt);
        if let Some(reply) = self.take(|when| when.fits(&turn)) {
            return reply;
        }
        match self.program.otherwise {
            Otherwise::Auto => AutoBrain.answer(prompt),
            Otherwise::Fail => vec![Output::Fail(uncovered(&turn))].into(),
        }
    }

    fn session_updated(&mut self, _prompt: &Prompt<'_>) -> Option<Reply> {
        self.take(|when| matches!(when, When::SessionUpdate))
    }

    fn hear(&mut self, _speech: &Speech) -> Option<Result<String, ApiError>> {
        self.heard += 1;
        self.program.transcripts.get(self.heard - 1).cloned()
    }
}

impl When {
    fn fits(&self, turn: &Turn) -> bool {
        let is_user = matches!(turn.last, Last::User);
        match (self, &turn.last) {
            (Self::Asked, _) => true,
            (Self::UserSays(words), _) => is_user && turn.words.to_lowercase().contains(words),
            (Self::UserMatches(pattern), _) => is_user && pattern.is_match(&turn.words),
            (Self::ToolOutput(name), Last::Outputs(outputs)) => outputs.iter().any(|(tool, _)| tool == name),
            (Self::ToolOutput(_) | Self::SessionUpdate, _) => false,
        }
    }
}

impl Action {
    async fn perform(&self, pen: &Pen) {
        match self {
            Self::Output(output) => pen.write(output.clone()).await,
            Self::Slowly(text, pace) => {
                for piece in words::pieces(text) {
                    pen.write(Output::Say(piece.to_owned())).await;
                    sleep(*pace).await;
                }
            }
            Self::Wait(time) => sleep(*time).await,
            Self::HugeItem(bytes) => pen.write(Output::Fault(huge_item(*bytes))).await,
            Self::StaySilent => pending().await,
        }
    }
}

/// A retrieved item with silence of so many bytes.
fn huge_item(bytes: usize) -> Fault {
    let audio = base64_simd::STANDARD.encode_to_string(vec![0; bytes]);
    let event = json!({"type": "conversation.item.retrieved", "item": {
        "id": id::new("item_"), "object": "realtime.item", "type": "message", "role": "assistant", "status": "completed",
        "content": [{"type": "output_audio", "transcript": null, "audio": audio}],
    }});
    match event {
        Value::Object(event) => Fault::Event(event),
        other => Fault::Text(other.to_string()),
    }
}

/// What a client is told that has left the scenario.
fn uncovered(turn: &Turn) -> ApiError {
    let what = match &turn.last {
        Last::Nothing => "an answer to nothing".to_owned(),
        Last::User => format!("the user's words “{}”", turn.words),
        Last::Assistant => "an answer to the model's own words".to_owned(),
        Last::Call(name) => format!("an answer while {name} has no output"),
        Last::Outputs(outputs) => {
            let names: Vec<&str> = outputs.iter().map(|(name, _)| name.as_str()).collect();
            format!("the output of {}", names.join(", "))
        }
    };
    ApiError {
        kind: "invalid_request_error".into(),
        code: Some("scenario_step_missing".into()),
        message: format!("No step of the scenario is left that fits {what}."),
        ..ApiError::default()
    }
}

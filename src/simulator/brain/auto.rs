use super::{Brain, Output, Prompt};

/// A brain that works with any agent.
#[derive(Debug, Clone, Default)]
pub struct AutoBrain;

impl Brain for AutoBrain {
    fn answer(&mut self, _prompt: &Prompt<'_>) -> Vec<Output> {
        vec![Output::Say("Hello.".into())]
    }
}

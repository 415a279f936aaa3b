use std::fmt;
use std::sync::Arc;

use super::Guardrail;

/// What watches over a tool.
#[derive(Clone, Default)]
pub struct ToolGuardrails {
    /// Over calls, before they are made.
    pub input: Vec<Arc<dyn Guardrail>>,
    /// Over answers, before the model sees them.
    pub output: Vec<Arc<dyn Guardrail>>,
}

impl ToolGuardrails {
    /// Whether nothing does.
    pub fn is_empty(&self) -> bool {
        self.input.is_empty() && self.output.is_empty()
    }

    /// These and others.
    #[must_use]
    pub fn and(mut self, others: &Self) -> Self {
        self.input.extend_from_slice(&others.input);
        self.output.extend_from_slice(&others.output);
        self
    }
}

/// Whether they are the very same guardrails.
impl PartialEq for ToolGuardrails {
    fn eq(&self, other: &Self) -> bool {
        let same = |one: &[Arc<dyn Guardrail>], other: &[Arc<dyn Guardrail>]| {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| Arc::ptr_eq(one, other))
        };
        same(&self.input, &other.input) && same(&self.output, &other.output)
    }
}

impl fmt::Debug for ToolGuardrails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names =
            |all: &[Arc<dyn Guardrail>]| all.iter().map(|own| own.name().to_owned()).collect::<Vec<_>>();
        f.debug_struct("ToolGuardrails")
            .field("input", &names(&self.input))
            .field("output", &names(&self.output))
            .finish()
    }
}

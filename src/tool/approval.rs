use super::{ToolCall, ToolError};
use crate::context::{Condition, Variables};

/// Which calls of a tool have to be approved before they run. Made from `true`, `false` or a [`Condition`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Approval {
    /// None: they run at once.
    #[default]
    Never,
    /// Every one.
    Always,
    /// Those for which this holds: it knows the arguments as `args`, and the context.
    When(Condition),
}

impl Approval {
    /// Whether this call has to be approved.
    ///
    /// # Errors
    /// When the condition can't be told: the call must not run then.
    pub fn is_needed(&self, call: &ToolCall) -> Result<bool, ToolError> {
        match self {
            Self::Never => Ok(false),
            Self::Always => Ok(true),
            Self::When(condition) => {
                let variables = Variables::of(&call.context.values()).with("args", &call.arguments);
                let unknown = |error| format!("it can't be told whether it has to be approved: {error}");
                condition
                    .holds(&variables)
                    .map_err(|error| ToolError::new(unknown(error)))
            }
        }
    }
}

impl From<bool> for Approval {
    fn from(is_needed: bool) -> Self {
        match is_needed {
            true => Self::Always,
            false => Self::Never,
        }
    }
}

impl From<Condition> for Approval {
    fn from(condition: Condition) -> Self {
        Self::When(condition)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::context::RunContext;

    fn is_needed(approval: impl Into<Approval>, arguments: Value) -> Result<bool, ToolError> {
        let context = RunContext::new(json!({"limit": 100}));
        let call = ToolCall::new("call_1", "Desk", arguments).context(context);
        approval.into().is_needed(&call)
    }

    #[test]
    fn a_condition_is_over_the_arguments_and_the_context() {
        let above = || Condition::new("args.amount > limit").unwrap();
        assert_eq!(is_needed(above(), json!({"amount": 101})), Ok(true));
        assert_eq!(is_needed(above(), json!({"amount": 100})), Ok(false));
        assert_eq!(is_needed(true, json!({})), Ok(true));
        assert_eq!(is_needed(false, json!({})), Ok(false));
    }

    #[test]
    fn a_condition_that_cannot_be_told_lets_nothing_run() {
        let above = Condition::new("args.amount > limit").unwrap();
        let error = is_needed(above, json!({})).unwrap_err();
        assert_eq!(
            error.message(),
            "it can't be told whether it has to be approved: `args.amount` is undefined"
        );
    }
}

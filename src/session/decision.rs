/// What a person says to a call that waits for approval ([`SessionEvent::ToolApprovalRequired`]).
///
/// ```
/// use realtime_run::session::Decision;
///
/// let yes = Decision::approve();
/// let never = Decision::reject().message("Refunds are for people.").always();
/// ```
///
/// [`SessionEvent::ToolApprovalRequired`]: super::SessionEvent::ToolApprovalRequired
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Decision {
    pub(super) ruling: Ruling,
    pub(super) always: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ruling {
    Approved,
    /// With what the model is told, if not the usual.
    Rejected(Option<String>),
}

impl Decision {
    /// The call runs.
    pub fn approve() -> Self {
        Self {
            ruling: Ruling::Approved,
            always: false,
        }
    }

    /// The call does not run, and the model is told so.
    pub fn reject() -> Self {
        Self {
            ruling: Ruling::Rejected(None),
            always: false,
        }
    }

    /// Rejects the call, and sets what the model is told instead of the usual words.
    pub fn message(self, message: impl Into<String>) -> Self {
        Self {
            ruling: Ruling::Rejected(Some(message.into())),
            ..self
        }
    }

    /// Makes it hold for all calls of the same tool that wait or are made in this session. Tools are told apart by their
    /// names and the MCP servers that run them.
    pub fn always(self) -> Self {
        Self { always: true, ..self }
    }
}

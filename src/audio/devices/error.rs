use std::fmt;

/// Which way sound goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From a microphone.
    Input,
    /// To a speaker.
    Output,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "input",
            Self::Output => "output",
        })
    }
}

/// Why a device can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The machine's sound system does not say what there is.
    #[error("the {direction} devices can't be listed: {cause}")]
    Unlisted {
        /// Of which kind.
        direction: Direction,
        /// Why.
        cause: String,
    },
    /// There is no default device.
    #[error("this machine has no {0} device")]
    None(Direction),
    /// No device has this name.
    #[error("there is no {direction} device `{name}`")]
    Unknown {
        /// Of which kind.
        direction: Direction,
        /// The name.
        name: String,
    },
    /// Several devices could be meant.
    #[error("the {direction} device `{name}` could be {}", .candidates.join(" or "))]
    Ambiguous {
        /// Of which kind.
        direction: Direction,
        /// The name.
        name: String,
        /// The devices.
        candidates: Vec<String>,
    },
    /// It can't be opened.
    #[error("the {direction} device `{name}` can't be used: {cause}")]
    Unusable {
        /// Of which kind.
        direction: Direction,
        /// The device.
        name: String,
        /// Why.
        cause: String,
    },
    /// It was open, and does not work any more.
    #[error("the {direction} device `{name}` is gone: {cause}")]
    Lost {
        /// Of which kind.
        direction: Direction,
        /// The device.
        name: String,
        /// Why.
        cause: String,
    },
}

//! Sample formats and sounds.

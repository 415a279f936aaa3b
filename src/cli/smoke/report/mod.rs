//! Reports of smoke tests as files.
//!
//! In: the [`Results`](super::results::Results) of all scripts. Out: a file in one of the forms.

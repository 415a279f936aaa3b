//! The full screen of a run with a microphone.
//!
//! In: events, what would else be printed to the terminal, how loud it is, keys. Out: the screen, and what the person
//! wants, as inputs like those of the prompt. What the screen shows and what keys do to it is in `view`, how it looks in
//! `draw`; neither needs a terminal, which is `full`'s.

#[cfg(feature = "devices")]
mod draw;
#[cfg(feature = "devices")]
mod full;
#[cfg(not(feature = "devices"))]
mod none;
#[cfg(feature = "devices")]
mod tail;
#[cfg(feature = "devices")]
mod view;

#[cfg(feature = "devices")]
pub use full::Screen;
#[cfg(not(feature = "devices"))]
pub use none::Screen;
#[cfg(feature = "devices")]
pub use tail::Tail;

//! Opening, using and closing the WebSocket to a Realtime server.
//!
//! In: an [`Endpoint`] (where, and with what credentials). Out: a [`Connection`] that sends and receives the
//! text of frames, or a [`ConnectError`] that says what to do; and in the end a [`CloseReason`]. It knows how
//! servers refuse (protocol.md section 1), keeps the connection alive, and knows nothing of what the frames say. A
//! [`Recorder`] writes down what goes over a connection.

mod close;
mod connection;
mod endpoint;
mod error;
mod recorder;

pub use close::CloseReason;
pub use connection::{Connection, Incoming};
pub use endpoint::{Endpoint, EndpointError, EndpointOptions};
pub use error::{ConnectError, advice};
pub use recorder::{Recorded, Recorder};

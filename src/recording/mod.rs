//! The file format of recorded sessions: both sides of a connection, as JSON lines.
//!
//! In: the lines of a file. Out: a [`Recording`], which is [`Row`]s in the order in which they were seen; and the other
//! way a [`Row`] becomes its line. It knows nothing of sockets and files are only read: the transport writes them, the
//! simulator plays them.
//!
//! A row is `{"from": "server" | "client", "event": {…}}`, perhaps with `at_ms`, the time since the connection was
//! opened. A frame that holds no JSON object has its `text` instead of an event, or if it is not even text, its bytes as
//! `base64`. Rows from the `"recorder"` say what no frame says: what recorded, how the connection ended, and how many
//! frames are missing from a place. Readers that take only what is from a server or a client pass over them.

mod audio;
mod error;
mod read;
mod row;

pub(crate) use audio::{leave_out_audio, note_of_length, put_back_silence};
pub use error::{LineError, RecordingError};
pub use read::Recording;
pub use row::{Ending, Entry, Frame, Row, Side};

//! A local Realtime server.

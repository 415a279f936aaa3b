//! The wire types of the Realtime API.

//! A Realtime session: state machine, driver, public handle.

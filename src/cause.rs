//! What lies at the bottom of an error.

/// The cause at the bottom, as `Connection refused`. The layers above it repeat addresses, which may hold credentials.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

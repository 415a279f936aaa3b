//! Which TLS implementation everything here uses.

/// Has rustls use ring. Call it before anything opens a TLS connection: a process that links two providers and has
/// chosen none would panic at the first.
pub(crate) fn choose_provider() {
    // Fails only if a provider is set already, by the application or another part of this crate: that one will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

//! The Python that has the peers of the tests: the SDKs, and readers of what we write.
//!
//! Needs what `make peers` installs, or the Python that `REALTIME_RUN_PEERS_PYTHON` names. Without it the tests are skipped,
//! except where `CI` is set. Use it with `#[path = "support/python.rs"] mod python;`.

use std::path::{Path, PathBuf};

/// The interpreter that has what the peers need; none, loudly, where there is none.
pub fn python() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = std::env::var_os("REALTIME_RUN_PEERS_PYTHON")
        .map_or_else(|| root.join(".peers/venv/bin/python"), PathBuf::from);
    if python.exists() {
        return Some(python);
    }
    let missing = format!(
        "there is no Python with the peers at {}; `make peers` makes it",
        python.display()
    );
    assert!(std::env::var_os("CI").is_none(), "{missing}");
    eprintln!("skipped: {missing}");
    None
}

//! Ids as the service makes them: a prefix and random letters and digits (protocol.md section 3).

use crate::protocol::Id;

/// An id with 21 random characters: `event_…`, `sess_…`, `conv_…`, `resp_…`, `item_…`.
pub(super) fn new(prefix: &str) -> Id {
    random(prefix, 21)
}

/// The id of a function call, which is shorter.
pub(super) fn call() -> Id {
    random("call_", 16)
}

/// So many random letters and digits.
pub(super) fn letters(count: usize) -> impl Iterator<Item = char> {
    std::iter::repeat_with(fastrand::alphanumeric).take(count)
}

fn random(prefix: &str, count: usize) -> Id {
    prefix.chars().chain(letters(count)).collect::<String>().into()
}

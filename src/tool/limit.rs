//! How much of what a tool writes is kept.

/// The most that is kept of an answer, in bytes: far beyond what a model's context holds.
pub(super) const OUTPUT_LIMIT: usize = 256 * 1024;

/// The beginning of a stream.
pub(super) struct Head {
    limit: usize,
    bytes: Vec<u8>,
    /// Bytes that came after the limit.
    left_out: usize,
}

impl Head {
    /// Keeps up to `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            bytes: Vec::new(),
            left_out: 0,
        }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        let room = self.limit - self.bytes.len();
        let kept = &bytes[..bytes.len().min(room)];
        self.bytes.extend_from_slice(kept);
        self.left_out += bytes.len() - kept.len();
    }

    /// Whether more came than is kept.
    pub fn is_cut(&self) -> bool {
        self.left_out > 0
    }

    /// The text without line breaks at the end, with a note if it was cut.
    pub fn into_text(self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        match self.left_out {
            0 => text.trim_end_matches(['\r', '\n']).to_owned(),
            count => noted(
                text.trim_end_matches('\u{fffd}'),
                &format!("{count} bytes more were left out"),
            ),
        }
    }

    /// The text with a note that more was to come.
    pub fn into_text_left_off(self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        noted(text.trim_end_matches('\u{fffd}'), "the rest was left out")
    }
}

/// Cuts an answer of whatever kind of tool, with a note.
pub(super) fn cut(text: String) -> String {
    // Tools that cut their own answers leave a note in them, for which there is room here.
    if text.len() <= OUTPUT_LIMIT + 200 {
        return text;
    }
    let end = text.floor_char_boundary(OUTPUT_LIMIT);
    noted(
        &text[..end],
        &format!("{} bytes more were left out", text.len() - end),
    )
}

fn noted(text: &str, what: &str) -> String {
    format!("{text}\n[the output was too long; {what}]")
}

/// The end of a stream.
pub(super) struct Tail {
    limit: usize,
    bytes: Vec<u8>,
    cut: bool,
}

impl Tail {
    /// Keeps up to `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            bytes: Vec::new(),
            cut: false,
        }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        let excess = self.bytes.len().saturating_sub(self.limit);
        if excess > 0 {
            self.bytes.drain(..excess);
            self.cut = true;
        }
    }

    pub fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        if self.cut {
            format!("…{}", text.trim_start_matches('\u{fffd}'))
        } else {
            text.into_owned()
        }
    }
}

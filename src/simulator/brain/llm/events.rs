//! Server-sent events, as bytes come in: events end with an empty line, and a chunk may end anywhere, even within a
//! character.

use super::AskError;

/// The most bytes of one event.
const LONGEST: usize = 4 << 20;

/// The data of the events that have come.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// What has come and is no whole line yet.
    bytes: Vec<u8>,
    /// How much of it was found to hold no line's end.
    searched: usize,
    /// The data lines of the event that is coming in.
    data: Option<String>,
}

impl Events {
    /// Takes in what has come.
    ///
    /// # Errors
    /// When an event is longer than any sensible one.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), AskError> {
        self.bytes.extend_from_slice(bytes);
        let held = self.bytes.len() + self.data.as_ref().map_or(0, String::len);
        if held > LONGEST {
            return Err(AskError::Unreadable(format!(
                "an event has more than {LONGEST} bytes"
            )));
        }
        Ok(())
    }

    /// The data of the next whole event. Comments and other fields are passed over.
    pub fn next(&mut self) -> Option<String> {
        while let Some(line) = self.line() {
            if line.is_empty() {
                if let Some(data) = self.data.take() {
                    return Some(data);
                }
            } else if let Some(data) = line.strip_prefix("data:") {
                let data = data.strip_prefix(' ').unwrap_or(data);
                match &mut self.data {
                    Some(before) => {
                        before.push('\n');
                        before.push_str(data);
                    }
                    None => self.data = Some(data.to_owned()),
                }
            }
        }
        None
    }

    fn line(&mut self) -> Option<String> {
        let rest = &self.bytes[self.searched..];
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            self.searched = self.bytes.len();
            return None;
        };
        let end = self.searched + end;
        let line = self.bytes[..end]
            .strip_suffix(b"\r")
            .unwrap_or(&self.bytes[..end]);
        let line = String::from_utf8_lossy(line).into_owned();
        self.bytes.drain(..=end);
        self.searched = 0;
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STREAM: &str =
        ": hello\r\ndata: {\"a\":\"é€😀\"}\r\n\r\nevent: x\ndata: one\ndata:two\n\n\n\ndata: [DONE]\n\n";

    proptest! {
        #[test]
        fn chunks_may_end_anywhere(cuts in prop::collection::vec(0..STREAM.len(), 0..9)) {
            let mut cuts = cuts;
            cuts.extend([0, STREAM.len()]);
            cuts.sort_unstable();
            let (mut events, mut seen) = (Events::default(), Vec::new());
            for cut in cuts.windows(2) {
                events.push(&STREAM.as_bytes()[cut[0]..cut[1]]).unwrap();
                seen.extend(std::iter::from_fn(|| events.next()));
            }
            prop_assert_eq!(seen, ["{\"a\":\"é€😀\"}", "one\ntwo", "[DONE]"]);
        }
    }

    #[test]
    fn an_event_without_end_is_given_up() {
        let mut events = Events::default();
        let result = (0..5).try_for_each(|_| events.push(&vec![b'x'; 1 << 20]));
        assert!(matches!(result, Err(AskError::Unreadable(_))));
    }
}

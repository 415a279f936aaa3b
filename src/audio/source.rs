//! Sound on its way to a session: chunk by chunk, each when it is due.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::{AudioError, AudioReader, encode, sample_rate};
use crate::protocol::AudioFormat;

/// How much sound a chunk holds.
const CHUNK: Duration = Duration::from_millis(20);
/// Chunks that may wait to be sent; what is behind them stays in the file or the pipe.
const WAITING: usize = 16;

/// Sound to be sent, in chunks of 20 ms, until it ends.
#[derive(Debug)]
pub struct Source {
    format: AudioFormat,
    chunks: Chunks,
    is_realtime: bool,
    /// When the first chunk was asked for.
    began: Option<Instant>,
    /// Bytes given up to now.
    given: u64,
}

#[derive(Debug)]
enum Chunks {
    /// From a thread that reads; after an error it gives no more.
    Read(mpsc::Receiver<Result<Bytes, AudioError>>),
    /// So many bytes more of silence.
    Silence { chunk: Bytes, left: u64 },
}

impl Source {
    /// What is read, in this format. A thread of its own opens and reads it, until the end or until the source is dropped.
    ///
    /// # Errors
    /// When there can't be another thread.
    pub fn read(
        open: impl FnOnce() -> Result<AudioReader, AudioError> + Send + 'static,
        format: AudioFormat,
    ) -> io::Result<Self> {
        let (sender, chunks) = mpsc::channel(WAITING);
        // Not one of the runtime's: reading a pipe may never end, and the runtime would wait for it.
        std::thread::Builder::new()
            .name("audio-in".into())
            .spawn(move || read(open, &sender))?;
        Ok(Self::new(format, Chunks::Read(chunks)))
    }

    /// Silence of this length.
    pub fn silence(length: Duration, format: AudioFormat) -> Self {
        let samples = |length: Duration| {
            let millis = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
            millis.saturating_mul(sample_rate(format).into()) / 1_000
        };
        let silent = |samples: u64| encode((0..samples).map(|_| 0), format);
        let bytes_of_sample = silent(1).len() as u64;
        let chunks = Chunks::Silence {
            chunk: silent(samples(CHUNK).max(1)).into(),
            left: samples(length).saturating_mul(bytes_of_sample),
        };
        Self::new(format, chunks)
    }

    fn new(format: AudioFormat, chunks: Chunks) -> Self {
        Self {
            format,
            chunks,
            is_realtime: false,
            began: None,
            given: 0,
        }
    }

    /// Whether chunks come in the time that they take to sound, as a microphone has them; else as fast as they are taken.
    #[must_use]
    pub fn in_realtime(mut self, is_realtime: bool) -> Self {
        self.is_realtime = is_realtime;
        self
    }

    /// The next chunk, once it is due; none at the end. Dropping the future may lose a chunk.
    ///
    /// # Errors
    /// When what is read can't be opened or read any further.
    pub async fn next(&mut self) -> Option<Result<Bytes, AudioError>> {
        let began = *self.began.get_or_insert_with(Instant::now);
        let chunk = self.chunks.next().await?;
        if let Ok(chunk) = &chunk {
            self.given += chunk.len() as u64;
            if self.is_realtime {
                // When its last sample has sounded. Counted from the beginning, so that nothing adds up.
                sleep_until(began + self.format.duration(self.given)).await;
            }
        }
        Some(chunk)
    }
}

impl Chunks {
    async fn next(&mut self) -> Option<Result<Bytes, AudioError>> {
        match self {
            Self::Read(chunks) => chunks.recv().await,
            Self::Silence { left: 0, .. } => None,
            Self::Silence { chunk, left } => {
                let length = usize::try_from(*left).unwrap_or(usize::MAX).min(chunk.len());
                *left -= length as u64;
                Some(Ok(chunk.slice(..length)))
            }
        }
    }
}

/// The thread's side: gives chunks until one can't be read, or nobody takes them any more.
fn read(
    open: impl FnOnce() -> Result<AudioReader, AudioError>,
    chunks: &mpsc::Sender<Result<Bytes, AudioError>>,
) {
    let mut reader = match open() {
        Ok(reader) => reader,
        Err(error) => return drop(chunks.blocking_send(Err(error))),
    };
    while let Some(chunk) = reader.next_chunk(CHUNK).transpose() {
        let is_last = chunk.is_err();
        if chunks.blocking_send(chunk).is_err() || is_last {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn chunks(mut source: Source) -> Vec<Bytes> {
        let mut chunks = Vec::new();
        while let Some(chunk) = source.next().await {
            chunks.push(chunk.unwrap());
        }
        chunks
    }

    #[tokio::test]
    async fn silence_is_silent_in_every_format_and_as_long_as_it_is_to_be() {
        let formats = [
            (AudioFormat::PCM24, 0, 48),
            (AudioFormat::Pcmu, 0xff, 8),
            (AudioFormat::Pcma, 0xd5, 8),
        ];
        for (format, zero, per_ms) in formats {
            let chunks = chunks(Source::silence(Duration::from_millis(50), format)).await;
            assert!(chunks.iter().flatten().all(|byte| *byte == zero), "{format:?}");
            let lengths: Vec<_> = chunks.iter().map(|chunk| chunk.len() / per_ms).collect();
            assert_eq!(lengths, [20, 20, 10], "{format:?}");
        }
    }

    #[tokio::test]
    async fn in_realtime_no_chunk_comes_before_it_has_sounded() {
        let length = Duration::from_millis(50);
        let began = Instant::now();
        chunks(Source::silence(length, AudioFormat::Pcmu).in_realtime(true)).await;
        assert!(began.elapsed() >= length, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn what_is_read_comes_whole_and_in_order() {
        let bytes: Vec<u8> = (0..160 * 100).map(|n| (n / 160) as u8).collect();
        let format = AudioFormat::Pcmu;
        let sound = io::Cursor::new(bytes.clone());
        let source = Source::read(move || Ok(AudioReader::raw("raw", sound, format)), format).unwrap();
        assert_eq!(chunks(source).await.concat(), bytes);
    }

    #[tokio::test]
    async fn what_can_not_be_opened_is_told_and_ends() {
        let format = AudioFormat::Pcmu;
        let open = move || AudioReader::from_bytes("nothing", Bytes::new(), format);
        let mut source = Source::read(open, format).unwrap();
        let error = source.next().await.unwrap().unwrap_err();
        assert!(error.to_string().starts_with("nothing: "), "{error}");
        assert!(source.next().await.is_none());
    }
}

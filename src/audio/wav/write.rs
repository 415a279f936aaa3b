use std::io::{self, Seek, SeekFrom, Write};

/// Bytes of the header.
const HEADER: u64 = 44;
/// Bytes that are kept back to be written at once.
const BUFFER: usize = 64 << 10;
/// The most bytes of samples: both lengths in the header have 32 bits.
const MOST: u64 = u32::MAX as u64 - HEADER;

/// How many sounds go side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channels {
    /// One.
    Mono = 1,
    /// Left and right.
    Stereo = 2,
}

/// Writes a WAV file of 16-bit PCM while the sound is made.
///
/// After every flush the file is whole: what a program leaves that was killed afterwards can be read up to there.
pub struct WavWriter<W: Write + Seek> {
    file: W,
    /// Samples that are not in the file yet.
    buffer: Vec<u8>,
    /// Bytes of samples that are.
    written: u64,
}

impl<W: Write + Seek> WavWriter<W> {
    /// Begins a file, with so many samples a second and channel.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn new(mut file: W, channels: Channels, rate: u32) -> io::Result<Self> {
        file.write_all(&header(channels as u16, rate))?;
        Ok(Self {
            file,
            buffer: Vec::new(),
            written: 0,
        })
    }

    /// Appends samples; of two channels by turns, left first.
    ///
    /// # Errors
    /// When the file can't be written, or would be longer than the 4 GiB that a WAV file can have.
    pub fn write(&mut self, samples: impl IntoIterator<Item = i16>) -> io::Result<()> {
        self.buffer.extend(samples.into_iter().flat_map(i16::to_le_bytes));
        match self.buffer.len() < BUFFER {
            true => Ok(()),
            false => self.flush(),
        }
    }

    /// Brings everything into the file, and the lengths in its header up to date.
    ///
    /// # Errors
    /// As [`WavWriter::write`]'s.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return self.file.flush();
        }
        let written = self.written + self.buffer.len() as u64;
        if written > MOST {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "a WAV file holds no more than 4 GiB",
            ));
        }
        // In this order, so that the header never promises what is not there.
        self.file.write_all(&self.buffer)?;
        self.buffer.clear();
        self.written = written;
        for (at, length) in [(4, written + HEADER - 8), (HEADER - 4, written)] {
            self.file.seek(SeekFrom::Start(at))?;
            self.file.write_all(&(length as u32).to_le_bytes())?;
        }
        self.file.seek(SeekFrom::Start(HEADER + written))?;
        self.file.flush()
    }

    /// Ends the file, and gives it back.
    ///
    /// # Errors
    /// As [`WavWriter::write`]'s.
    pub fn finish(mut self) -> io::Result<W> {
        self.flush()?;
        Ok(self.file)
    }
}

impl<W: Write + Seek> std::fmt::Debug for WavWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WavWriter")
            .field("written", &self.written)
            .finish_non_exhaustive()
    }
}

/// The header of a file without samples.
fn header(channels: u16, rate: u32) -> [u8; HEADER as usize] {
    let frame = channels * 2;
    let mut header = [0; HEADER as usize];
    let fields: [(usize, &[u8]); 11] = [
        (0, b"RIFF"),
        (4, &(HEADER as u32 - 8).to_le_bytes()),
        (8, b"WAVEfmt "),
        (16, &16_u32.to_le_bytes()),
        (20, &1_u16.to_le_bytes()), // PCM
        (22, &channels.to_le_bytes()),
        (24, &rate.to_le_bytes()),
        (28, &rate.saturating_mul(frame.into()).to_le_bytes()),
        (32, &frame.to_le_bytes()),
        (34, &16_u16.to_le_bytes()), // bits of a sample
        (36, b"data"),
    ];
    for (at, field) in fields {
        header[at..at + field.len()].copy_from_slice(field);
    }
    header
}

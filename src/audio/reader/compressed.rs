use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatReader, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream};

use super::super::{AudioKind, AudioProblem};

/// A FLAC, Ogg Vorbis or MP3 file, decoded packet by packet.
pub(super) struct Compressed {
    kind: AudioKind,
    file: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track: u32,
    pub(super) rate: u32,
    /// Frames in all, where the file says.
    pub(super) frames: Option<u64>,
    /// The channels of a packet, by turns.
    samples: Vec<f32>,
    ended: bool,
}

impl Compressed {
    pub(super) fn new(source: Box<dyn MediaSource>, kind: AudioKind) -> Result<Self, AudioProblem> {
        guarded(kind, || Self::open(source, kind))
    }

    fn open(source: Box<dyn MediaSource>, kind: AudioKind) -> Result<Self, AudioProblem> {
        let problem = |error| problem(kind, error);
        let stream = MediaSourceStream::new(source, Default::default());
        let file = symphonia::default::get_probe()
            .probe(
                &Default::default(),
                stream,
                Default::default(),
                Default::default(),
            )
            .map_err(problem)?;
        let track = file.default_track(TrackType::Audio);
        let parameters = track.and_then(|track| Some((track, track.codec_params.as_ref()?.audio()?)));
        let (track, parameters) = parameters.ok_or_else(|| no_codec(kind))?;
        let rate = parameters.sample_rate.ok_or_else(|| no_codec(kind))?;
        let decoder = symphonia::default::get_codecs()
            .make_audio_decoder(parameters, &AudioDecoderOptions::default())
            .map_err(|error| match error {
                Error::Unsupported(_) => no_codec(kind),
                error => problem(error),
            })?;
        Ok(Self {
            kind,
            decoder,
            track: track.id,
            rate,
            frames: track.num_frames,
            samples: Vec::new(),
            ended: false,
            file,
        })
    }

    /// Appends samples to the mono sound; false at the end. What can't be decoded is passed over, as players do.
    pub(super) fn next(&mut self, mono: &mut Vec<f32>) -> Result<bool, AudioProblem> {
        let kind = self.kind;
        while !self.ended {
            // A decoder that has panicked is not asked again.
            self.ended = true;
            let before = mono.len();
            self.ended = !guarded(kind, || self.packet(mono))?;
            if mono.len() > before {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Appends the samples of a packet, if it has any; false at the end.
    fn packet(&mut self, mono: &mut Vec<f32>) -> Result<bool, AudioProblem> {
        let packet = match self.file.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => return Ok(false),
            Err(error) if is_end(&error) => return Ok(false),
            Err(Error::DecodeError(what)) => {
                tracing::warn!("damaged {} file: {what}", self.kind);
                return Ok(false);
            }
            Err(error) => return Err(problem(self.kind, error)),
        };
        if packet.track_id != self.track {
            return Ok(true);
        }
        match self.decoder.decode(&packet) {
            Ok(decoded) => {
                let channels = decoded.spec().channels().count().max(1);
                self.samples.resize(decoded.samples_interleaved(), 0.0);
                decoded.copy_to_slice_interleaved(&mut self.samples);
                let frames = self.samples.chunks_exact(channels);
                mono.extend(frames.map(|frame| frame.iter().sum::<f32>() / channels as f32));
            }
            Err(Error::DecodeError(what)) => tracing::warn!("damaged {} file: {what}", self.kind),
            Err(error) if is_end(&error) => return Ok(false),
            Err(error) => return Err(problem(self.kind, error)),
        }
        Ok(true)
    }
}

/// The decoders index and count by what a file says. Where one panics at it, that is the file's fault, and no reason to
/// end a run.
fn guarded<T>(kind: AudioKind, work: impl FnOnce() -> Result<T, AudioProblem>) -> Result<T, AudioProblem> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let what = message(panic.as_ref());
        Err(AudioProblem::Damaged {
            kind,
            what: format!("its decoder gave up: {what}"),
        })
    })
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a word")
}

fn is_end(error: &Error) -> bool {
    matches!(error, Error::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof)
}

fn no_codec(kind: AudioKind) -> AudioProblem {
    AudioProblem::Unsupported {
        kind,
        what: match kind {
            AudioKind::Ogg => "there is no Vorbis in it".into(),
            _ => "there is no sound in it that is read".into(),
        },
    }
}

fn problem(kind: AudioKind, error: Error) -> AudioProblem {
    match error {
        Error::IoError(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => error.into(),
        Error::IoError(_) => AudioProblem::Damaged {
            kind,
            what: "it ends before its samples begin".into(),
        },
        Error::Unsupported(what) => AudioProblem::Unsupported {
            kind,
            what: what.into(),
        },
        Error::ResetRequired => AudioProblem::Unsupported {
            kind,
            what: "another sound begins in the middle of it".into(),
        },
        other => AudioProblem::Damaged {
            kind,
            what: other.to_string(),
        },
    }
}

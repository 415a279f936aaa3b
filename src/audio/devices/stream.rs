//! Streams of samples to and from a device, whatever kind of samples it has.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use cpal::traits::{DeviceTrait, StreamTrait};
use cpal::{
    BufferSize, FromSample, OutputCallbackInfo, Sample, SampleFormat, SizedSample, Stream, StreamConfig,
    SupportedBufferSize, SupportedStreamConfig,
};

use super::health::Health;

/// How much sound a device takes or gives at once.
const PERIOD_MS: u32 = 20;
/// How long a device may take to open, where its system has such a limit.
const OPEN_LIMIT: Duration = Duration::from_secs(5);
/// How long a device may take to end its stream.
const END_LIMIT: Duration = Duration::from_secs(1);
/// Samples of one channel that are made at once.
const PIECE: usize = 1_024;

/// A device that is about to be opened, and how.
pub(super) struct Opening<'a> {
    pub(super) device: &'a cpal::Device,
    pub(super) config: StreamConfig,
    pub(super) samples: SampleFormat,
    pub(super) health: &'a Arc<Health>,
}

/// A stream that goes on until it is dropped.
pub(super) struct Running(Option<Stream>);

impl Running {
    fn start(stream: Stream) -> Result<Self, cpal::Error> {
        stream.play()?;
        Ok(Self(Some(stream)))
    }
}

/// Sound systems that went down may never let go of a stream (libpulse waits for a lock of a server that was killed), so
/// it is ended elsewhere, and waited for only so long.
impl Drop for Running {
    fn drop(&mut self) {
        let stream = self.0.take();
        let (done, wait) = sync_channel(1);
        let thread = std::thread::Builder::new().name("device-end".into());
        let ending = thread.spawn(move || {
            drop(stream);
            let _ = done.send(());
        });
        if ending.is_ok() {
            let _ = wait.recv_timeout(END_LIMIT);
        }
    }
}

/// Ways to open a device: with the short blocks that a conversation needs, else with its own.
pub(super) fn configs(config: &SupportedStreamConfig) -> Vec<StreamConfig> {
    let own = config.config();
    let frames = config.sample_rate() * PERIOD_MS / 1_000;
    let short = match *config.buffer_size() {
        SupportedBufferSize::Range { min, max } => Some(StreamConfig {
            buffer_size: BufferSize::Fixed(frames.max(min).min(max)),
            ..own
        }),
        SupportedBufferSize::Unknown => None,
    };
    short.into_iter().chain([own]).collect()
}

impl Opening<'_> {
    /// Calls `take` with the samples of one channel that the device gives; of several channels with their mean.
    pub(super) fn input(
        &self,
        take: impl FnMut(&mut dyn Iterator<Item = f32>) + Send + 'static,
    ) -> Result<Running, cpal::Error> {
        let stream = match self.samples {
            SampleFormat::I8 => self.input_of::<i8>(take),
            SampleFormat::I16 => self.input_of::<i16>(take),
            SampleFormat::I32 => self.input_of::<i32>(take),
            SampleFormat::U8 => self.input_of::<u8>(take),
            SampleFormat::U16 => self.input_of::<u16>(take),
            SampleFormat::F64 => self.input_of::<f64>(take),
            // A device that has none of these refuses it.
            _ => self.input_of::<f32>(take),
        }?;
        Running::start(stream)
    }

    fn input_of<T>(
        &self,
        mut take: impl FnMut(&mut dyn Iterator<Item = f32>) + Send + 'static,
    ) -> Result<Stream, cpal::Error>
    where
        T: SizedSample,
        f32: FromSample<T>,
    {
        let channels = usize::from(self.config.channels.max(1));
        let mean = move |frame: &[T]| {
            let sum: f32 = frame.iter().map(|sample| f32::from_sample(*sample)).sum();
            sum / channels as f32
        };
        let (health, working) = (Arc::clone(self.health), Arc::clone(self.health));
        self.device.build_input_stream(
            self.config,
            move |samples: &[T], _: &_| {
                working.on_sound();
                take(&mut samples.chunks_exact(channels).map(mean));
            },
            move |error| health.on_error(&error),
            Some(OPEN_LIMIT),
        )
    }

    /// Has `fill` make the samples that the device asks for, the same on every channel. It is told when they begin to be
    /// heard.
    pub(super) fn output(
        &self,
        fill: impl FnMut(&mut [f32], Instant) + Send + 'static,
    ) -> Result<Running, cpal::Error> {
        let stream = match self.samples {
            SampleFormat::I8 => self.output_of::<i8>(fill),
            SampleFormat::I16 => self.output_of::<i16>(fill),
            SampleFormat::I32 => self.output_of::<i32>(fill),
            SampleFormat::U8 => self.output_of::<u8>(fill),
            SampleFormat::U16 => self.output_of::<u16>(fill),
            SampleFormat::F64 => self.output_of::<f64>(fill),
            // A device that has none of these refuses it.
            _ => self.output_of::<f32>(fill),
        }?;
        Running::start(stream)
    }

    fn output_of<T>(
        &self,
        mut fill: impl FnMut(&mut [f32], Instant) + Send + 'static,
    ) -> Result<Stream, cpal::Error>
    where
        T: SizedSample + FromSample<f32>,
    {
        let channels = usize::from(self.config.channels.max(1));
        let rate = self.config.sample_rate.max(1);
        let mut piece = [0.0; PIECE];
        let (health, working) = (Arc::clone(self.health), Arc::clone(self.health));
        self.device.build_output_stream(
            self.config,
            move |samples: &mut [T], info: &OutputCallbackInfo| {
                working.on_sound();
                let mut at = Instant::now() + delay(info);
                for frames in samples.chunks_mut(PIECE * channels) {
                    let count = frames.len() / channels;
                    fill(&mut piece[..count], at);
                    for (frame, sample) in frames.chunks_exact_mut(channels).zip(&piece) {
                        frame.fill(T::from_sample(*sample));
                    }
                    at += Duration::from_secs(count as u64) / rate;
                }
            },
            move |error| health.on_error(&error),
            Some(OPEN_LIMIT),
        )
    }
}

/// How long the device takes to play what it asks for now, as it says.
fn delay(info: &OutputCallbackInfo) -> Duration {
    let times = info.timestamp();
    times.playback.saturating_duration_since(times.callback)
}

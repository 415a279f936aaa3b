//! Converting sound: how many times faster than it sounds, in CPU time of one thread.
//!
//! A minute each, from the bytes of a file, or of the wire, to those that are sent or played.

mod support;

use std::hint::black_box;
use std::io::Cursor;
use std::time::Duration;

use cpu_time::ThreadTime;
use realtime_run::audio::{self, AudioReader, Channels, Resampler, WavWriter};
use realtime_run::protocol::AudioFormat;
use support::spread;

const MINUTE: Duration = Duration::from_secs(60);
const CHUNK: Duration = Duration::from_millis(20);

fn main() {
    println!("converting a minute of sound: times as fast as it sounds, CPU time of one thread");
    let stereo = wav(48_000, Channels::Stereo);
    let studio = wav(44_100, Channels::Stereo);
    let plain = wav(24_000, Channels::Mono);
    measure("WAV at 24 kHz, read", || read(&plain, AudioFormat::PCM24));
    measure("WAV at 48 kHz, stereo, to PCM at 24 kHz", || {
        read(&stereo, AudioFormat::PCM24)
    });
    measure("WAV at 44.1 kHz, stereo, to PCM at 24 kHz", || {
        read(&studio, AudioFormat::PCM24)
    });
    measure("WAV at 24 kHz to µ-law at 8 kHz", || {
        read(&plain, AudioFormat::Pcmu)
    });
    let wire = audio::tone(300.0, MINUTE, AudioFormat::Pcmu);
    measure("µ-law at 8 kHz to PCM at 24 kHz", || {
        let mut resampler = Resampler::new(8_000, 24_000).unwrap();
        let mut out = Vec::new();
        for chunk in wire.chunks(160) {
            let samples = audio::decode(chunk, AudioFormat::Pcmu);
            let samples: Vec<f32> = samples.into_iter().map(audio::to_f32).collect();
            out.clear();
            resampler.push(&samples, &mut out);
            black_box(audio::encode(
                out.iter().copied().map(audio::to_i16),
                AudioFormat::PCM24,
            ));
        }
    });
    measure("PCM at 24 kHz, written as WAV", || {
        let mut wav = WavWriter::new(Cursor::new(Vec::new()), Channels::Mono, 24_000).unwrap();
        for chunk in plain[44..].chunks(960) {
            wav.write(audio::decode(chunk, AudioFormat::PCM24)).unwrap();
        }
        black_box(wav.finish().unwrap());
    });
}

/// A minute of a tone in a file.
fn wav(rate: u32, channels: Channels) -> Vec<u8> {
    let format = AudioFormat::Pcm { rate };
    let tone = audio::decode(&audio::tone(300.0, MINUTE, format), format);
    let mut wav = WavWriter::new(Cursor::new(Vec::new()), channels, rate).unwrap();
    wav.write(
        tone.into_iter()
            .flat_map(|sample| std::iter::repeat_n(sample, channels as usize)),
    )
    .unwrap();
    wav.finish().unwrap().into_inner()
}

/// Reads a file as it is sent, chunk by chunk.
fn read(file: &[u8], format: AudioFormat) {
    let mut reader = AudioReader::from_bytes("minute", file.to_vec(), format).unwrap();
    while let Some(chunk) = reader.next_chunk(CHUNK).unwrap() {
        black_box(chunk);
    }
}

fn measure(name: &str, work: impl Fn()) {
    let times = (0..9).map(|_| {
        let start = ThreadTime::now();
        work();
        MINUTE.as_secs_f64() / start.elapsed().as_secs_f64()
    });
    println!("  {name}: {}", spread(times.collect(), 0));
}

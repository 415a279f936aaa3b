//! Audio files of every kind that is read, as chunks that a session takes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::f64::consts::TAU;
use std::io::{Cursor, Write};
use std::time::Duration;

use proptest::prelude::*;
use realtime_run::audio::{self, AudioKind, AudioReader, Channels, WavWriter};
use realtime_run::protocol::AudioFormat;

const FLAC: &[u8] = include_bytes!("audio_files/tone.flac");
const OGG: &[u8] = include_bytes!("audio_files/tone.ogg");
const MP3: &[u8] = include_bytes!("audio_files/tone.mp3");
/// The tone in all of them, half of full scale.
const HZ: f64 = 440.0;

/// How a sample is written in a WAV file.
#[derive(Debug, Clone, Copy)]
struct Encoding {
    tag: u16,
    bits: u16,
    extensible: bool,
    sample: fn(f64) -> Vec<u8>,
}

const ENCODINGS: [Encoding; 9] = [
    plain(1, 8, |s| vec![(s * 127.0 + 128.0) as u8]),
    plain(1, 16, |s| ((s * 32_767.0) as i16).to_le_bytes().to_vec()),
    plain(1, 24, |s| ((s * 8_388_607.0) as i32).to_le_bytes()[..3].to_vec()),
    plain(1, 32, |s| ((s * 2_147_483_647.0) as i32).to_le_bytes().to_vec()),
    plain(3, 32, |s| (s as f32).to_le_bytes().to_vec()),
    plain(3, 64, |s| s.to_le_bytes().to_vec()),
    plain(6, 8, |s| {
        audio::encode([(s * 32_767.0) as i16], AudioFormat::Pcma)
    }),
    plain(7, 8, |s| {
        audio::encode([(s * 32_767.0) as i16], AudioFormat::Pcmu)
    }),
    Encoding {
        extensible: true,
        ..plain(1, 24, |s| ((s * 8_388_607.0) as i32).to_le_bytes()[..3].to_vec())
    },
];

const fn plain(tag: u16, bits: u16, sample: fn(f64) -> Vec<u8>) -> Encoding {
    Encoding {
        tag,
        bits,
        extensible: false,
        sample,
    }
}

/// Half a second of the tone, the same in all channels.
fn wav(encoding: Encoding, channels: u16, rate: u32) -> Vec<u8> {
    let mut format = Vec::new();
    let tag = if encoding.extensible { 0xfffe } else { encoding.tag };
    format.extend(tag.to_le_bytes());
    format.extend(channels.to_le_bytes());
    format.extend(rate.to_le_bytes());
    let frame = channels * encoding.bits / 8;
    format.extend((rate * u32::from(frame)).to_le_bytes());
    format.extend(frame.to_le_bytes());
    format.extend(encoding.bits.to_le_bytes());
    if encoding.extensible {
        format.extend(22_u16.to_le_bytes());
        format.extend(encoding.bits.to_le_bytes());
        format.extend(0_u32.to_le_bytes());
        format.extend(encoding.tag.to_le_bytes());
        format.extend(*b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71");
    }
    let samples = (0..rate / 2).map(|n| (f64::from(n) * TAU * HZ / f64::from(rate)).sin() / 2.0);
    let data: Vec<u8> = samples
        .flat_map(|sample| (encoding.sample)(sample).repeat(channels.into()))
        .collect();
    let mut file = b"RIFF\0\0\0\0WAVE".to_vec();
    for (name, chunk) in [(b"fmt ", &format), (b"data", &data)] {
        file.extend(name);
        file.extend((chunk.len() as u32).to_le_bytes());
        file.extend(chunk);
    }
    let riff = file.len() as u32 - 8;
    file[4..8].copy_from_slice(&riff.to_le_bytes());
    file
}

fn read(file: &[u8], format: AudioFormat) -> (AudioKind, Vec<i16>) {
    let mut reader = AudioReader::from_bytes("tone", file.to_vec(), format).unwrap();
    let bytes = reader.read_to_end().unwrap();
    (reader.kind(), audio::decode(&bytes, format))
}

/// Holds samples to be the tone, but for the edges: its frequency by rising zero crossings, its loudness by the mean of
/// its squares.
fn assert_tone(samples: &[i16], rate: u32, what: &str) {
    let rate = f64::from(rate);
    let middle = &samples[samples.len() / 10..samples.len() - samples.len() / 10];
    let rising: Vec<usize> = (1..middle.len())
        .filter(|n| middle[n - 1] < 0 && middle[*n] >= 0)
        .collect();
    let hz = (rising.len() - 1) as f64 * rate / (rising[rising.len() - 1] - rising[0]) as f64;
    assert!((hz - HZ).abs() < 1.0, "{what}: {hz} Hz");
    let square = |sample: &i16| (f64::from(*sample) / 32_768.0).powi(2);
    let loudness = (middle.iter().map(square).sum::<f64>() / middle.len() as f64).sqrt();
    let wanted = 0.5 / 2.0_f64.sqrt();
    // The encoder of the MP3 file takes a twentieth off, so that nothing clips.
    assert!(
        (loudness / wanted - 1.0).abs() < 0.06,
        "{what}: {loudness} for {wanted}"
    );
}

#[test]
fn wav_files_of_every_width_rate_and_number_of_channels() {
    for encoding in ENCODINGS {
        for (channels, rate) in [(1, 8_000), (2, 44_100), (3, 48_000), (1, 24_000), (6, 11_025)] {
            let what = format!("{encoding:?}, {channels} channels, {rate} Hz");
            let (kind, samples) = read(&wav(encoding, channels, rate), AudioFormat::PCM24);
            assert_eq!(kind, AudioKind::Wav);
            let wanted = f64::from(rate / 2) * 24_000.0 / f64::from(rate);
            assert_eq!(samples.len(), wanted.round() as usize, "{what}");
            assert_tone(&samples, 24_000, &what);
        }
    }
}

#[test]
fn compressed_files() {
    for (file, kind) in [
        (FLAC, AudioKind::Flac),
        (OGG, AudioKind::Ogg),
        (MP3, AudioKind::Mp3),
    ] {
        let (found, samples) = read(file, AudioFormat::PCM24);
        assert_eq!(found, kind);
        // Half a second, without what encoders add.
        assert_eq!(samples.len(), 12_000, "{kind}");
        assert_tone(&samples, 24_000, &kind.to_string());
    }
}

#[test]
fn sessions_of_every_format_get_their_own() {
    for format in [AudioFormat::PCM24, AudioFormat::Pcmu, AudioFormat::Pcma] {
        let rate = audio::sample_rate(format);
        for file in [FLAC, &wav(ENCODINGS[1], 2, 48_000)] {
            let (_, samples) = read(file, format);
            assert_eq!(samples.len(), rate as usize / 2, "{format:?}");
            assert_tone(&samples, rate, format.name());
        }
    }
}

/// What a G.711 session gets of a file at its rate is off by no more than half a step of the code.
#[test]
fn g711_is_within_its_quantisation_error() {
    for format in [AudioFormat::Pcmu, AudioFormat::Pcma] {
        let file = wav(ENCODINGS[1], 1, 8_000);
        let (_, plain) = read(&file, AudioFormat::Pcm { rate: 8_000 });
        let (_, coded) = read(&file, format);
        assert_eq!(plain.len(), coded.len());
        for (plain, coded) in plain.iter().zip(coded) {
            let off = i32::from(*plain).abs_diff(coded.into());
            assert!(
                off <= u32::from(plain.unsigned_abs()) / 32 + 8,
                "{plain} became {coded}"
            );
        }
    }
}

#[test]
fn chunks_are_whole_samples_of_the_time_asked_for() {
    let mut reader =
        AudioReader::from_bytes("tone", wav(ENCODINGS[1], 1, 44_100), AudioFormat::PCM24).unwrap();
    assert_eq!(reader.duration(), Some(Duration::from_millis(500)));
    let mut lengths = Vec::new();
    while let Some(chunk) = reader.next_chunk(Duration::from_millis(40)).unwrap() {
        lengths.push(chunk.len());
    }
    // Twelve and a half chunks.
    let mut wanted = vec![1_920; 12];
    wanted.push(960);
    assert_eq!(lengths, wanted);
    assert_eq!(reader.next_chunk(Duration::MAX).unwrap(), None, "the end stays");
}

#[test]
fn raw_samples_pass_as_they_are() {
    let bytes: Vec<u8> = (0..=200).collect();
    let mut pcm = AudioReader::raw("standard input", Cursor::new(bytes.clone()), AudioFormat::PCM24);
    assert_eq!(
        pcm.next_chunk(Duration::from_millis(1)).unwrap().unwrap(),
        bytes[..48]
    );
    assert_eq!(
        pcm.read_to_end().unwrap(),
        bytes[48..200],
        "half a sample is left out"
    );
    let mut telephone = AudioReader::raw("standard input", Cursor::new(bytes.clone()), AudioFormat::Pcma);
    assert_eq!(telephone.read_to_end().unwrap(), bytes);
}

#[cfg(unix)]
#[test]
fn a_pipe_is_a_file_too() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let file = wav(ENCODINGS[1], 1, 48_000);
    let writing = std::thread::spawn(move || writer.write_all(&file).is_ok());
    let path = {
        use std::os::fd::AsRawFd;
        format!("/dev/fd/{}", reader.as_raw_fd())
    };
    let mut pipe = AudioReader::open(path.as_ref(), AudioFormat::PCM24).unwrap();
    assert_eq!(pipe.read_to_end().unwrap().len(), 24_000);
    assert!(writing.join().unwrap());
}

#[test]
fn what_can_not_be_read_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let opus = [&OGG[..28], b"OpusHead", &[0; 99]].concat();
    let mut slow = wav(ENCODINGS[1], 1, 8_000);
    slow[24..28].copy_from_slice(&3_u32.to_le_bytes());
    let cases: [(&str, &[u8], &str); 7] = [
        (
            "text.txt",
            b"Hello, this is text.",
            "it is no audio file; WAV, FLAC, Ogg Vorbis and MP3 are read",
        ),
        ("empty.wav", b"", "it has no samples"),
        (
            "silent.wav",
            &wav(ENCODINGS[1], 1, 8_000)[..44],
            "it has no samples",
        ),
        (
            "slow.wav",
            &slow,
            "the WAV file can't be used: its rate is 3 Hz; 1000 to 384000 Hz are read",
        ),
        (
            "cut.flac",
            &FLAC[..20],
            "the FLAC file is damaged: it ends before its samples begin",
        ),
        ("opus.ogg", &opus, "the Ogg file "),
        ("cut.mp3", &MP3[..20], "the MP3 file "),
    ];
    for (name, bytes, said) in cases {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = AudioReader::open(&path, AudioFormat::PCM24)
            .map(drop)
            .unwrap_err();
        let message = error.to_string();
        assert!(
            message.starts_with(&format!("{}: {said}", path.display())),
            "{message}"
        );
    }
    let missing = AudioReader::open(&directory.path().join("missing.wav"), AudioFormat::PCM24);
    let message = missing.map(drop).unwrap_err().to_string();
    assert!(
        message.ends_with("missing.wav: No such file or directory (os error 2)"),
        "{message}"
    );
}

#[test]
fn what_a_truncated_file_has_counts() {
    for (file, least) in [
        (wav(ENCODINGS[1], 1, 24_000), 6_900),
        (FLAC.into(), 4_096),
        (MP3.into(), 4_096),
    ] {
        let (kind, samples) = read(&file[..file.len() * 6 / 10], AudioFormat::PCM24);
        assert!(
            (least..12_000).contains(&samples.len()),
            "{kind}: {}",
            samples.len()
        );
    }
}

/// All of a file that may be broken, or why not, as far as a minute.
fn survive(file: Vec<u8>) {
    let Ok(mut reader) = AudioReader::from_bytes("mangled", file, AudioFormat::PCM24) else {
        return;
    };
    for _ in 0..60 {
        if !matches!(reader.next_chunk(Duration::from_secs(1)), Ok(Some(_))) {
            return;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn mangled_files_are_survived(
        which in 0..5_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        header in prop::collection::vec((0..120_usize, prop::sample::select(vec![0, 1, 0x7f, 0x80, 0xff])), 0..4),
        cut in any::<prop::sample::Index>(),
        whole in any::<bool>(),
    ) {
        let extensible = wav(ENCODINGS[8], 2, 44_100);
        let mut file = [FLAC, OGG, MP3, &wav(ENCODINGS[1], 1, 8_000), &extensible][which].to_vec();
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        for (at, byte) in header {
            file[at] = byte;
        }
        if !whole {
            file.truncate(cut.index(file.len()));
        }
        survive(file);
    }
}

#[test]
fn a_file_that_is_written_is_read() {
    let samples: Vec<i16> = (0..24_000).map(|n| (n % 100 * 50) as i16).collect();
    let mut wav = WavWriter::new(Cursor::new(Vec::new()), Channels::Mono, 24_000).unwrap();
    wav.write(samples.iter().copied()).unwrap();
    let file = wav.finish().unwrap().into_inner();
    assert_eq!(read(&file, AudioFormat::PCM24), (AudioKind::Wav, samples));
}

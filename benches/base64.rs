//! Which base64 to use for audio: base64-simd beside base64, on pieces of the size that servers send.

mod support;

use std::hint::black_box;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use support::{median, spread};

fn main() {
    println!("base64 of 100 ms of audio (4,800 bytes): base64-simd beside base64, time per piece");
    let sound: Vec<u8> = (0..4_800).map(|byte| (byte * 31 % 251) as u8).collect();
    let text = STANDARD.encode(&sound);
    compare(
        "decode",
        || {
            drop(black_box(
                base64_simd::STANDARD.decode_to_vec(black_box(&text)).unwrap(),
            ))
        },
        || drop(black_box(STANDARD.decode(black_box(&text)).unwrap())),
    );
    compare(
        "encode",
        || {
            drop(black_box(
                base64_simd::STANDARD.encode_to_string(black_box(&sound)),
            ))
        },
        || drop(black_box(STANDARD.encode(black_box(&sound)))),
    );
}

fn compare(name: &str, simd: impl Fn(), plain: impl Fn()) {
    let rounds: Vec<(f64, f64)> = (0..15).map(|_| (nanos(&simd), nanos(&plain))).collect();
    let ratios = rounds.iter().map(|(simd, plain)| plain / simd).collect();
    let (simd, plain) = rounds.into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
    println!(
        "  {name}: {:.0} ns beside {:.0} ns, {} times the speed",
        median(simd),
        median(plain),
        spread(ratios, 1)
    );
}

fn nanos(work: &impl Fn()) -> f64 {
    const TIMES: u32 = 5_000;
    let start = Instant::now();
    for _ in 0..TIMES {
        work();
    }
    start.elapsed().as_nanos() as f64 / f64::from(TIMES)
}

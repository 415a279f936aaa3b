//! G.711 companding, from ITU-T Recommendation G.711: 16-bit samples to 8 bits, logarithmically, and back.

/// One sample in µ-law, from the 14 upper bits.
pub(super) fn ulaw(sample: i16) -> u8 {
    const BIAS: u16 = 33;
    let sign = if sample < 0 { 0x80 } else { 0 };
    // `!` rather than `-` keeps the lowest value in range, as the recommendation's tables do.
    let magnitude = (if sample < 0 { !sample } else { sample } as u16 >> 2).min(8_158) + BIAS;
    // The segment is the place of the highest set bit; the bias makes it at least 5.
    let segment = magnitude.ilog2() as u8 - 5;
    let step = (magnitude >> (segment + 1)) as u8 & 0x0f;
    !(sign | segment << 4 | step)
}

/// One sample in A-law, from the 13 upper bits.
pub(super) fn alaw(sample: i16) -> u8 {
    let sign = if sample < 0 { 0 } else { 0x80 };
    let magnitude = if sample < 0 { !sample } else { sample } as u16 >> 3;
    let code = if magnitude < 32 {
        (magnitude >> 1) as u8
    } else {
        let segment = magnitude.ilog2() as u8 - 4;
        segment << 4 | ((magnitude >> segment) as u8 & 0x0f)
    };
    // Every other bit is inverted, so that silence is not a run of equal bits on the line.
    (sign | code) ^ 0x55
}

/// One sample from µ-law.
pub(super) fn from_ulaw(byte: u8) -> i16 {
    let byte = !byte;
    let magnitude = ((i16::from(byte & 0x0f) * 2 + 33) << (byte >> 4 & 7)) - 33;
    if byte & 0x80 != 0 {
        -magnitude * 4
    } else {
        magnitude * 4
    }
}

/// One sample from A-law.
pub(super) fn from_alaw(byte: u8) -> i16 {
    let byte = byte ^ 0x55;
    let (segment, step) = (byte >> 4 & 7, i16::from(byte & 0x0f) * 2 + 1);
    let magnitude = match segment {
        0 => step,
        _ => (step + 32) << (segment - 1),
    };
    if byte & 0x80 != 0 {
        magnitude * 8
    } else {
        -magnitude * 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_code_words() {
        assert_eq!(
            [ulaw(0), ulaw(-1), ulaw(i16::MAX), ulaw(i16::MIN)],
            [0xff, 0x7f, 0x80, 0x00]
        );
        assert_eq!(
            [alaw(0), alaw(-1), alaw(i16::MAX), alaw(i16::MIN)],
            [0xd5, 0x55, 0xaa, 0x2a]
        );
    }

    #[test]
    fn every_code_word_comes_back_as_itself() {
        for byte in 0..=u8::MAX {
            // Zero has two code words in µ-law.
            assert!(
                ulaw(from_ulaw(byte)) == byte || from_ulaw(byte) == 0,
                "µ-law {byte}"
            );
            assert_eq!(alaw(from_alaw(byte)), byte, "A-law {byte}");
        }
    }

    #[test]
    fn every_sample_comes_back_within_its_step() {
        for sample in i16::MIN..=i16::MAX {
            let (wanted, tolerance) = (i32::from(sample), i32::from(sample).abs() / 16 + 16);
            // The top of the µ-law range is clipped.
            let clipped = wanted.clamp(-32_124, 32_124);
            assert!(
                (i32::from(from_ulaw(ulaw(sample))) - clipped).abs() <= tolerance,
                "µ-law {sample}"
            );
            assert!(
                (i32::from(from_alaw(alaw(sample))) - wanted).abs() <= tolerance,
                "A-law {sample}"
            );
        }
    }
}

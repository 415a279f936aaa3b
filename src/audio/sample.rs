//! One sample, between the integers of files and sessions and the fractions that are computed with.

/// A sample between -1 and 1 as the nearest integer; what is louder is clipped, and what is no number is silence.
pub fn to_i16(sample: f32) -> i16 {
    (sample * 32_768.0).round() as i16
}

/// A sample as a fraction of full scale.
pub fn to_f32(sample: i16) -> f32 {
    f32::from(sample) / 32_768.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_integer_comes_back() {
        assert!((i16::MIN..=i16::MAX).all(|sample| to_i16(to_f32(sample)) == sample));
    }

    #[test]
    fn what_is_too_loud_is_clipped() {
        let samples = [1.0, 7.0, -7.0, f32::INFINITY, f32::NAN].map(to_i16);
        assert_eq!(samples, [i16::MAX, i16::MAX, i16::MIN, i16::MAX, 0]);
    }
}

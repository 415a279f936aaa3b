//! How loud sound is.

/// The root of the mean square of samples between -1 and 1; 0 for none.
pub(super) fn rms(samples: impl IntoIterator<Item = f32>) -> f32 {
    let (sum, count) = samples.into_iter().fold((0.0, 0_u32), |(sum, count), sample| {
        (sum + sample * sample, count + 1)
    });
    if count == 0 {
        0.0
    } else {
        (sum / count as f32).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_wave_is_as_loud_as_it_is_high() {
        assert_eq!(rms([0.5, -0.5, 0.5, -0.5]), 0.5);
        assert_eq!(rms([]), 0.0);
    }
}

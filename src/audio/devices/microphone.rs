use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cpal::traits::DeviceTrait;

use super::capture::{Capture, Chunk};
use super::health::Health;
use super::list::find;
use super::ring::{Reader, ring};
use super::stream::{Opening, Running, configs};
use super::{DeviceError, Direction};
use crate::protocol::AudioFormat;

/// Sound that may wait for its owner; what comes beyond it is dropped, and counted.
const WAITING_SECONDS: usize = 1;

/// Hears, on a device. Dropping it ends the stream.
pub struct Microphone {
    name: String,
    rate: u32,
    reader: Reader,
    capture: Capture,
    /// Samples on their way from the one to the other.
    samples: Vec<f32>,
    health: Arc<Health>,
    /// Samples of the device that had no room.
    dropped: Arc<AtomicU64>,
    /// Hears as long as it is here.
    _stream: Running,
}

impl Microphone {
    /// Opens the device of this name, or the default one, for chunks of this format. Blocks until the device is open.
    ///
    /// A name is the device's own, or any part of its name or description that no other device has.
    ///
    /// # Errors
    /// When there is no such device, or it can't be opened.
    pub fn open(name: Option<&str>, format: AudioFormat) -> Result<Self, DeviceError> {
        let (device, name) = find(Direction::Input, name)?;
        let unusable = |cause: String| DeviceError::Unusable {
            direction: Direction::Input,
            name: name.clone(),
            cause,
        };
        let config = device
            .default_input_config()
            .map_err(|error| unusable(error.to_string()))?;
        let rate = config.sample_rate();
        let mut why = String::new();
        for stream in configs(&config) {
            let capture = Capture::new(rate, format).map_err(|error| unusable(error.to_string()))?;
            let (mut writer, reader) = ring(rate as usize * WAITING_SECONDS);
            let (health, dropped) = (Arc::new(Health::new()), Arc::<AtomicU64>::default());
            let opening = Opening {
                device: &device,
                config: stream,
                samples: config.sample_format(),
                health: &health,
            };
            let (waking, counting) = (health.clone(), dropped.clone());
            let take = move |samples: &mut dyn Iterator<Item = f32>| {
                writer.write(&mut *samples);
                counting.fetch_add(samples.count() as u64, Ordering::Relaxed);
                waking.wake();
            };
            match opening.input(take) {
                Ok(stream) => {
                    return Ok(Self {
                        name,
                        rate,
                        reader,
                        capture,
                        samples: vec![0.0; rate as usize / 10],
                        health,
                        dropped,
                        _stream: stream,
                    });
                }
                Err(error) => why = error.to_string(),
            }
        }
        Err(unusable(why))
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The next 20 ms. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the device does not work any more.
    pub async fn next(&mut self) -> Result<Chunk, DeviceError> {
        loop {
            if let Some(chunk) = self.capture.next() {
                return Ok(chunk);
            }
            let count = self.reader.read(&mut self.samples);
            if count > 0 {
                self.capture.push(&self.samples[..count]);
                continue;
            }
            if let Some(cause) = self.health.lost() {
                return Err(DeviceError::Lost {
                    direction: Direction::Input,
                    name: self.name.clone(),
                    cause: cause.to_owned(),
                });
            }
            self.health.woken().await;
        }
    }

    /// Forgets what was heard and not taken.
    pub fn clear(&mut self) {
        self.reader.skip_to(u64::MAX);
    }

    /// What was heard and dropped, since nobody took it in time.
    pub fn dropped(&self) -> Duration {
        Duration::from_secs(self.dropped.load(Ordering::Relaxed)) / self.rate.max(1)
    }

    /// How often the device was not served in time: so many gaps are in what it heard.
    pub fn overruns(&self) -> u64 {
        self.health.xruns()
    }
}

impl std::fmt::Debug for Microphone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Microphone")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

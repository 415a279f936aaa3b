use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cpal::traits::DeviceTrait;

use super::list::find;
use super::outlet::{Outlet, Source};
use super::player::{Played, Player};
use super::playout::Orders;
use super::stream::configs;
use super::{DeviceError, Direction};
use crate::protocol::{AudioFormat, Id};

/// Plays the sound of answers, one part after the other, on a device. Dropping it ends the stream.
///
/// Its owner calls [`Speaker::advance`] at least every tenth of a second: that brings more sound to the device, of which
/// half a second is ready, and tells how much was heard.
pub struct Speaker {
    name: String,
    player: Player,
    outlet: Outlet,
}

/// Tells how loud a speaker is, from any thread. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Loudness(Arc<Orders>);

impl Loudness {
    /// The root of the mean square of what the device has just taken, from 0 to 1.
    pub fn now(&self) -> f32 {
        self.0.level()
    }
}

impl Speaker {
    /// Opens the device of this name, or the default one, for sound of this format. Blocks until the device is open.
    ///
    /// A name is the device's own, or any part of its name or description that no other device has.
    ///
    /// # Errors
    /// When there is no such device, or it can't be opened.
    pub fn open(name: Option<&str>, format: AudioFormat) -> Result<Self, DeviceError> {
        let (device, name) = find(Direction::Output, name)?;
        let unusable = |cause: String| DeviceError::Unusable {
            direction: Direction::Output,
            name: name.clone(),
            cause,
        };
        let config = device
            .default_output_config()
            .map_err(|error| unusable(error.to_string()))?;
        let mut why = String::new();
        for stream in configs(&config) {
            let (player, output) =
                Player::new(format, config.sample_rate()).map_err(|error| unusable(error.to_string()))?;
            let source = Source {
                device: device.clone(),
                config: stream,
                samples: config.sample_format(),
                output: Arc::new(Mutex::new(output)),
            };
            match Outlet::open(source) {
                Ok(outlet) => {
                    return Ok(Self { name, player, outlet });
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

    /// Takes sound of a part of an item, in the speaker's format and in whole samples. Sound of a part that was cut stays
    /// silent.
    pub fn play(&mut self, item_id: &Id, content_index: u32, audio: &[u8]) {
        self.player.play(item_id, content_index, audio);
    }

    /// All sound that is under way has come: what is left is played without waiting for more.
    pub fn complete(&mut self) {
        self.player.complete();
    }

    /// Goes on, and tells what has been heard since the last time.
    ///
    /// # Errors
    /// When the device does not work any more.
    pub fn advance(&mut self, now: Instant) -> Result<Vec<Played>, DeviceError> {
        match self.outlet.advance() {
            Ok(()) => Ok(self.player.advance(now)),
            Err(cause) => Err(DeviceError::Lost {
                direction: Direction::Output,
                name: self.name.clone(),
                cause,
            }),
        }
    }

    /// Cuts these parts, with a short fade of what is being heard, and tells what has been heard since the last time, of
    /// the cut ones too. Nothing more of them will be, even if it comes; what waits behind them moves up.
    pub fn interrupt(&mut self, now: Instant, is_cut: impl Fn(&Id, u32) -> bool) -> Vec<Played> {
        self.player.interrupt(now, is_cut)
    }

    /// Whether there is sound that was not heard.
    pub fn is_playing(&self) -> bool {
        self.player.is_playing()
    }

    /// How loud it is, for those who listen meanwhile.
    pub fn loudness(&self) -> Loudness {
        Loudness(self.player.orders())
    }

    /// How often sound came too late, or the device was not served in time: so many gaps were heard.
    pub fn underruns(&self) -> u64 {
        self.player.underruns() + self.outlet.xruns()
    }

    /// Sound that there was no room for: more than half an hour was waiting.
    pub fn dropped(&self) -> Duration {
        self.player.dropped()
    }
}

impl std::fmt::Debug for Speaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Speaker")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

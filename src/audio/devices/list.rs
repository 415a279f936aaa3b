//! What devices there are.

use cpal::traits::{DeviceTrait, HostTrait};

use super::{DeviceError, Direction};

/// A device that can be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// What it is called when it is chosen.
    pub name: String,
    /// What the system says of it, in one line.
    pub description: String,
    /// Whether it is used when none is named.
    pub is_default: bool,
}

/// All devices of a kind, in the system's order.
///
/// # Errors
/// When the system does not tell.
pub fn list(direction: Direction) -> Result<Vec<DeviceInfo>, DeviceError> {
    let all = Devices::of(direction)?;
    let default = all.default().map(|device| name(&device));
    let info = |device: &cpal::Device| {
        let name = name(device);
        DeviceInfo {
            description: device.to_string(),
            is_default: default.as_ref() == Some(&name),
            name,
        }
    };
    Ok(all.devices.iter().map(info).collect())
}

/// The device of this name, or the default one, and its name.
pub(super) fn find(
    direction: Direction,
    wanted: Option<&str>,
) -> Result<(cpal::Device, String), DeviceError> {
    let all = Devices::of(direction)?;
    let device = match wanted {
        None => all.default().ok_or(DeviceError::None(direction))?,
        Some(wanted) => all.named(wanted)?,
    };
    let name = name(&device);
    Ok((device, name))
}

struct Devices {
    direction: Direction,
    host: cpal::Host,
    devices: Vec<cpal::Device>,
}

impl Devices {
    fn of(direction: Direction) -> Result<Self, DeviceError> {
        let host = cpal::default_host();
        let devices: Result<Vec<_>, _> = match direction {
            Direction::Input => host.input_devices().map(Iterator::collect),
            Direction::Output => host.output_devices().map(Iterator::collect),
        };
        match devices {
            Ok(devices) => Ok(Self {
                direction,
                host,
                devices,
            }),
            Err(error) => Err(DeviceError::Unlisted {
                direction,
                cause: error.to_string(),
            }),
        }
    }

    fn default(&self) -> Option<cpal::Device> {
        match self.direction {
            Direction::Input => self.host.default_input_device(),
            Direction::Output => self.host.default_output_device(),
        }
    }

    /// The one whose name this is; else the only one whose name or description holds it.
    fn named(&self, wanted: &str) -> Result<cpal::Device, DeviceError> {
        if let Some(device) = self.devices.iter().find(|device| name(device) == wanted) {
            return Ok(device.clone());
        }
        let folded = wanted.to_lowercase();
        let holds = |text: String| text.to_lowercase().contains(&folded);
        let mut candidates = self
            .devices
            .iter()
            .filter(|device| holds(name(device)) || holds(device.to_string()));
        match (candidates.next(), candidates.next()) {
            (Some(device), None) => Ok(device.clone()),
            (Some(first), Some(second)) => Err(DeviceError::Ambiguous {
                direction: self.direction,
                name: wanted.to_owned(),
                candidates: [first, second].into_iter().chain(candidates).map(name).collect(),
            }),
            (None, _) => Err(DeviceError::Unknown {
                direction: self.direction,
                name: wanted.to_owned(),
            }),
        }
    }
}

/// What a device is called: the system's own name of it if it has one, else what it says of itself.
fn name(device: &cpal::Device) -> String {
    device
        .id()
        .map_or_else(|_| device.to_string(), |id| id.id().to_owned())
}

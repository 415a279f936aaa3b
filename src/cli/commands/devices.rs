use realtime_run::audio::devices::{Direction, list};

use crate::cli::exit::{ExitStatus, Failure};
use crate::cli::printer::Printer;

/// Lists microphones and speakers, a line each: the direction, the name by which a device is chosen, and what the system
/// says of it. A star marks the default. Without notes, the names alone.
pub fn devices(printer: &Printer) -> Result<ExitStatus, Failure> {
    for direction in [Direction::Input, Direction::Output] {
        let devices = list(direction).map_err(Failure::broken)?;
        if devices.is_empty() {
            printer.note(&format!("this machine has no {direction} device"));
        }
        for device in devices {
            let mark = if device.is_default { "*" } else { "" };
            let line = format!("{direction}\t{mark}\t{}\t{}", device.name, device.description);
            printer.result(&line);
        }
    }
    Ok(ExitStatus::Success)
}

//! What stands for the screen where the program was built without devices.

use std::convert::Infallible;
use std::io;

use realtime_run::session::SessionEvent;

use crate::cli::printer::Printer;
use crate::cli::turns::Input;
use crate::cli::voice::Devices;

/// A person at a full screen: never.
#[derive(Debug)]
pub struct Screen(Infallible);

impl Screen {
    pub fn start(_: (Vec<String>, String), devices: &Devices, _: &Printer) -> io::Result<Self> {
        devices.never()
    }

    pub fn event(&self, _: &SessionEvent) {
        match self.0 {}
    }

    pub async fn next(&mut self) -> Input {
        match self.0 {}
    }
}

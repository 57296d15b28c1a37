//! What a load was told beyond its files and its command line, so that the same load can be
//! done again.

use kexec_load::request::ClassicLoadOptions;
use kexec_plan::classic::ClassicOptions;
use serde::{Deserialize, Serialize};

/// The options of a load with `kexec_load(2)` that make the image what it is. Files are in the
/// list of files, and what decides whether a load is allowed is asked anew.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct RecordedOptions {
    /// What the planner looked at: `--hotplug`, `--pass-memmap-cmdline`, `--mem-min` and others.
    #[serde(flatten)]
    pub planner: ClassicOptions,
    /// `--reset-vga`.
    pub reset_vga: bool,
    /// `--console-vga`.
    pub console_vga: bool,
    /// `--console-serial`.
    pub console_serial: bool,
    /// `--serial`: the first I/O port.
    pub serial: Option<u16>,
    /// `--serial-baud`.
    pub serial_baud: Option<u32>,
}

impl RecordedOptions {
    /// Those of a request.
    pub fn of(classic: &ClassicLoadOptions) -> RecordedOptions {
        // Every field is named, so a new one is either recorded or left out here.
        let ClassicLoadOptions {
            options,
            modules: _,
            dtb: _,
            discard_liveupdate: _,
            unsigned: _,
            reset_vga,
            console_vga,
            console_serial,
            serial,
            serial_baud,
        } = classic;
        RecordedOptions {
            planner: options.clone(),
            reset_vga: *reset_vga,
            console_vga: *console_vga,
            console_serial: *console_serial,
            serial: *serial,
            serial_baud: *serial_baud,
        }
    }

    /// Whether none was given: then none is written down.
    pub fn is_default(&self) -> bool {
        *self == RecordedOptions::default()
    }

    /// Puts them into a request.
    pub fn apply(&self, classic: &mut ClassicLoadOptions) {
        classic.options = self.planner.clone();
        classic.reset_vga = self.reset_vga;
        classic.console_vga = self.console_vga;
        classic.console_serial = self.console_serial;
        classic.serial = self.serial;
        classic.serial_baud = self.serial_baud;
    }
}

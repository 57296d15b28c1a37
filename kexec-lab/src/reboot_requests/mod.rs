//! Reboots as users request them, with kexec-tools as they are used today and with
//! this project's package, each on the same installed systems.
//!
//! A [`Cell`] is a system (suite and layout) with a [`Setup`]; running it gives an
//! [`Observation`]: the result of each command, as the next boot shows it. Nothing is
//! expected here: `kexec-lab/tests/reboot_requests.rs` has the expectations, and
//! `cargo xtask table run` prints the [`table`].

mod result;
mod script;
mod table;

pub use result::{CommandResult, Observation, RebootResult};
pub use table::table;

use crate::Lab;
use crate::apt::Suite;
use crate::installed::{InstalledMachine, SystemLayout};
use anyhow::{Context, Result};
use std::time::Duration;

/// An installed system and how it is rebooted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cell {
    /// The Debian release, and with it the version of systemd.
    pub suite: Suite,
    /// Its firmware, boot loader and /boot.
    pub layout: SystemLayout,
    /// The package that is installed, and the command that reboots.
    pub setup: Setup,
}

/// The package that is installed, and the command that reboots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Setup {
    /// The suite's kexec-tools and nothing else; `systemctl kexec`.
    KexecToolsAlone,
    /// The same with the unit that loads when kexec.target starts.
    WikiStart,
    /// The same with the unit that loads when kexec.target stops it.
    WikiStop,
    /// This project's package, which loads before the reboot is requested.
    KexecRs(RebootCommand),
}

/// How the image gets loaded and the reboot is requested with this project's package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RebootCommand {
    /// `kexec enable preload`; `systemctl kexec`.
    SystemctlKexec,
    /// `kexec enable preload`; `systemctl reboot`.
    SystemctlReboot,
    /// `kexec enable preload`; `reboot`.
    Reboot,
    /// `kexec enable preload`; `shutdown -r now`.
    Shutdown,
    /// `systemctl enable kexec-load@linux`; `systemctl kexec`.
    Template,
}

impl Setup {
    /// Its part of a cell's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::KexecToolsAlone => "kexec-tools",
            Self::WikiStart => "wiki-1",
            Self::WikiStop => "wiki-2",
            Self::KexecRs(RebootCommand::SystemctlKexec) => "kexec-rs-systemctl-kexec",
            Self::KexecRs(RebootCommand::SystemctlReboot) => "kexec-rs-systemctl-reboot",
            Self::KexecRs(RebootCommand::Reboot) => "kexec-rs-reboot",
            Self::KexecRs(RebootCommand::Shutdown) => "kexec-rs-shutdown",
            Self::KexecRs(RebootCommand::Template) => "kexec-rs-template",
        }
    }
}

/// The systems of the table, which are those that `kexec reboot` is tried on, and the
/// commands on each with this project's package: each command once with every version
/// of systemd.
pub const SYSTEMS: [(Suite, SystemLayout, &[RebootCommand]); 15] = [
    (
        Suite::Bookworm,
        SystemLayout::BiosGrub,
        &[RebootCommand::SystemctlKexec],
    ),
    (
        Suite::Bookworm,
        SystemLayout::BiosGrubBoot,
        &[RebootCommand::Template],
    ),
    (
        Suite::Bookworm,
        SystemLayout::EfiSystemdBoot,
        &[RebootCommand::SystemctlReboot, RebootCommand::Shutdown],
    ),
    (
        Suite::Bookworm,
        SystemLayout::EfiUki,
        &[RebootCommand::Reboot],
    ),
    (
        Suite::Trixie,
        SystemLayout::BiosGrub,
        &[RebootCommand::SystemctlReboot],
    ),
    (
        Suite::Trixie,
        SystemLayout::BiosGrubAutomount,
        &[RebootCommand::Template, RebootCommand::Reboot],
    ),
    (
        Suite::Trixie,
        SystemLayout::BiosGrubNoauto,
        &[RebootCommand::Shutdown],
    ),
    (
        Suite::Trixie,
        SystemLayout::EfiSystemdBoot,
        &[RebootCommand::SystemctlKexec],
    ),
    (
        Suite::Trixie,
        SystemLayout::EfiUki,
        &[RebootCommand::SystemctlReboot],
    ),
    (
        Suite::Trixie,
        SystemLayout::EfiGrub,
        &[RebootCommand::Reboot],
    ),
    (
        Suite::Sid,
        SystemLayout::BiosGrubBoot,
        &[RebootCommand::Reboot],
    ),
    (
        Suite::Sid,
        SystemLayout::BiosGrubNoauto,
        &[RebootCommand::Template],
    ),
    (
        Suite::Sid,
        SystemLayout::EfiSystemdBoot,
        &[RebootCommand::Shutdown],
    ),
    (
        Suite::Sid,
        SystemLayout::EfiUki,
        &[RebootCommand::SystemctlReboot],
    ),
    (
        Suite::Sid,
        SystemLayout::FedoraLike,
        &[RebootCommand::SystemctlKexec],
    ),
];

/// Every cell of the table, row by row.
#[must_use]
pub fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for (suite, layout, requests) in SYSTEMS {
        let today = [Setup::KexecToolsAlone, Setup::WikiStart, Setup::WikiStop];
        let ours = requests.iter().map(|request| Setup::KexecRs(*request));
        cells.extend(today.into_iter().chain(ours).map(|setup| Cell {
            suite,
            layout,
            setup,
        }));
    }
    cells
}

/// The longest time between two runs of the firmware. A cycle takes about a
/// minute; what is not through by then hangs.
const PATIENCE: Duration = Duration::from_secs(300);

impl Cell {
    /// Suite, layout and setup in one word.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}-{}-{}", self.suite, self.layout, self.setup.name())
    }

    /// How often the firmware may run again: once where the reboot turns out to
    /// be a cold one, and once before where the units have a boot to do their work in.
    fn cold_boots(&self) -> usize {
        match self.setup {
            Setup::KexecRs(RebootCommand::Template) => 1,
            Setup::KexecRs(_) => 2,
            _ => 1,
        }
    }

    /// Runs the cell.
    ///
    /// # Errors
    /// If the machine cannot be made, or what was to be installed was not: a
    /// reboot that goes wrong is no error but a [`RebootResult`].
    pub fn run(&self, lab: &Lab) -> Result<Observation> {
        let machine = InstalledMachine::new(lab, self.suite, self.layout)
            .witness()
            .timeout(PATIENCE)
            .cold_boots(self.cold_boots());
        let (_, other) = machine.kernels()?;
        let trial = script::write(machine, self, &other)?.observe()?;
        result::read(self, &trial, &other)
            .with_context(|| format!("{}{}", self.name(), trial.summary()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_command_is_run_with_every_systemd() {
        let commands: BTreeSet<_> = cells()
            .iter()
            .filter(|cell| matches!(cell.setup, Setup::KexecRs(_)))
            .map(|cell| (cell.suite, cell.setup.name()))
            .collect();
        assert_eq!(commands.len(), 3 * 5);
        let names: BTreeSet<_> = cells().iter().map(Cell::name).collect();
        assert_eq!(names.len(), cells().len());
    }
}

//! Who asks for the reboot, and what becomes of it: the same installed systems
//! with what people install today and with this project's package.
//!
//! A [`Cell`] is a system (suite and layout) with a [`Way`] to reboot; running
//! it gives a [`Seen`]: what each command came to, as the next boot shows it.
//! Nothing is expected here. `kexec-lab/tests/asked.rs` expects, and
//! `cargo xtask table asked` prints the [`table`].

mod outcome;
mod script;
mod table;

pub use outcome::{Answer, Outcome, Seen};
pub use table::table;

use crate::Lab;
use crate::apt::Suite;
use crate::installed::{Layout, Machine};
use anyhow::{Context, Result};
use std::time::Duration;

/// An installed system and how it is rebooted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cell {
    /// The Debian release, and with it the version of systemd.
    pub suite: Suite,
    /// Its firmware, boot loader and /boot.
    pub layout: Layout,
    /// What is installed, and who asks.
    pub way: Way,
}

/// What is installed, and who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// The suite's kexec-tools and nothing else; `systemctl kexec`.
    Alone,
    /// The same with the unit that loads when kexec.target starts.
    WikiStart,
    /// The same with the unit that loads when kexec.target stops it.
    WikiStop,
    /// This project's package, with what is loaded ahead.
    Ours(Asker),
}

/// Who asks for the reboot where this project's package is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Asker {
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

impl Way {
    /// Short name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::WikiStart => "wiki-1",
            Self::WikiStop => "wiki-2",
            Self::Ours(Asker::SystemctlKexec) => "ours-systemctl-kexec",
            Self::Ours(Asker::SystemctlReboot) => "ours-systemctl-reboot",
            Self::Ours(Asker::Reboot) => "ours-reboot",
            Self::Ours(Asker::Shutdown) => "ours-shutdown",
            Self::Ours(Asker::Template) => "ours-template",
        }
    }
}

/// The systems of the table, which are those that `kexec reboot` is tried on,
/// and who asks on each where the package is installed: everybody once with each
/// version of systemd.
pub const SYSTEMS: [(Suite, Layout, &[Asker]); 15] = [
    (Suite::Bookworm, Layout::BiosGrub, &[Asker::SystemctlKexec]),
    (Suite::Bookworm, Layout::BiosGrubBoot, &[Asker::Template]),
    (
        Suite::Bookworm,
        Layout::EfiSystemdBoot,
        &[Asker::SystemctlReboot, Asker::Shutdown],
    ),
    (Suite::Bookworm, Layout::EfiUki, &[Asker::Reboot]),
    (Suite::Trixie, Layout::BiosGrub, &[Asker::SystemctlReboot]),
    (
        Suite::Trixie,
        Layout::BiosGrubAutomount,
        &[Asker::Template, Asker::Reboot],
    ),
    (Suite::Trixie, Layout::BiosGrubNoauto, &[Asker::Shutdown]),
    (
        Suite::Trixie,
        Layout::EfiSystemdBoot,
        &[Asker::SystemctlKexec],
    ),
    (Suite::Trixie, Layout::EfiUki, &[Asker::SystemctlReboot]),
    (Suite::Trixie, Layout::EfiGrub, &[Asker::Reboot]),
    (Suite::Sid, Layout::BiosGrubBoot, &[Asker::Reboot]),
    (Suite::Sid, Layout::BiosGrubNoauto, &[Asker::Template]),
    (Suite::Sid, Layout::EfiSystemdBoot, &[Asker::Shutdown]),
    (Suite::Sid, Layout::EfiUki, &[Asker::SystemctlReboot]),
    (Suite::Sid, Layout::FedoraLike, &[Asker::SystemctlKexec]),
];

/// Every cell of the table, row by row.
#[must_use]
pub fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for (suite, layout, askers) in SYSTEMS {
        let today = [Way::Alone, Way::WikiStart, Way::WikiStop];
        let ours = askers.iter().map(|asker| Way::Ours(*asker));
        cells.extend(
            today
                .into_iter()
                .chain(ours)
                .map(|way| Cell { suite, layout, way }),
        );
    }
    cells
}

/// The longest time between two runs of the firmware. A cycle takes about a
/// minute; what is not through by then hangs.
const PATIENCE: Duration = Duration::from_secs(300);

impl Cell {
    /// Its name: what there is of it, in one word.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}-{}-{}", self.suite, self.layout, self.way.name())
    }

    /// How often the firmware may run again: once where the asked reboot comes to
    /// that, and once before where the units have a boot to do their work in.
    fn cold_boots(&self) -> usize {
        match self.way {
            Way::Ours(Asker::Template) => 1,
            Way::Ours(_) => 2,
            _ => 1,
        }
    }

    /// Runs the cell.
    ///
    /// # Errors
    /// If the machine cannot be made, or what was to be installed was not: a
    /// reboot that goes wrong is no error but an [`Outcome`].
    pub fn run(&self, lab: &Lab) -> Result<Seen> {
        let machine = Machine::new(lab, self.suite, self.layout)
            .witness()
            .timeout(PATIENCE)
            .cold_boots(self.cold_boots());
        let (_, other) = machine.kernels()?;
        let trial = script::write(machine, self, &other)?.observe()?;
        outcome::read(self, &trial, &other)
            .with_context(|| format!("{}{}", self.name(), trial.story()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn everybody_asks_every_systemd() {
        let asked: BTreeSet<_> = cells()
            .iter()
            .filter(|cell| matches!(cell.way, Way::Ours(_)))
            .map(|cell| (cell.suite, cell.way.name()))
            .collect();
        assert_eq!(asked.len(), 3 * 5);
        let names: BTreeSet<_> = cells().iter().map(Cell::name).collect();
        assert_eq!(names.len(), cells().len());
    }
}

//! Who asks for the reboot, and what becomes of it: the same installed systems
//! with what people install today and with this project's package.
//!
//! A [`Cell`] is a system (suite and layout) with a [`Way`] to reboot; running
//! it gives a [`Seen`]: what each command came to, as the next boot shows it.
//! Nothing is expected here. `vm/tests/asked.rs` expects, and
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
}

impl Way {
    /// All of them, in the order of the table's columns.
    pub const ALL: [Self; 3] = [Self::Alone, Self::WikiStart, Self::WikiStop];

    /// Short name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::WikiStart => "wiki-1",
            Self::WikiStop => "wiki-2",
        }
    }
}

/// The systems of the table: those that `kexec reboot` is tried on.
pub const SYSTEMS: [(Suite, Layout); 15] = [
    (Suite::Bookworm, Layout::BiosGrub),
    (Suite::Bookworm, Layout::BiosGrubBoot),
    (Suite::Bookworm, Layout::EfiSystemdBoot),
    (Suite::Bookworm, Layout::EfiUki),
    (Suite::Trixie, Layout::BiosGrub),
    (Suite::Trixie, Layout::BiosGrubAutomount),
    (Suite::Trixie, Layout::BiosGrubNoauto),
    (Suite::Trixie, Layout::EfiSystemdBoot),
    (Suite::Trixie, Layout::EfiUki),
    (Suite::Trixie, Layout::EfiGrub),
    (Suite::Sid, Layout::BiosGrubBoot),
    (Suite::Sid, Layout::BiosGrubNoauto),
    (Suite::Sid, Layout::EfiSystemdBoot),
    (Suite::Sid, Layout::EfiUki),
    (Suite::Sid, Layout::FedoraLike),
];

/// Every cell of the table, row by row.
#[must_use]
pub fn cells() -> Vec<Cell> {
    SYSTEMS
        .iter()
        .flat_map(|&(suite, layout)| Way::ALL.map(|way| Cell { suite, layout, way }))
        .collect()
}

/// The longest time between two runs of the firmware. A cycle takes about a
/// minute; what is not through by then hangs.
const PATIENCE: Duration = Duration::from_secs(300);

/// Stops with the system, in the ordinary order, and leaves a file.
const WITNESS: &str = "[Unit]\nDescription=Leaves a file when it is stopped\n\
    [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=true\n\
    ExecStop=/bin/sh -c 'echo stopped > /var/lib/witness'\n";

impl Cell {
    /// Its name: what there is of it, in one word.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}-{}-{}", self.suite, self.layout, self.way.name())
    }

    /// Runs the cell.
    ///
    /// # Errors
    /// If the machine cannot be made, or what was to be installed was not: a
    /// reboot that goes wrong is no error but an [`Outcome`].
    pub fn run(&self, lab: &Lab) -> Result<Seen> {
        let machine = Machine::new(lab, self.suite, self.layout)
            .unit("witness.service", "multi-user.target", WITNESS)
            .timeout(PATIENCE)
            .cold_boots(1);
        let (_, other) = machine.kernels()?;
        let trial = script::write(machine, self, &other)?.observe()?;
        outcome::read(self, &trial, &other)
            .with_context(|| format!("{}{}", self.name(), trial.story()))
    }
}

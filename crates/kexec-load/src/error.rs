//! What can go wrong on the way, in three parts: what was tried on what, what
//! was found, what to do about it.

use std::path::PathBuf;

use kexec_image::ImageError;
use kexec_machine::Problem;

use crate::explain::Explanation;

/// Why a step was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read.
    #[error("cannot read {what} {}: {reason}", path.display())]
    Read {
        /// What the file is for: `kernel`, `initrd`.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A kernel image was refused.
    #[error("kernel {}: {source}", path.display())]
    Image {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: ImageError,
    },
    /// The plan cannot be made.
    #[error(transparent)]
    Plan(#[from] kexec_plan::PlanError),
    /// A check refused.
    #[error("{what}: {why}")]
    Refused {
        /// What was checked.
        what: String,
        /// What was found.
        why: String,
        /// What to do.
        remedy: String,
    },
    /// Something has to be done first: nothing is loaded, or no memory is
    /// reserved for a crash kernel.
    #[error("{what}: {why}")]
    NotReady {
        /// What was asked for.
        what: String,
        /// What is missing.
        why: String,
        /// What to do.
        remedy: String,
    },
    /// The kernel refused.
    #[error("{}", .0.text())]
    Kernel(Explanation),
    /// Something else of the system.
    #[error("{what}: {reason}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        reason: String,
        /// What to do.
        remedy: String,
    },
    /// A replacement was refused, and what it was to replace could not be taken out.
    #[error("{refusal}; what was loaded before stays, and a reboot would not boot that: {unload}")]
    Stays {
        /// Why the new image was refused.
        refusal: Box<Error>,
        /// Why the old one stays.
        unload: Box<Error>,
        /// What to do about both.
        remedy: String,
    },
}

impl Error {
    /// What to do about it; empty when the text says it all.
    pub fn hint(&self) -> &str {
        match self {
            Error::Read { remedy, .. } => remedy,
            Error::Image { source, .. } => source.hint(),
            Error::Plan(e) => e.hint(),
            Error::Refused { remedy, .. }
            | Error::NotReady { remedy, .. }
            | Error::System { remedy, .. }
            | Error::Stays { remedy, .. } => remedy,
            Error::Kernel(e) => &e.remedy,
        }
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Error {
        Error::Refused {
            what: problem.what,
            why: problem.why,
            remedy: problem.remedy,
        }
    }
}

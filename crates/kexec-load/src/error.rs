//! What can go wrong on the way. Whatever it is, it is told as a [`Problem`]: what was
//! tried on what, what was found, what to do about it.

use std::path::PathBuf;

use kexec_image::ImageError;
use kexec_machine::Problem;

use crate::explain::Explanation;

/// Why a step was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel file could not be read. Nothing else was looked at.
    #[error(transparent)]
    KernelNotRead(Problem),
    /// Another file could not be read.
    #[error(transparent)]
    NotRead(Problem),
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
    /// A check refused, or what was asked for makes no sense here.
    #[error(transparent)]
    Refused(#[from] Problem),
    /// Something has to be done first: nothing is loaded, or no memory is
    /// reserved for a crash kernel.
    #[error(transparent)]
    NotReady(Problem),
    /// The running kernel refused.
    #[error(transparent)]
    Kernel(Explanation),
    /// The system did not do something that this needs.
    #[error(transparent)]
    System(Problem),
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
    /// [`Error::Refused`], with its three parts.
    pub fn refused(
        what: impl Into<String>,
        why: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Error {
        Error::Refused(Problem::new(what, why, remedy))
    }

    /// [`Error::NotReady`], with its three parts.
    pub fn not_ready(
        what: impl Into<String>,
        why: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Error {
        Error::NotReady(Problem::new(what, why, remedy))
    }

    /// [`Error::System`], with its three parts.
    pub fn system(
        what: impl Into<String>,
        why: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Error {
        Error::System(Problem::new(what, why, remedy))
    }

    /// What to do about it; empty when the text says it all.
    pub fn remedy(&self) -> &str {
        match self {
            Error::Image { source, .. } => source.remedy(),
            Error::Plan(error) => error.remedy(),
            Error::KernelNotRead(problem)
            | Error::NotRead(problem)
            | Error::Refused(problem)
            | Error::NotReady(problem)
            | Error::System(problem) => &problem.remedy,
            Error::Kernel(explanation) => &explanation.problem.remedy,
            Error::Stays { remedy, .. } => remedy,
        }
    }
}

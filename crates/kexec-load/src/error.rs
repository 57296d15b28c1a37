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
        /// The kernel file.
        path: PathBuf,
        /// What its bytes have, or lack, that it cannot be loaded.
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
    #[error(
        "{refusal}; the image that was loaded before stays, and is not what a reboot would \
             boot: {unload}"
    )]
    Stays {
        /// Why the new image was refused.
        #[source]
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

    /// [`Error::Stays`], with what to do about either of the two.
    pub fn stays(refusal: Error, unload: Error) -> Error {
        let mut remedies = vec![refusal.remedy(), unload.remedy()];
        remedies.retain(|remedy| !remedy.is_empty());
        remedies.dedup();
        Error::Stays {
            remedy: remedies.join("; "),
            refusal: Box::new(refusal),
            unload: Box::new(unload),
        }
    }

    /// The same error, to be told as `why`, a worse one that came of it. `then` is what
    /// to do once its own remedy is done.
    #[must_use]
    pub fn led_to(self, why: &str, then: &str) -> Error {
        let remedy = match self.remedy() {
            "" => then.to_owned(),
            first => format!("{first}; then {then}"),
        };
        let mut problem = Problem::caused(self.to_string(), self, remedy);
        problem.why = why.to_owned();
        Error::System(problem)
    }

    /// The same error, whose consequence was put right: `done` is what it had led to, and
    /// what was done about that.
    #[must_use]
    pub fn mended(self, done: &str) -> Error {
        let remedy = self.remedy().to_owned();
        let mut problem = Problem::caused(self.to_string(), self, remedy);
        done.clone_into(&mut problem.why);
        Error::System(problem)
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

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn what_came_of_an_error_keeps_it_as_its_source() {
        let refused = || Error::refused("kernel /k", "it is cut off", "copy it again");
        let worse = refused().led_to("nothing is loaded", "load another");
        assert_eq!(
            worse.to_string(),
            "kernel /k: it is cut off: nothing is loaded"
        );
        assert_eq!(worse.remedy(), "copy it again; then load another");
        let Error::System(problem) = &worse else {
            panic!("{worse:?}");
        };
        assert_eq!(problem.source().unwrap().to_string(), refused().to_string());
        // An error whose text says it all leaves no empty words.
        let mute = Error::refused("kernel /k", "it is cut off", "");
        assert_eq!(
            mute.led_to("nothing is loaded", "load another").remedy(),
            "load another"
        );
    }

    #[test]
    fn an_image_that_stays_is_told_with_both_reasons() {
        let refusal = Error::refused("the new one", "not signed", "sign it");
        let unload = Error::refused("unloading", "not root", "be root");
        let stays = Error::stays(refusal, unload);
        assert_eq!(stays.remedy(), "sign it; be root");
        assert_eq!(
            stays.source().unwrap().to_string(),
            "the new one: not signed"
        );
        let twice = |remedy| Error::refused("a", "b", remedy);
        assert_eq!(
            Error::stays(twice("be root"), twice("be root")).remedy(),
            "be root"
        );
        assert_eq!(
            Error::stays(twice(""), twice("be root")).remedy(),
            "be root"
        );
    }
}

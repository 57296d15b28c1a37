//! What is wrong, in the three parts that every message of this program has.

use std::any::Any;
use std::error::Error;
use std::sync::Arc;
use std::{fmt, io};

use kexec_sys::in_words;
use serde::Serialize;

/// What is wrong: what was tried on what, what was found, what to do.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Problem {
    /// What was tried, or looked at: `kernel /boot/vmlinuz`.
    pub what: String,
    /// What was found, and what was expected.
    pub why: String,
    /// What to do; empty when `why` says it all.
    pub remedy: String,
    #[serde(skip)]
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl Problem {
    /// A problem that no other error caused.
    pub fn new(
        what: impl Into<String>,
        why: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Problem {
        Problem {
            what: what.into(),
            why: why.into(),
            remedy: remedy.into(),
            source: None,
        }
    }

    /// A problem that another error caused, which is kept as its source. Its text is
    /// what was found.
    pub fn caused(
        what: impl Into<String>,
        source: impl Error + Send + Sync + 'static,
        remedy: impl Into<String>,
    ) -> Problem {
        let any: &dyn Any = &source;
        let why = match any.downcast_ref::<io::Error>() {
            // As every other message names it, and without its bare number.
            Some(error) => in_words(error),
            None => source.to_string(),
        };
        Problem {
            source: Some(Arc::new(source)),
            ..Problem::new(what, why, remedy)
        }
    }
}

/// What is said is what counts; the source is a detail.
impl PartialEq for Problem {
    fn eq(&self, other: &Problem) -> bool {
        let said = |problem: &Problem| {
            let Problem {
                what, why, remedy, ..
            } = problem;
            (what.clone(), why.clone(), remedy.clone())
        };
        said(self) == said(other)
    }
}

impl Eq for Problem {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

impl Error for Problem {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source = self.source.as_deref()?;
        Some(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_named_so() {
        let why = |error: io::Error| Problem::caused("reading it", error, "").why;
        assert_eq!(why(io::ErrorKind::NotFound.into()), "no such file");
        let told = io::Error::new(io::ErrorKind::NotFound, "no file has that name");
        assert_eq!(why(told), "no file has that name");
    }
}

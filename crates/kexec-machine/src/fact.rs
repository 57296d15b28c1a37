//! A fact about a machine, with the difference between "no" and "could not look".

use serde::{Deserialize, Serialize};

/// A fact that may not have been readable. The difference between "no" and
/// "could not look" decides whether a check passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact<T> {
    /// It was read.
    Known(T),
    /// Not there: the kernel or firmware has no such thing.
    Absent,
    /// There, but it could not be read, and why.
    Unreadable(String),
}

impl<T> Fact<T> {
    /// The value, if it is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Fact::Known(v) => Some(v),
            _ => None,
        }
    }

    /// The same fact about a borrowed value.
    pub fn as_ref(&self) -> Fact<&T> {
        match self {
            Fact::Known(value) => Fact::Known(value),
            Fact::Absent => Fact::Absent,
            Fact::Unreadable(reason) => Fact::Unreadable(reason.clone()),
        }
    }

    /// Something made out of the value.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Fact<U> {
        self.and_then(|value| Fact::Known(make(value)))
    }

    /// A fact that follows from the value.
    pub fn and_then<U>(self, make: impl FnOnce(T) -> Fact<U>) -> Fact<U> {
        match self {
            Fact::Known(value) => make(value),
            Fact::Absent => Fact::Absent,
            Fact::Unreadable(reason) => Fact::Unreadable(reason),
        }
    }

    /// Another place to look where this one is not there.
    #[must_use]
    pub fn or(self, other: impl FnOnce() -> Fact<T>) -> Fact<T> {
        match self {
            Fact::Absent => other(),
            fact => fact,
        }
    }

    /// What is read from a snapshot that an older version of this program
    /// wrote, which did not look.
    pub(crate) fn not_recorded() -> Fact<T> {
        Fact::Unreadable("the snapshot is of an older version, which did not look".to_owned())
    }

    /// Why it is not known; `None` when it is, or when there is no such thing.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Fact::Unreadable(reason) => Some(reason),
            _ => None,
        }
    }
}

impl Fact<bool> {
    /// Known and true. Neither "not there" nor "could not look" is a yes.
    pub fn is_true(&self) -> bool {
        matches!(self, Fact::Known(true))
    }
}

//! What an errno of the kernel means on this machine: one table, decided with
//! the facts of the snapshot, so that EPERM is told apart into its causes.

/// A refusal of the kernel, explained.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Explanation {
    /// What was tried, on which file.
    pub tried: String,
    /// What the kernel answered, by name.
    pub errno: String,
    /// Why, as far as the machine's facts tell.
    pub cause: String,
    /// What to do.
    pub remedy: String,
}

impl Explanation {
    /// One sentence: what was tried, what came back, why.
    pub fn text(&self) -> String {
        format!("{}: {} ({})", self.tried, self.cause, self.errno)
    }
}

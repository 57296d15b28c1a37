//! Sizes as `crashkernel=` takes them.

pub use kexec_plan::size::{FileSize, MIB, Memory};

/// Whole MiB, rounded up: `192M`.
pub fn parameter(bytes: u64) -> String {
    format!("{}M", bytes.div_ceil(MIB))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_never_smaller() {
        assert_eq!(parameter(192 * MIB), "192M");
        assert_eq!(parameter(192 * MIB + 1), "193M");
        assert_eq!(parameter(u64::MAX), "17592186044416M");
    }
}

//! The processor's cycle counter.

/// Counts up since the processor was reset; a kexec does not reset it.
///
/// `None` where this program knows no such counter.
pub fn cycles() -> Option<u64> {
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: every x86_64 processor has RDTSC, and Linux lets user space
        // use it unless a process asked for the contrary (PR_SET_TSC).
        Some(unsafe { core::arch::x86_64::_rdtsc() })
    }
    #[cfg(not(target_arch = "x86_64"))]
    None
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    #[test]
    fn goes_on() {
        let one = super::cycles();
        assert!(one.is_some() && super::cycles() >= one);
    }
}

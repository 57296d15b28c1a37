//! What the processor itself says, whatever the kernel makes of it.

/// The bit of ECX in leaf 7 for page tables of five levels (Intel SDM, volume 2, CPUID:
/// "LA57").
#[cfg(target_arch = "x86_64")]
const LA57: u32 = 1 << 16;

/// Bits of ECX in leaf 1 ("hypervisor present", AMD APM volume 3, E.3.2) and of EAX in leaf
/// 8000_001F ("SME" and "SEV", E.4.17).
#[cfg(target_arch = "x86_64")]
const HYPERVISOR: u32 = 1 << 31;
#[cfg(target_arch = "x86_64")]
const SME: u32 = 1;
#[cfg(target_arch = "x86_64")]
const SEV: u32 = 1 << 1;
/// What EBX, EDX and ECX of leaf 21 hold in a guest of TDX (Intel TDX Module specification,
/// CPUID leaf 0x21): "IntelTDX    ".
#[cfg(target_arch = "x86_64")]
const TDX: [&[u8; 4]; 3] = [b"Inte", b"lTDX", b"    "];

#[cfg(target_arch = "x86_64")]
fn cpuid(leaf: u32) -> core::arch::x86_64::CpuidResult {
    // CPUID became a safe function in a later Rust than the oldest that is supported.
    #[allow(unused_unsafe)]
    // SAFETY: every x86_64 processor has CPUID.
    unsafe {
        core::arch::x86_64::__cpuid_count(leaf, 0)
    }
}

/// EAX of leaf 8000_001F, what the processor can encrypt; 0 where there is no such leaf.
#[cfg(target_arch = "x86_64")]
fn encryption() -> u32 {
    match cpuid(0x8000_0000).eax {
        0x8000_001f.. => cpuid(0x8000_001f).eax,
        _ => 0,
    }
}

/// Whether the processor can encrypt the memory of a whole machine (SME).
///
/// `None` on another architecture.
#[must_use]
pub fn has_memory_encryption() -> Option<bool> {
    #[cfg(target_arch = "x86_64")]
    {
        Some(encryption() & SME != 0)
    }
    #[cfg(not(target_arch = "x86_64"))]
    None
}

/// Whether the processor has page tables of five levels. The kernel takes the flag out of
/// /proc/cpuinfo when it does not use them.
///
/// `None` on another architecture.
#[must_use]
pub fn has_five_levels() -> Option<bool> {
    #[cfg(target_arch = "x86_64")]
    {
        Some(cpuid(0).eax >= 7 && cpuid(7).ecx & LA57 != 0)
    }
    #[cfg(not(target_arch = "x86_64"))]
    None
}

/// Whether this is a virtual machine whose memory is encrypted (SEV, SEV-ES, SEV-SNP, TDX),
/// as the processor tells it; there need not be a device that does.
///
/// `None` on another architecture.
#[must_use]
pub fn has_encrypted_guest_memory() -> Option<bool> {
    #[cfg(target_arch = "x86_64")]
    {
        if cpuid(1).ecx & HYPERVISOR == 0 {
            return Some(false);
        }
        let sev = encryption() & SEV != 0;
        let leaf = cpuid(0x21);
        let words = [leaf.ebx, leaf.edx, leaf.ecx].map(u32::to_le_bytes);
        let tdx = cpuid(0).eax >= 0x21 && words.iter().eq(TDX);
        Some(sev || tdx)
    }
    #[cfg(not(target_arch = "x86_64"))]
    None
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    /// The flag is in /proc/cpuinfo only where the processor has it.
    #[test]
    fn agrees_with_the_kernel() {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap();
        let flags = cpuinfo.lines().find(|line| line.starts_with("flags"));
        let has = |name| flags.is_some_and(|line| line.split(' ').any(|flag| flag == name));
        assert!(!has("la57") || super::has_five_levels() == Some(true));
        assert!(!has("sme") || super::has_memory_encryption() == Some(true));
        if !has("hypervisor") {
            assert_eq!(super::has_encrypted_guest_memory(), Some(false));
        }
    }
}

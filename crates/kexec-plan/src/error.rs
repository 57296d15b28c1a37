//! Why no plan could be made.

use kexec_image::Arch;

/// Why no plan could be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// `kexec_file_load(2)` of this architecture does not take the format.
    #[error(
        "kexec_file_load(2) of {arch} kernels does not accept {article} {format}; it accepts \
         {takes}"
    )]
    FormatNotForFileSyscall {
        /// The architecture of the machine.
        arch: Arch,
        /// `a` or `an`.
        article: &'static str,
        /// What the image is.
        format: String,
        /// What it would take.
        takes: &'static str,
    },
    /// There is no plan of a load with `kexec_load(2)`.
    #[error(transparent)]
    Classic(#[from] crate::ClassicError),
}

impl PlanError {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            PlanError::FormatNotForFileSyscall { .. } => {
                "use the kernel in the format that the boot loader boots (on x86_64 a bzImage: \
                 /boot/vmlinuz-RELEASE)"
            }
            PlanError::Classic(error) => error.remedy(),
        }
    }
}

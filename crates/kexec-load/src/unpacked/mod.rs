//! What is unpacked before the jump, so that the next kernel need not do it: the step of
//! the pipeline between the choice of the system call and the placement.

pub(crate) mod kernel;

use std::num::NonZeroUsize;

use kexec_image::Image;
use kexec_plan::classic::Integrity;
use kexec_plan::memory::limits::Limits;
use kexec_plan::unpack::KernelUnpacking;
use kexec_plan::unpack::cost::Hashing;
use kexec_plan::unpack::kernel::NOT_EARNED;
use kexec_plan::unpack::memory::UnpackMemory;
use kexec_plan::unpack::reserved::Reserved;
use kexec_plan::{Cmdline, Decision, FilePlan, Method, Piece};
use serde::{Deserialize, Serialize};

use crate::demand::held_by_kernel;
use crate::initrd::is_for_linux;
use crate::initrd::unpack::{InitrdUnpacked, UnpackRules, unpack_with};
use crate::next_config::NextConfig;
use crate::request::{LoadRequest, UnpackChoice};
use crate::{Error, Inputs};
use kexec_machine::{Fact, Snapshot};

/// What was unpacked before the jump, and what was not, with the reasons.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Unpacked {
    /// The kernel, out of its bzImage.
    #[serde(default)]
    pub kernel: KernelUnpacking,
    /// The initrd.
    pub initrd: InitrdUnpacked,
}

impl Unpacked {
    /// Whether the load may be tried once more with the files as they are.
    pub(crate) fn may_be_left(&self, request: &LoadRequest) -> bool {
        request.unpack.choice == UnpackChoice::Auto
            && (self.initrd.is_changed() || self.kernel.unpacked)
    }

    /// The same for the initrd alone.
    pub(crate) fn initrd_may_be_left(&self, request: &LoadRequest) -> bool {
        request.unpack.choice == UnpackChoice::Auto && self.initrd.is_changed()
    }

    /// What is to be said of it, a line each.
    pub fn lines(&self) -> Vec<String> {
        let initrd = self.initrd.lines().into_iter();
        let initrd = initrd.map(|line| format!("initrd {line}"));
        self.kernel.line().into_iter().chain(initrd).collect()
    }
}

/// What the initrd of a load becomes.
pub(crate) struct InitrdStep<'a> {
    pub(crate) request: &'a LoadRequest,
    pub(crate) inputs: &'a Inputs,
    pub(crate) image: &'a Image,
    pub(crate) plan: &'a FilePlan,
    pub(crate) config: &'a NextConfig,
    pub(crate) decision: &'a Decision,
    pub(crate) host: &'a Snapshot,
}

impl InitrdStep<'_> {
    /// Unpacks `files`, the initrd as it was read.
    ///
    /// # Errors
    /// [`Error::Refused`], where all of it has to be unpacked and cannot be.
    pub(crate) fn unpack(&self, files: &[Piece]) -> Result<(Vec<Piece>, InitrdUnpacked), Error> {
        let choice = self.request.unpack.choice;
        if choice == UnpackChoice::Never {
            return Ok((files.to_vec(), InitrdUnpacked::default()));
        }
        // What was read of the packed files need not stay mapped beside what it unpacks to.
        let meanwhile = || self.inputs.unmap_initrds();
        unpack_with(files, &self.rules(), &meanwhile).map_err(|not| {
            Error::refused(
                not.part,
                format!("it cannot be unpacked before the jump: {}", not.why),
                "use --unpack=auto, which leaves it to the next kernel",
            )
        })
    }

    fn rules(&self) -> UnpackRules {
        let decision = self.decision;
        UnpackRules {
            choice: self.request.unpack.choice,
            setting: self.request.unpack.setting.clone(),
            forbidden: self.forbidden(),
            hashing: match decision.method {
                Method::FileLoad => Hashing::ByTheKernel,
                Method::ClassicLoad => match self.request.classic.options.integrity {
                    Integrity::Crc32c => Hashing::Crc32c,
                    Integrity::Sha256 => Hashing::Sha256,
                    Integrity::None => Hashing::None,
                },
            },
            room: self.memory().room(),
            reads_lz4: self.config.is_known_to_read("lz4"),
            threads: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
        }
    }

    /// Why the initrd has to stay as it is.
    fn forbidden(&self) -> Option<String> {
        let unpack = &self.request.unpack;
        let lost = unpack.not_earned.as_ref();
        let lost = lost.filter(|_| unpack.choice == UnpackChoice::Auto);
        self.never()
            .map(str::to_owned)
            .or_else(|| lost.map(|lost| format!("{NOT_EARNED} ({lost})")))
    }

    /// The reasons that hold whatever is asked for.
    fn never(&self) -> Option<&'static str> {
        let security = &self.host.security;
        let by_file = self.decision.method == Method::FileLoad;
        if self.plan.crash {
            return Some("a crash kernel has to do with the memory that is reserved for it");
        }
        if !is_for_linux(self.request, self.image) {
            return Some("the kernel is not Linux");
        }
        if self
            .plan
            .cmdline
            .words()
            .any(|word| word == b"retain_initrd")
        {
            return Some("the next kernel keeps the initrd as it gets it (retain_initrd)");
        }
        if by_file && security.ima_appraises_kexec.is_true() {
            return Some(
                "an IMA rule appraises what is loaded, so the files are passed as they are",
            );
        }
        if by_file && security.selinux_enforcing.is_true() {
            return Some(
                "SELinux judges the files that are loaded, so they are passed as they are",
            );
        }
        None
    }

    fn memory(&self) -> UnpackMemory {
        let known = |fact: &Fact<u64>| match fact {
            Fact::Known(bytes) => Ok(*bytes),
            Fact::Absent => Err("/proc/meminfo does not say it".to_owned()),
            Fact::Unreadable(why) => Err(why.clone()),
        };
        let memory = &self.host.memory;
        let usable = memory.usable();
        let kernel = held_by_kernel(self.image, self.plan);
        // It may be unpacked in this process as well.
        let unpacked_kernel = match self.decision.method {
            Method::ClassicLoad => kernel,
            Method::FileLoad => 0,
        };
        let crash = self.host.kexec.crash_size.known().copied().unwrap_or(0);
        let limits = Limits::of(&self.plan.cmdline);
        let exact = limits.exact.as_ref().map(|ranges| ranges.total());
        let end = (limits.end != u64::MAX).then_some(limits.end);
        UnpackMemory {
            available: known(&usable.bytes),
            limit: usable.limit,
            // The memory of the running kernel is without that of its own crash kernel.
            reserved: Reserved::of(&self.plan.cmdline).beside(crash),
            tmpfs: root_is_tmpfs(&self.plan.cmdline),
            total: known(&memory.total),
            next: exact.into_iter().chain(end).min(),
            files: self.inputs.total().saturating_add(unpacked_kernel),
            kernel,
            method: self.decision.method,
            held: self.request.unpack.held,
        }
    }
}

/// Whether the next kernel's first root file system is a tmpfs and no ramfs, which has no
/// limit: no `root=`, and no `rootfstype=` without it (Documentation/filesystems/
/// ramfs-rootfs-initramfs.rst, "What is rootfs?").
fn root_is_tmpfs(line: &Cmdline) -> bool {
    match line.value("rootfstype") {
        Some(kinds) => kinds.contains("tmpfs"),
        None => line.value("root").is_none_or(|root| root.is_empty()),
    }
}

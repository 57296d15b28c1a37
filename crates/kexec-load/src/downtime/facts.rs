//! What the model looks at, and how it follows from a load that is prepared.

use kexec_image::decompress::CODECS;
use kexec_image::formats::bzimage::PayloadCodec;
use kexec_image::{Image, Kernel};
use kexec_machine::Snapshot;
use kexec_plan::classic::Integrity;
use kexec_plan::unpack::cost::PartForm;
use kexec_plan::{FilePlan, LoadPlan, Method, Piece, SyscallChoice};

use super::consoles::{SerialConsole, is_verbose, serial_consoles};
use crate::initrd::intact::{look_into, look_into_joined};
use crate::initrd::unpack::{InitrdUnpacked, UnpackedPart};
use crate::pipeline::Prepared;
use kexec_plan::size::Memory as Size;

/// How the bytes are checked between the two kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// CRC-32C in this program's purgatory.
    Crc32c,
    /// SHA-256 in this program's purgatory.
    Sha256,
    /// SHA-256 in the purgatory that the running kernel brings.
    ByTheKernel,
    /// Not at all: with kexec handover, kernels from 7.3 on leave it out (Linux commit
    /// 94f9cef0f51c).
    LeftOutByTheKernel,
    /// Not at all, because the caller said so.
    None,
}

/// The kernel, as it is in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedKernel {
    /// What it is compressed with.
    pub codec: &'static str,
    /// Bytes that it unpacks to.
    pub unpacked: u64,
}

/// Why a kernel is not unpacked before the jump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotUnpacked {
    /// For people.
    pub reason: String,
    /// The caller wanted nothing to be unpacked.
    pub unwanted: bool,
    /// `--unpack=always` would do it nevertheless.
    pub may_be_insisted: bool,
}

/// What the next kernel has to do with itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KernelFacts {
    /// What it unpacks after the jump, if anything.
    pub packed: Option<PackedKernel>,
    /// Why that was not done before; `None` where it was.
    pub not_unpacked: Option<NotUnpacked>,
}

/// A part of the initrd as it is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitrdPart {
    /// What it is compressed with; `None` where it is not.
    pub codec: Option<&'static str>,
    /// Bytes that the next kernel makes files of.
    pub unpacked: u64,
}

/// What is known of the machine, apart from its snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MachineFacts {
    /// Sysctl crypto.fips_enabled is 1.
    pub fips: bool,
    /// The next kernel is known to test its crypto code at boot.
    pub self_tests: bool,
    /// NVMe controllers that the running kernel drives.
    pub nvme: usize,
    /// The feature that shuts devices down side by side is there, and off.
    pub parallel_shutdown_is_off: bool,
}

/// What the model looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DowntimeFacts {
    /// The system call that loads.
    pub method: Method,
    /// What the caller asked for.
    pub choice: SyscallChoice,
    /// The running kernel has to verify what is loaded: Secure Boot, lockdown.
    pub verified: bool,
    /// How the bytes are checked.
    pub check: Check,
    /// How many bytes are.
    pub checked: u64,
    /// How many bytes are copied to their places.
    pub copied: u64,
    /// The kernel.
    pub kernel: KernelFacts,
    /// The initrd.
    pub initrd: Vec<InitrdPart>,
    /// The serial consoles of the next command line.
    pub consoles: Vec<SerialConsole>,
    /// The messages of the boot reach them.
    pub verbose: bool,
    /// The serial ports are a hypervisor's.
    pub virtual_machine: bool,
    /// `fips=1` is on the next command line.
    pub next_fips: bool,
    /// `cryptomgr.notests` is.
    pub no_tests: bool,
    /// `lpj=` is.
    pub lpj: bool,
    /// What is known of the machine.
    pub machine: MachineFacts,
}

/// The most that a part of an initrd is unpacked to, so that its size is known.
const LARGEST: u64 = 4 << 30;

impl DowntimeFacts {
    /// Of a load that is prepared on the machine that `host` describes; `choice` is what
    /// the caller said about the system call.
    pub fn of(
        prepared: &Prepared,
        choice: SyscallChoice,
        host: &Snapshot,
        machine: MachineFacts,
    ) -> DowntimeFacts {
        let plan = &prepared.plan;
        let method = prepared.decision.method;
        let (check, checked, copied) = match &prepared.placed {
            Some(placed) => of_placed(placed),
            None => of_file_load(&prepared.image, plan, host),
        };
        let unpacked_before = prepared.unpacked.kernel.unpacked;
        let hypervisor = host.firmware.hypervisor.known().map(String::as_str);
        let cmdline = &plan.cmdline;
        let word = |name: &str| cmdline.words().any(|word| word == name.as_bytes());
        DowntimeFacts {
            method,
            choice,
            verified: host.security.secure_boot.is_true()
                || host.locked_down()
                || host.signature_enforced().is_true(),
            check,
            checked,
            copied,
            kernel: KernelFacts {
                packed: packed_kernel(&prepared.image).filter(|_| !unpacked_before),
                not_unpacked: (!unpacked_before).then(|| NotUnpacked {
                    reason: prepared.unpacked.kernel.reason.clone(),
                    unwanted: prepared.unpacked.kernel.is_unwanted(),
                    may_be_insisted: prepared.unpacked.kernel.may_be_insisted(),
                }),
            },
            initrd: initrd(&plan.initrd, &prepared.unpacked.initrd),
            consoles: serial_consoles(cmdline, host),
            verbose: is_verbose(cmdline),
            // The first domain of Xen has the machine's own ports.
            virtual_machine: hypervisor.is_some_and(|name| name != "xen-dom0"),
            next_fips: cmdline.value("fips").as_deref() == Some("1"),
            no_tests: word("cryptomgr.notests") || cmdline.value("cryptomgr.notests").is_some(),
            lpj: cmdline.value("lpj").is_some(),
            machine,
        }
    }
}

fn of_placed(placed: &LoadPlan) -> (Check, u64, u64) {
    let purgatory = &placed.purgatory;
    let check = match purgatory.integrity {
        Integrity::Crc32c => Check::Crc32c,
        Integrity::Sha256 => Check::Sha256,
        Integrity::None => Check::None,
    };
    let lengths = purgatory.checks.iter().map(|region| region.len);
    let checked = lengths.fold(0, u64::saturating_add);
    (check, checked, placed.total)
}

/// The running kernel hashes what is in memory, not what is in the file: all of the
/// `init_size` that the kernel may need, which is zeros for the most part
/// (`kexec_calculate_store_digests`). Its own small segments are left out here.
fn of_file_load(image: &Image, plan: &FilePlan, host: &Snapshot) -> (Check, u64, u64) {
    let kernel = match &image.kernel {
        Kernel::BzImage(bzimage) => u64::from(bzimage.init_size).max(Size::of(plan.kernel.len).0),
        _ => Size::of(plan.kernel.len).0,
    };
    let all = kernel.saturating_add(Size::of(plan.initrd_len()).0);
    let left_out = host.release_at_least(7, 3) == Some(true) && host.kexec.kho.is_true();
    let check = match left_out {
        true => Check::LeftOutByTheKernel,
        false => Check::ByTheKernel,
    };
    (check, all, all)
}

/// What is in a bzImage.
fn packed_kernel(image: &Image) -> Option<PackedKernel> {
    let Kernel::BzImage(bzimage) = &image.kernel else {
        return None;
    };
    let payload = bzimage.payload.as_ref()?;
    let codec = match payload.codec {
        PayloadCodec::Known(codec) => codec,
        PayloadCodec::Lzo => "lzo",
        PayloadCodec::Elf | PayloadCodec::Unknown => return None,
    };
    // The kernel's build puts the size at the end; in a gzip stream it is the stream's own.
    let bytes = image.bytes.get(payload.range.clone())?;
    let size = u32::from_le_bytes(*bytes.last_chunk::<4>()?);
    Some(PackedKernel {
        codec,
        unpacked: size.into(),
    })
}

/// The parts of the initrd that is handed over in these pieces. Their sizes are known where
/// it was tried to unpack them before the jump; else they are unpacked to see.
pub(super) fn initrd(pieces: &[Piece], report: &InitrdUnpacked) -> Vec<InitrdPart> {
    let pieces: Vec<&Piece> = pieces.iter().filter(|p| !p.is_empty_initrd()).collect();
    let len = pieces.iter().map(|piece| Size::of(piece.len).0);
    let mut raw = len.fold(0, u64::saturating_add);
    let mut parts = Vec::new();
    for (part, len) in reported(report).unwrap_or_else(|| seen(&pieces)) {
        raw = raw.saturating_sub(len);
        parts.push(part);
    }
    if raw > 0 {
        parts.push(InitrdPart {
            codec: None,
            unpacked: raw,
        });
    }
    parts
}

/// A part, and how many bytes of it are handed over.
type Handed = (InitrdPart, u64);

/// The compressed parts that are handed over, as the report has them; `None` where it does
/// not know them all.
fn reported(report: &InitrdUnpacked) -> Option<Vec<Handed>> {
    let packed = |part: &&UnpackedPart| part.form != PartForm::Raw;
    if !report.is_walked() {
        return None;
    }
    let parts = report.parts.iter().filter(packed).map(|part| {
        let codec = match part.form {
            PartForm::Lz4 => "lz4",
            PartForm::Packed | PartForm::Raw => part.codec.as_deref()?,
        };
        let known = CODECS.iter().find(|known| known.name == codec)?;
        let part_is = InitrdPart {
            codec: Some(known.name),
            unpacked: Size::of(part.unpacked?).0,
        };
        Some((part_is, Size::of(part.handed).0))
    });
    parts.collect()
}

/// The same by unpacking each, and forgetting what it unpacks to.
fn seen(pieces: &[&Piece]) -> Vec<Handed> {
    let looked = pieces.iter().enumerate().flat_map(|(index, piece)| {
        let looked = match pieces.len() - index {
            0 | 1 => look_into(&piece.bytes, LARGEST),
            _ => look_into_joined(&piece.bytes, LARGEST),
        };
        looked.packed
    });
    let handed = looked.map(|part| {
        let part_is = InitrdPart {
            codec: Some(part.codec),
            unpacked: part.unpacked,
        };
        (part_is, part.len)
    });
    handed.collect()
}

//! The whole walk, in order: read the files once, understand them, plan, check,
//! load, record. Each step takes plain values and returns one; only [`read`]
//! opens files (`inputs.rs`) and only [`load`] changes anything.
//!
//! ```text
//! LoadRequest ──read──▶ Inputs ──prepare──▶ Prepared { plan, findings } ──load──▶ loaded, recorded
//! ```

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd};

use bytes::Bytes;
use kexec_image::{Arch, Image, ImageError, Proof};
use kexec_plan::MethodFacts;
use kexec_plan::unpack::KernelUnpacking;
use kexec_plan::{Cmdline, Decision, FilePlan, FileRequest, InitrdFile, LoadPlan, Method};
use kexec_plan::{PlanError, file, method};
use kexec_sys::{Errno, FileFlags, Kernel, SealedFile, Slot};

use crate::companions;
use crate::explain::{self, ImageFacts, KernelCall};
use crate::initrd;
pub use crate::inputs::{Carried, InputFile, Inputs, image_options, read};
use crate::next_config::NextConfig;
use crate::preflight::{self, Finding, LoadContext};
use crate::request::{LoadRequest, SyscallChoice, Unsigned};
use crate::{Error, classic, place, unpack};
use kexec_machine::Fact;
use kexec_machine::{Problem, Snapshot};

/// Everything that is known before the leap.
#[derive(Debug)]
pub struct Prepared {
    /// The formats of the kernel file, and what they say.
    pub image: Image,
    /// What it proved about its own bytes.
    pub proofs: Result<Vec<Proof>, ImageError>,
    /// Which system call, and why.
    pub decision: Decision,
    /// What will be handed to it.
    pub plan: FilePlan,
    /// Where `kexec_load(2)` puts every byte; `None` with the other call, which
    /// leaves that to the running kernel.
    pub placed: Option<LoadPlan>,
    /// Whether the kernel is unpacked before the jump, and why.
    pub kernel: KernelUnpacking,
    /// What is known of how it was built.
    pub config: NextConfig,
    /// What the checks found.
    pub findings: Vec<Finding>,
}

/// Understands the files, plans the load and runs every check. Touches nothing.
///
/// # Errors
/// When the kernel is no image that is known here or is broken, or when no plan
/// can be made from it. What a check refuses is not an error but a finding.
pub fn prepare(request: &LoadRequest, inputs: &Inputs, host: &Snapshot) -> Result<Prepared, Error> {
    let options = image_options(request.profile, inputs, host);
    let recognised = kexec_image::recognise(inputs.kernel.sealed.bytes(), &options);
    let mut image = recognised.map_err(|source| Error::Image {
        path: request.kernel.shown(),
        source,
    })?;
    companions::complete(request, inputs, &mut image, host)?;
    if let (Some(profile), None) = (request.profile, &image.uki) {
        return Err(Error::refused(
            format!("--profile {profile}"),
            format!(
                "kernel {} is {}, and only a UKI has profiles",
                request.kernel,
                image.describe()
            ),
            "leave --profile out",
        ));
    }
    let arch = known_arch(host)?;
    let plan = parts(request, inputs, &image, host)?;
    let facts = method_facts(request, &image, &plan, arch, host);
    let config = NextConfig::new(inputs.config.clone());
    let known = Understood {
        proofs: config.verify(&image, !request.old_spelling),
        image,
        plan,
        config,
    };
    let mut decision = method::decide(&facts);
    let placed = match known.place(request, inputs, host, &decision) {
        // The shortest downtime is worth a try, not a failure.
        Err(error) if request.syscall == SyscallChoice::Fastest => {
            let second = method::second_choice(&facts, &format!("has no plan: {error}"));
            decision = second.ok_or(error)?;
            known.place(request, inputs, host, &decision)?
        }
        placed => placed?,
    };
    Ok(known.checked(request, host, decision, placed))
}

/// The plan of the call that was decided on, and what it does with the kernel; no plan
/// where the running kernel makes it.
type PlacedKernel = (Option<LoadPlan>, KernelUnpacking);

/// The files, understood, whichever call takes them.
struct Understood {
    image: Image,
    proofs: Result<Vec<Proof>, ImageError>,
    plan: FilePlan,
    config: NextConfig,
}

impl Understood {
    /// The plan of the call that was decided on; none where the running kernel
    /// makes it.
    fn place(
        &self,
        request: &LoadRequest,
        inputs: &Inputs,
        host: &Snapshot,
        decision: &Decision,
    ) -> Result<PlacedKernel, Error> {
        let (image, proofs, plan) = (&self.image, &self.proofs, &self.plan);
        let arch = known_arch(host)?;
        let facts = unpack::kernel::facts(request, image, plan, decision.method, host);
        let mut kernel = unpack::kernel::decide(&facts)?;
        if kernel.unpacked && proofs.is_ok() {
            let cap = image_options(request.profile, inputs, host).max_output;
            let unpacked = unpack::kernel::unpack(image, &plan.cmdline, &inputs.carried, cap);
            let placed = unpacked.and_then(|unpacked| {
                place::place(request, inputs, image, Some(&unpacked), plan, arch, host)
                    .map_err(|e| e.to_string())
            });
            match placed {
                Ok(placed) => return Ok((Some(placed), kernel)),
                Err(reason) => kernel = unpack::kernel::instead(facts.choice, &reason)?,
            }
        }
        let placed = match decision.method {
            Method::FileLoad => {
                file::accepts(arch, image)?;
                Ok(None)
            }
            Method::ClassicLoad if plan.crash => {
                let because = decision.reason.clone();
                Err(PlanError::CrashNotYet { because }.into())
            }
            // A broken image is refused by the checks; there is nothing to place.
            Method::ClassicLoad if proofs.is_err() => Ok(None),
            Method::ClassicLoad => {
                place::place(request, inputs, image, None, plan, arch, host).map(Some)
            }
        };
        Ok((placed?, kernel))
    }

    /// What the checks find of it.
    fn checked(
        self,
        request: &LoadRequest,
        host: &Snapshot,
        decision: Decision,
        (placed, kernel): PlacedKernel,
    ) -> Prepared {
        let findings = preflight::run(&LoadContext {
            host,
            image: &self.image,
            plan: &self.plan,
            placed: placed.as_ref(),
            classic: &request.classic,
            decision: &decision,
            proofs: &self.proofs,
            config: &self.config,
            old_spelling: request.old_spelling,
        });
        Prepared {
            image: self.image,
            proofs: self.proofs,
            decision,
            plan: self.plan,
            placed,
            kernel,
            config: self.config,
            findings,
        }
    }
}

fn known_arch(host: &Snapshot) -> Result<Arch, Error> {
    host.arch.ok_or_else(|| {
        Error::system(
            "cannot plan for this machine",
            format!("its architecture {:?} is unknown", host.machine),
            "run on a machine whose architecture `kexec --help` names",
        )
    })
}

/// The facts that decide the system call.
pub fn method_facts(
    request: &LoadRequest,
    image: &Image,
    plan: &FilePlan,
    arch: Arch,
    host: &Snapshot,
) -> MethodFacts {
    let longest = preflight::longest_cmdline(image, arch, Method::FileLoad);
    let unseen = |reason: Option<&str>| reason.map(str::to_owned);
    let secure_boot = match request.classic.unsigned {
        Unsigned::Taken => &Fact::Absent,
        Unsigned::Refused | Unsigned::ForTheKernel => &host.security.secure_boot,
    };
    MethodFacts {
        choice: request.syscall,
        secure_boot: secure_boot.is_true(),
        secure_boot_unseen: unseen(secure_boot.reason()),
        locked_down: host.locked_down(),
        lockdown_unseen: unseen(host.security.lockdown.reason()),
        signature_enforced: host.signature_enforced().is_true(),
        ima_appraises: host.security.ima_appraises_kexec.is_true(),
        selinux_enforcing: host.security.selinux_enforcing.is_true(),
        handover_state: !request.classic.discard_liveupdate
            && (host.kexec.kho.is_true() || host.kexec.liveupdate_sessions.is_true()),
        // A kernel for another machine is refused by a check, which says it
        // better than a plan that cannot be made.
        not_for_file_load: file::accepts(arch, image).is_err(),
        file_load_resets: preflight::file_load_resets(host, image, &plan.cmdline),
        long_cmdline: plan.cmdline.as_bytes().len() > longest.0,
        classic_option: request.classic.demands_classic(),
        crash: plan.crash,
        not_placed_here: !kexec_plan::planners::is_planned(arch)
            || classic::purgatory_shape().is_err(),
        classic_not_built: host.built_with("CONFIG_KEXEC") == Some(false),
        memory_hidden: host.memory.iomem.known().is_none(),
        memory_guarded: host.memory_guarded(),
    }
}

/// What is handed over, whichever call does it.
fn parts(
    request: &LoadRequest,
    inputs: &Inputs,
    image: &Image,
    host: &Snapshot,
) -> Result<FilePlan, Error> {
    let running = match (request.cmdline.reuse, host.cmdline.known()) {
        (_, Some(cmdline)) => cmdline.clone(),
        (false, None) => Cmdline::default(),
        (true, None) => {
            let missing = "no such file: /proc is not mounted";
            let why = host.cmdline.reason().unwrap_or(missing);
            return Err(Error::NotRead(Problem::new(
                "cannot read the running kernel's command line /proc/cmdline",
                format!("{why}; --reuse-cmdline needs it"),
                "mount /proc, or give the command line with --command-line",
            )));
        }
    };
    let initrds: Vec<InitrdFile> = inputs
        .initrds
        .iter()
        .map(|input| InitrdFile {
            path: input.from.to_string(),
            bytes: input.sealed.bytes(),
        })
        .collect();
    let plan = file::parts(&FileRequest {
        path: &request.kernel.to_string(),
        image,
        initrds: &initrds,
        entry: request.cmdline.entry.as_ref(),
        append: request.cmdline.append.as_ref(),
        reuse: request.cmdline.reuse,
        running: &running,
        mark: request.mark.as_ref(),
        crash: request.slot == Slot::Crash,
    });
    Ok(match initrd::stale(request, image, host) {
        true => plan.with_empty_initrd(),
        false => plan,
    })
}

/// Loads what was prepared, and returns what was loaded in the end: with `-a`
/// that may be another plan than the one that was tried first. `extra` are flags
/// of `kexec_file_load(2)` that do not follow from the request. Each time before the
/// kernel is asked, `announce` is told for what.
///
/// # Errors
/// When a check refused, `announce` failed, or the kernel refused; then what was loaded
/// before is still loaded, unless the error says otherwise (crash slot).
pub fn load(
    kernel: &dyn Kernel,
    request: &LoadRequest,
    extra: FileFlags,
    inputs: &Inputs,
    prepared: Prepared,
    host: &Snapshot,
    announce: &mut dyn FnMut(&Prepared) -> Result<(), Error>,
) -> Result<Prepared, Error> {
    refuse(&prepared)?;
    announce(&prepared)?;
    let Err(errno) = load_once(kernel, request, extra, inputs, &prepared, host)? else {
        return Ok(prepared);
    };
    let first = explained(request, &prepared, errno, host);
    let Some(decision) = second_choice(request, &prepared, errno, host) else {
        return Err(first);
    };
    let tried = decision.method.name();
    let known = Understood {
        image: prepared.image,
        proofs: prepared.proofs,
        plan: prepared.plan,
        config: prepared.config,
    };
    let placed = known.place(request, inputs, host, &decision);
    let second = placed.and_then(|placed| {
        let second = known.checked(request, host, decision, placed);
        refuse(&second)?;
        announce(&second)?;
        match load_once(kernel, request, extra, inputs, &second, host)? {
            Ok(()) => Ok(second),
            Err(errno) => Err(explained(request, &second, errno, host)),
        }
    });
    second.map_err(|second| {
        Error::system(
            first.to_string(),
            format!("then {tried}(2) was tried: {second}"),
            second.remedy().to_owned(),
        )
    })
}

/// The first check that refused, as an error.
fn refuse(prepared: &Prepared) -> Result<(), Error> {
    match preflight::refusal(&prepared.findings) {
        Some(finding) => Err(finding.problem.clone().into()),
        None => Ok(()),
    }
}

/// The errnos on which kexec-tools goes on to the other call: the kernel has no
/// such call, or its loader does not take the image.
const FILE_DOES_NOT: &[Errno] = &[
    Errno::ENOSYS,
    Errno::EINVAL,
    Errno::ENOEXEC,
    Errno::EOPNOTSUPP,
];

/// The errnos on which a load for the shortest downtime takes the other call:
/// the kernel has no such call, a security module does not allow it, or it takes
/// no segment where one was placed.
const CLASSIC_DOES_NOT: &[Errno] = &[
    Errno::ENOSYS,
    Errno::EPERM,
    Errno::EACCES,
    Errno::EADDRNOTAVAIL,
];

fn second_choice(
    request: &LoadRequest,
    prepared: &Prepared,
    errno: Errno,
    host: &Snapshot,
) -> Option<Decision> {
    let errnos = match prepared.decision.method {
        Method::FileLoad => FILE_DOES_NOT,
        Method::ClassicLoad => CLASSIC_DOES_NOT,
    };
    if !errnos.contains(&errno) || request.slot == Slot::Crash {
        return None;
    }
    let facts = method_facts(request, &prepared.image, &prepared.plan, host.arch?, host);
    // What was tried may have been the second choice already.
    if method::decide(&facts).method != prepared.decision.method {
        return None;
    }
    let answer = format!("answered {}", errno.name().unwrap_or("an error"));
    method::second_choice(&facts, &answer)
}

/// Asks the kernel once; the inner result is its answer.
fn load_once(
    kernel: &dyn Kernel,
    request: &LoadRequest,
    extra: FileFlags,
    inputs: &Inputs,
    prepared: &Prepared,
    host: &Snapshot,
) -> Result<Result<(), Errno>, Error> {
    if let Some(placed) = &prepared.placed {
        return Ok(place::load(kernel, placed));
    }
    let staged = Staged::new(inputs, prepared, host)?;
    let mut flags = extra;
    if request.slot == Slot::Crash {
        flags |= FileFlags::ON_CRASH;
    }
    // Kernels before 6.8 refuse the debug flag; that a load is to be watched
    // must not be what makes it fail.
    if request.debug && host.release_at_least(6, 8) == Some(true) {
        flags |= FileFlags::DEBUG;
    }
    let initrd = staged.initrd(inputs);
    Ok(kernel.file_load(staged.kernel(inputs), initrd, &staged.cmdline, flags))
}

fn explained(request: &LoadRequest, prepared: &Prepared, errno: Errno, host: &Snapshot) -> Error {
    let call = match prepared.decision.method {
        Method::FileLoad => KernelCall::FileLoad(request.slot),
        Method::ClassicLoad => KernelCall::ClassicLoad(request.slot),
    };
    let tried = format!("loading kernel {}", request.kernel);
    let facts = image_facts(prepared);
    Error::Kernel(explain::explain(call, errno, tried, host, Some(&facts)))
}

fn image_facts(prepared: &Prepared) -> ImageFacts {
    let signer = prepared.proofs.as_ref().ok().and_then(|proofs| {
        proofs.iter().find_map(|proof| match proof {
            // A signed UKI around an unsigned kernel is unsigned to the kernel.
            Proof::Authenticode { of, signer } if of == prepared.image.kernel.format() => {
                Some(signer.clone())
            }
            _ => None,
        })
    });
    ImageFacts {
        format: prepared.plan.format.clone(),
        arch: prepared.image.arch(),
        bare: prepared.plan.bare,
        signer,
        kernel_len: prepared.plan.kernel.len,
        initrd_len: prepared.plan.initrd_len(),
        cmdline_len: prepared.plan.cmdline.len_with_nul(),
        preserve_context: prepared.placed.as_ref().is_some_and(|p| p.preserve_context),
    }
}

/// The descriptors and the text that the system call takes.
struct Staged {
    /// A copy of the unwrapped kernel; `None` when the file itself is handed on.
    unwrapped: Option<SealedFile>,
    /// Whether the kernel wants to see the file itself.
    original: bool,
    /// The joined initrd; `None` when there is none or it is one file as it is.
    joined: Option<SealedFile>,
    /// Which input file is the whole initrd.
    single: Option<usize>,
    cmdline: CString,
}

impl Staged {
    fn new(inputs: &Inputs, prepared: &Prepared, host: &Snapshot) -> Result<Staged, Error> {
        let memory = |what: &str, e: kexec_sys::SealedError| {
            Error::System(Problem::caused(
                format!("cannot keep {what} in memory"),
                e,
                "free some memory and try again",
            ))
        };
        let plan = &prepared.plan;
        let unwrapped = if plan.bare {
            None
        } else {
            let copy = SealedFile::from_bytes(&plan.kernel.bytes, "kernel");
            Some(copy.map_err(|e| memory("the unwrapped kernel", e))?)
        };
        let single = match plan.initrd.as_slice() {
            [one] => inputs
                .initrds
                .iter()
                .position(|i| same_bytes(&i.sealed.bytes(), &one.bytes)),
            _ => None,
        };
        let joined = if plan.initrd.is_empty() || single.is_some() {
            None
        } else {
            let zeros = [0u8; file::INITRD_PADDING];
            let parts = plan.initrd.iter().flat_map(|p| {
                let padding = zeros.get(..p.padding).unwrap_or_default();
                [p.bytes.as_ref(), padding]
            });
            let copy = SealedFile::from_parts(parts, "initrd");
            Some(copy.map_err(|e| memory("the joined initrd", e))?)
        };
        let cmdline = CString::new(plan.cmdline.as_bytes()).map_err(|e| {
            Error::system(
                "cannot hand over the command line",
                format!("it has a NUL at byte {}", e.nul_position()),
                "remove the NUL",
            )
        })?;
        Ok(Staged {
            unwrapped,
            // A signature in an extended attribute is on the file, not on a copy
            // of its bytes; the kernel then reads (and verifies) the file itself.
            original: host.security.ima_appraises_kexec.known() == Some(&true),
            joined,
            single,
            cmdline,
        })
    }

    fn kernel<'a>(&'a self, inputs: &'a Inputs) -> BorrowedFd<'a> {
        match &self.unwrapped {
            Some(copy) => copy.as_fd(),
            None if self.original => inputs.kernel.file.as_fd(),
            None => inputs.kernel.sealed.as_fd(),
        }
    }

    fn initrd<'a>(&'a self, inputs: &'a Inputs) -> Option<BorrowedFd<'a>> {
        let single = self.single.and_then(|i| inputs.initrds.get(i));
        let single = single.map(|i| i.sealed.as_fd());
        self.joined.as_ref().map(AsFd::as_fd).or(single)
    }
}

/// Whether two handles are the same run of memory.
fn same_bytes(a: &Bytes, b: &Bytes) -> bool {
    a.as_ptr() == b.as_ptr() && a.len() == b.len()
}

//! The whole walk, in order: read the files once, understand them, plan, check,
//! load, record. Each step takes plain values and returns one; only [`read`]
//! opens files (`inputs.rs`) and only [`load`] changes anything.
//!
//! ```text
//! LoadRequest ──read──▶ Inputs ──prepare──▶ Prepared { plan, findings } ──load──▶ loaded, recorded
//! ```

use kexec_image::{Arch, Image, ImageError, Proof};
use kexec_plan::unpack::KernelUnpacking;
use kexec_plan::{Cmdline, Decision, FilePlan, FileRequest, InitrdFile, LoadPlan, Method, Piece};
use kexec_plan::{file, method};
use kexec_sys::{Errno, FileFlags, Kernel, Slot};

use crate::companions;
use crate::explain::{self, ImageFacts, KernelCall};
use crate::initrd;
use crate::initrd::unpack::InitrdUnpacked;
use crate::inner::{InnerKernel, take_out};
pub use crate::inputs::{Carried, InputFile, Inputs, image_options, read};
pub use crate::method_facts::method_facts;
use crate::next_config::NextConfig;
use crate::preflight::{self, Finding, LoadContext};
use crate::request::{LoadRequest, SyscallChoice};
use crate::staged::{self, Staged};
use crate::unpacked::{InitrdStep, Unpacked, kernel};
use crate::{Error, place};
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
    /// The initrd as it is in its files; in the plan, parts of it may be unpacked.
    pub initrds: Vec<Piece>,
    /// What was unpacked before the jump.
    pub unpacked: Unpacked,
    /// Where `kexec_load(2)` puts every byte; `None` with the other call, which
    /// leaves that to the running kernel.
    pub placed: Option<LoadPlan>,
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
    let mut decision = method::decide(&facts);
    let unpacking = kernel::facts(request, &image, &plan, decision.method, host);
    let inner = kernel::decide(&unpacking)?
        .unpacked
        .then(|| take_out(request, inputs, &image, &plan, host));
    let unpacked = inner.as_ref().and_then(|inner| inner.as_ref().ok());
    let unpacked = unpacked.map(|inner| (inner.kernel.bytes.as_ref(), inner.payload));
    let mut known = Understood {
        proofs: config.verify(&image, !request.old_spelling, unpacked),
        inner,
        image,
        initrds: plan.initrd.clone(),
        plan,
        unpacked: Unpacked::default(),
        config,
    };
    let placed = match known.unpack_and_place(request, inputs, host, &decision) {
        // The shortest downtime is worth a try, not a failure.
        Err(error) if request.syscall == SyscallChoice::Fastest => {
            let second = method::second_choice(&facts, &format!("has no plan: {error}"));
            decision = second.ok_or(error)?;
            known.unpack_and_place(request, inputs, host, &decision)?
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
    /// The kernel out of it, or why it could not be taken out, once that was tried.
    inner: Option<Result<InnerKernel, String>>,
    proofs: Result<Vec<Proof>, ImageError>,
    plan: FilePlan,
    initrds: Vec<Piece>,
    unpacked: Unpacked,
    config: NextConfig,
}

impl Understood {
    /// Unpacks what is unpacked before the jump with the call that was decided on, and
    /// makes the plan of that call, as [`Understood::place`].
    fn unpack_and_place(
        &mut self,
        request: &LoadRequest,
        inputs: &Inputs,
        host: &Snapshot,
        decision: &Decision,
    ) -> Result<Option<LoadPlan>, Error> {
        // What was unpacked for the other call goes before this one needs memory.
        self.pack_again(None);
        if self.proofs.is_ok() {
            let step = InitrdStep {
                request,
                inputs,
                image: &self.image,
                plan: &self.plan,
                config: &self.config,
                decision,
                host,
            };
            let (handed, report) = step.unpack(&self.initrds)?;
            (self.plan.initrd, self.unpacked.initrd) = (handed, report);
        }
        let placed = match self.place(request, inputs, host, decision) {
            Err(error) if self.unpacked.initrd_may_be_left(request) => {
                self.pack_again(Some(format!("unpacked, it has no place: {error}")));
                self.place(request, inputs, host, decision)
            }
            placed => placed,
        };
        let (placed, kernel) = placed?;
        self.unpacked.kernel = kernel;
        Ok(placed)
    }

    /// Takes the initrd as it is in its files, because of `why`.
    fn pack_again(&mut self, why: Option<String>) {
        self.plan.initrd.clone_from(&self.initrds);
        self.unpacked.initrd = InitrdUnpacked::nothing(why);
    }

    /// The plan of the call that was decided on; none where the running kernel
    /// makes it.
    fn place(
        &mut self,
        request: &LoadRequest,
        inputs: &Inputs,
        host: &Snapshot,
        decision: &Decision,
    ) -> Result<PlacedKernel, Error> {
        let (image, proofs, plan) = (&self.image, &self.proofs, &self.plan);
        let arch = known_arch(host)?;
        let facts = kernel::facts(request, image, plan, decision.method, host);
        let mut unpacking = kernel::decide(&facts)?;
        if unpacking.unpacked && proofs.is_ok() {
            let inner = self
                .inner
                .get_or_insert_with(|| take_out(request, inputs, image, plan, host));
            let placed = match inner {
                Ok(inner) => {
                    let kernel = Some(&inner.kernel);
                    place::place(request, inputs, image, kernel, plan, arch, host)
                        .map_err(|e| e.to_string())
                }
                Err(reason) => Err(reason.clone()),
            };
            match placed {
                Ok(placed) => return Ok((Some(placed), unpacking)),
                Err(reason) => unpacking = kernel::instead(&facts, &reason)?,
            }
        }
        let placed = match decision.method {
            Method::FileLoad => {
                file::accepts(arch, image)?;
                Ok(None)
            }
            // A broken image is refused by the checks; there is nothing to place.
            Method::ClassicLoad if proofs.is_err() => Ok(None),
            Method::ClassicLoad => {
                place::place(request, inputs, image, None, plan, arch, host).map(Some)
            }
        };
        Ok((placed?, unpacking))
    }

    /// What the checks find of it.
    fn checked(
        self,
        request: &LoadRequest,
        host: &Snapshot,
        decision: Decision,
        mut placed: Option<LoadPlan>,
    ) -> Prepared {
        if let Some(placed) = &mut placed {
            placed.notes.extend(self.unpacked.lines());
        }
        let findings = preflight::run(&LoadContext {
            host,
            image: &self.image,
            plan: &self.plan,
            initrds: &self.initrds,
            unpacked: &self.unpacked,
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
            initrds: self.initrds,
            unpacked: self.unpacked,
            placed,
            config: self.config,
            findings,
        }
    }
}

impl Prepared {
    /// The files, to be prepared for the other call.
    fn understood(self) -> Understood {
        Understood {
            inner: None,
            image: self.image,
            proofs: self.proofs,
            plan: self.plan,
            initrds: self.initrds,
            unpacked: self.unpacked,
            config: self.config,
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
    let Err(mut errno) = load_once(kernel, request, extra, inputs, &prepared, host)? else {
        return Ok(prepared);
    };
    let mut prepared = prepared;
    if errno == Errno::ENOMEM && prepared.unpacked.may_be_left(request) {
        prepared = packed_again(request, inputs, prepared, host)?;
        refuse(&prepared)?;
        announce(&prepared)?;
        match load_once(kernel, request, extra, inputs, &prepared, host)? {
            Ok(()) => return Ok(prepared),
            Err(again) => errno = again,
        }
    }
    let first = explained(request, &prepared, errno, host);
    let Some(decision) = second_choice(request, &prepared, errno, host) else {
        return Err(first);
    };
    let tried = decision.method.name();
    let mut known = prepared.understood();
    let placed = known.unpack_and_place(request, inputs, host, &decision);
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

/// The same load with the files as they are, for which there may be memory.
fn packed_again(
    request: &LoadRequest,
    inputs: &Inputs,
    prepared: Prepared,
    host: &Snapshot,
) -> Result<Prepared, Error> {
    let decision = prepared.decision.clone();
    let mut known = prepared.understood();
    let why = "the running kernel had no memory for it, unpacked (ENOMEM)";
    if known.unpacked.initrd.is_changed() {
        known.pack_again(Some(why.to_owned()));
    }
    if known.unpacked.kernel.unpacked {
        known.inner = Some(Err(why.to_owned()));
    }
    let (placed, kernel) = known.place(request, inputs, host, &decision)?;
    known.unpacked.kernel = kernel;
    Ok(known.checked(request, host, decision, placed))
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
    if !errnos.contains(&errno) {
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
    let staged = Staged::new(inputs, &prepared.plan, host)?;
    let flags = extra | staged::flags(request, &prepared.image, host);
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

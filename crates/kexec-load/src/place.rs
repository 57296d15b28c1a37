//! A load with `kexec_load(2)`: the plan with every byte in its place, and the
//! call itself.

use kexec_image::{Arch, Image};
use kexec_plan::classic::{ClassicRequest, FirmwareFacts, Module, RngSeed, UnpackedKernel};
use kexec_plan::memory::MemoryFacts;
use kexec_plan::{FilePlan, LoadPlan, PlanError};
use kexec_purgatory::Console;
use kexec_sys::{Errno, Kernel, LoadFlags, Segment, elf_machine};

use crate::Error;
use crate::classic::{self, PurgatoryFailure, PurgatoryOptions};
use crate::inputs::Inputs;
use crate::request::{ClassicLoadOptions, LoadRequest};
use kexec_machine::{Problem, Snapshot};

/// Finds a place for everything and finishes the purgatory.
///
/// # Errors
/// When there is no plan, with numbers where it is a matter of room; or when no
/// purgatory was built for this machine.
pub(crate) fn place(
    request: &LoadRequest,
    inputs: &Inputs,
    image: &Image,
    unpacked: Option<&UnpackedKernel>,
    plan: &FilePlan,
    arch: Arch,
    host: &Snapshot,
) -> Result<LoadPlan, Error> {
    let classic_options = &request.classic;
    let modules: Vec<Module> = inputs
        .modules
        .iter()
        .zip(&classic_options.modules)
        .map(|(input, module)| Module {
            path: module.file.to_string(),
            string: module.string.clone(),
            bytes: input.sealed.bytes(),
        })
        .collect();
    let dtb = inputs.dtb.as_ref().map(|input| input.sealed.bytes());
    let carried = &inputs.carried;
    let firmware = FirmwareFacts {
        ima: carried.ima.clone(),
        rsdp_copy: carried.rsdp.clone(),
        ..classic::firmware_facts(host)
    };
    let memory = MemoryFacts {
        free: carried.pages.handed_out(room(inputs, unpacked, plan)),
        ..classic::memory_facts(host)
    };
    let hotplug = classic_options.options.hotplug;
    let crash = plan
        .crash
        .then(|| classic::crash_facts(host, hotplug))
        .transpose()?;
    let shape = classic::purgatory_shape().map_err(|e| no_purgatory(e.into()))?;
    let mut placed = kexec_plan::planners::plan(&ClassicRequest {
        path: &plan.kernel.origin,
        image,
        unpacked,
        initrd: &plan.initrd,
        modules: &modules,
        dtb: dtb.as_ref(),
        cmdline: &plan.cmdline,
        arch,
        memory: &memory,
        firmware: &firmware,
        options: &classic_options.options,
        rng_seed: rng_seed(),
        purgatory: shape,
        crash: crash.as_ref(),
    })
    .map_err(PlanError::Classic)?;
    if plan.crash {
        placed.notes.extend(classic::crash_notes(host));
    }
    placed.notes.extend(carried.notes.iter().cloned());
    let purgatory = PurgatoryOptions {
        reset_vga: classic_options.reset_vga,
        // Asked to report somewhere, it says that it is there.
        hello: classic_options.console_vga || classic_options.console_serial,
    };
    let consoles = consoles(classic_options, plan, host);
    classic::purgatory(&mut placed, &consoles, classic::tsc_khz(host), &purgatory)
        .map_err(no_purgatory)?;
    Ok(placed)
}

/// Bytes that the running kernel makes room for, about.
fn room(inputs: &Inputs, unpacked: Option<&UnpackedKernel>, plan: &FilePlan) -> u64 {
    let kernel = unpacked.map_or(0, |kernel| kernel.memory_len);
    let initrd = u64::try_from(plan.initrd_len()).unwrap_or(u64::MAX);
    inputs.total().max(kernel.saturating_add(initrd))
}

fn no_purgatory(failure: PurgatoryFailure) -> Error {
    let remedy = failure.remedy().to_owned();
    Error::System(Problem::caused(
        "cannot make the program that runs between the two kernels",
        failure,
        remedy,
    ))
}

/// Where the purgatory reports: where the caller says, else on the consoles of
/// the next kernel.
fn consoles(
    classic_options: &ClassicLoadOptions,
    plan: &FilePlan,
    host: &Snapshot,
) -> Vec<Console> {
    /// The first serial port of a PC, kexec-tools' default.
    const TTY_S0: u16 = 0x3f8;
    if !classic_options.console_vga && !classic_options.console_serial {
        return classic::consoles(&plan.cmdline, host);
    }
    let mut consoles = Vec::new();
    if classic_options.console_serial {
        let baud = classic_options.serial_baud.filter(|b| *b != 0);
        let port = classic_options.serial.unwrap_or(TTY_S0);
        consoles.push(classic::serial_port(port, None, baud));
    }
    if classic_options.console_vga {
        consoles.push(Console::Vga);
    }
    consoles
}

/// Random bytes for the next kernel, as its firmware would give them; none when
/// the running kernel has not gathered enough yet.
fn rng_seed() -> Option<RngSeed> {
    let mut seed = [0; 32];
    let got = rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::NONBLOCK).ok()?;
    (got == seed.len()).then_some(RngSeed(seed))
}

/// Asks the kernel to load a plan.
pub(crate) fn load(kernel: &dyn Kernel, plan: &LoadPlan) -> Result<(), Errno> {
    let page = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
    let handed = classic::handed(&plan.segments, page);
    let segments: Vec<Segment<'_>> = handed
        .iter()
        .map(|one| Segment {
            bytes: &one.bytes,
            mem: one.mem,
            memsz: one.memsz,
        })
        .collect();
    let mut flags = LoadFlags::arch(elf_machine::of(plan.arch));
    if plan.preserve_context {
        flags |= LoadFlags::PRESERVE_CONTEXT;
    }
    if plan.crash {
        flags |= LoadFlags::ON_CRASH;
    }
    // Of the two flags that say this, x86 kernels since 6.6 take this one; the other one
    // came with 6.10.
    if plan.hotplug {
        flags |= LoadFlags::UPDATE_ELFCOREHDR;
    }
    kernel.load(plan.entry, &segments, flags)
}

//! The reading step: every file of a request, each of them once, and what is
//! carried on from the running kernel. Nothing after this opens a file.

use std::fs::File;
use std::path::Path;

use bytes::Bytes;
use kexec_image::Options;
use kexec_plan::SyscallChoice;
use kexec_plan::classic::{ImaList, KaslrSeed};
use kexec_sys::{SealedError, SealedFile, Slot};

use crate::next_config::Installed;
use crate::request::LoadRequest;
use crate::{Error, classic};
use kexec_machine::Snapshot;
use kexec_machine::snapshot::PageUse;
use kexec_machine::volumes::{FileRef, Volumes};
use kexec_machine::{Fact, Problem, snapshot};

/// No kernel file is larger than this many bytes.
const MAX_KERNEL: u64 = 1 << 30;
/// No initrd is larger than this many bytes; what the machine can hold is the
/// kernel's own, smaller limit.
const MAX_INITRD: u64 = 1 << 36;
/// No device tree is larger than this many bytes; those of real machines have
/// less than one MiB.
const MAX_DTB: u64 = 1 << 24;

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Kernel,
    Initrd,
    Module,
    Companion,
    DeviceTree,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Role::Kernel => "kernel",
            Role::Initrd => "initrd",
            Role::Module => "module",
            Role::Companion => "a file beside the UKI",
            Role::DeviceTree => "device tree",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// One file, read once into memory that nobody can change any more.
#[derive(Debug)]
pub struct InputFile {
    /// Where it was read from, as the request names it.
    pub from: FileRef,
    /// The descriptor it was read through.
    pub file: File,
    /// Its bytes.
    pub sealed: SealedFile,
}

/// The files of a request, and what is carried on.
#[derive(Debug)]
pub struct Inputs {
    /// The kernel file as it is, be it a UKI or compressed.
    pub kernel: InputFile,
    /// The initrds, in the order of the request.
    pub initrds: Vec<InputFile>,
    /// The modules of a multiboot kernel, in the order of the request.
    pub modules: Vec<InputFile>,
    /// The files beside a UKI, in the order of the request.
    pub companions: Vec<InputFile>,
    /// The device tree of `--dtb`.
    pub dtb: Option<InputFile>,
    /// The configuration of the kernel, where it is installed beside it.
    pub config: Option<Installed>,
    /// What the running kernel hands on.
    pub carried: Carried,
}

impl Inputs {
    /// Bytes of all files that become a part of the image.
    pub fn total(&self) -> u64 {
        let files = self.initrds.iter().chain(&self.companions);
        files
            .chain(&self.modules)
            .fold(length(&self.kernel), |sum, file| {
                sum.saturating_add(length(file))
            })
    }

    /// Gives the pages back in which the kernel file is mapped. Its bytes stay what they are,
    /// and are mapped again where they are read.
    pub(crate) fn unmap_kernel(&self) {
        self.kernel.sealed.unmap_pages();
    }

    /// The same for the initrds, and for a UKI, in which one may be.
    pub(crate) fn unmap_initrds(&self) {
        let files = self.initrds.iter().chain(&self.companions);
        for input in files.chain([&self.kernel]) {
            input.sealed.unmap_pages();
        }
    }

    /// The same files, with the configuration of the kernel, where a check asks for it.
    #[must_use]
    pub fn with_config(self, root: &Path, request: &LoadRequest) -> Inputs {
        let wanted = !request.old_spelling;
        let bytes = || self.kernel.sealed.bytes();
        // Beside a boot entry's kernel may be another system's.
        let named = match &self.kernel.from {
            FileRef::Path(path) => Some(path.as_path()),
            FileRef::Boot(_) => None,
        };
        let config = wanted.then(|| Installed::read(root, named, bytes()));
        Inputs {
            config: config.flatten(),
            ..self
        }
    }

    /// The same files, with what the running kernel hands on.
    #[must_use]
    pub fn carrying(self, carried: Carried) -> Inputs {
        Inputs { carried, ..self }
    }
}

/// Reads the files of a request, each of them once. `volumes` are the file systems that
/// files of a boot entry are on; `available` is how many bytes of memory this machine can
/// give, if that is known.
///
/// # Errors
/// [`Error::KernelNotRead`] or [`Error::NotRead`], with the file; [`Error::Refused`] when it is larger than the
/// memory that is there, because reading it would end in the out-of-memory
/// killer.
pub fn read(
    request: &LoadRequest,
    volumes: Option<&Volumes>,
    available: Option<u64>,
) -> Result<Inputs, Error> {
    let mut left = available.unwrap_or(u64::MAX);
    let mut read = |role, file: &FileRef, limit| {
        let input = read_file(role, file, limit, left, volumes)?;
        left = left.saturating_sub(length(&input));
        Ok::<_, Error>(input)
    };
    let classic = &request.classic;
    let companions = request.companions.iter().flatten();
    Ok(Inputs {
        kernel: read(Role::Kernel, &request.kernel, MAX_KERNEL)?,
        initrds: request
            .initrds
            .iter()
            .map(|file| read(Role::Initrd, file, MAX_INITRD))
            .collect::<Result<_, _>>()?,
        modules: classic
            .modules
            .iter()
            .map(|module| read(Role::Module, &module.file, MAX_INITRD))
            .collect::<Result<_, _>>()?,
        companions: companions
            .map(|companion| read(Role::Companion, &companion.file, MAX_INITRD))
            .collect::<Result<_, _>>()?,
        dtb: classic
            .dtb
            .as_ref()
            .map(|file| read(Role::DeviceTree, file, MAX_DTB))
            .transpose()?,
        config: None,
        carried: Carried::default(),
    })
}

/// How the kernel of these files is unpacked: to half of the memory that is left,
/// because the kernel's own copy of it has to have room as well.
pub fn image_options(profile: Option<usize>, inputs: &Inputs, host: &Snapshot) -> Options {
    let usable = host.memory.usable();
    let left = usable
        .bytes
        .known()
        .map(|available| available.saturating_sub(inputs.total()) / 2);
    Options {
        profile,
        max_output: left.unwrap_or(u64::MAX).min(kexec_image::MAX_OUTPUT),
    }
}

fn length(input: &InputFile) -> u64 {
    u64::try_from(input.sealed.len()).unwrap_or(u64::MAX)
}

fn read_file(
    role: Role,
    from: &FileRef,
    limit: u64,
    available: u64,
    volumes: Option<&Volumes>,
) -> Result<InputFile, Error> {
    let what = || format!("cannot read {role} {from}");
    let not_read = |problem: Problem| match role {
        Role::Kernel => Error::KernelNotRead(problem),
        _ => Error::NotRead(problem),
    };
    let file = from
        .open(volumes)
        .map_err(|why| not_read(Problem::new(what(), why, from.remedy())))?;
    let metadata = file
        .metadata()
        .map_err(|e| not_read(Problem::caused(what(), e, from.remedy())))?;
    let too_large = |found: String| {
        Error::refused(
            format!("reading {role} {from}"),
            format!("{found}, but only {available} bytes of memory are available"),
            "free memory, or make the file smaller",
        )
    };
    if metadata.is_file() && metadata.len() > available {
        return Err(too_large(format!("it has {} bytes", metadata.len())));
    }
    // Nobody knows what comes out of a pipe. It fills memory here, and the kernel
    // takes as much again.
    let room = match metadata.is_file() {
        true => available,
        false => available / 2,
    };
    let sealed = SealedFile::from_file(&file, role.name(), limit.min(room));
    let sealed = sealed.map_err(|error| match error {
        SealedError::TooLarge { .. } if room < limit => {
            too_large(format!("it unpacks to more than {room} bytes"))
        }
        error => not_read(Problem::caused(what(), error, from.remedy())),
    })?;
    Ok(InputFile {
        from: from.clone(),
        file,
        sealed,
    })
}

/// What a kernel that is loaded with `kexec_load(2)` is handed on from the
/// running one, and what else decides about it and is no part of a
/// [`Snapshot`]: with the other call the running kernel does this itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Carried {
    /// The measurements that IMA made so far.
    pub ima: Option<ImaList>,
    /// A copy of ACPI's root pointer, for multiboot 2 kernels.
    pub rsdp: Option<Bytes>,
    /// By what a kernel is placed at random: in its own mapping, and in physical memory;
    /// `None` where the running kernel has not gathered enough yet.
    pub kaslr: Option<[KaslrSeed; 2]>,
    /// What memory is used for, now that the files are in it.
    pub pages: PageUse,
    /// What could not be read, and why, for people.
    pub notes: Vec<String>,
}

impl Carried {
    /// Reads it from the machine below `root`, of which `host` is the snapshot.
    /// Nothing is read where it could not be used: with `-s`, for the crash
    /// slot, or on a locked-down kernel, which takes no `kexec_load(2)` and logs
    /// every look at /dev/mem.
    pub fn read(root: &Path, request: &LoadRequest, host: &Snapshot) -> Carried {
        let mut carried = Carried::default();
        let never = request.syscall == SyscallChoice::File || request.slot == Slot::Crash;
        if never || host.locked_down() {
            return carried;
        }
        carried.kaslr = kaslr_seeds();
        carried.pages = match PageUse::read(root, host) {
            Fact::Known(pages) => pages,
            Fact::Absent => PageUse::default(),
            Fact::Unreadable(why) => {
                let note = "the image is placed without knowing which memory is in use, and a large one may take longer to load";
                carried.notes.push(format!("{note}: {why}"));
                PageUse::default()
            }
        };
        // A kernel without it hands no measurements on either, and the next one
        // would take a list that its own file loader never made.
        if host.built_with("CONFIG_IMA_KEXEC") != Some(false) {
            let list = snapshot::measurements(root);
            carried.ima = carried.known("the measurements of IMA", list);
        }
        if let Some(address) = classic::firmware_facts(host).acpi_rsdp {
            let copy = snapshot::rsdp(root, address).map(Bytes::from);
            carried.rsdp = carried.known("a copy of ACPI's root pointer", copy);
        }
        carried
    }

    /// The value; a reason why there is none becomes a note.
    fn known<T>(&mut self, what: &str, fact: Fact<T>) -> Option<T> {
        match fact {
            Fact::Known(value) => Some(value),
            Fact::Absent => None,
            Fact::Unreadable(why) => {
                self.notes
                    .push(format!("{what} cannot be passed on: {why}"));
                None
            }
        }
    }
}

/// Random numbers of the running kernel (getrandom(2)).
fn kaslr_seeds() -> Option<[KaslrSeed; 2]> {
    let mut bytes = [0; 16];
    let got = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::NONBLOCK).ok()?;
    let (mapping, rest) = bytes
        .split_first_chunk::<8>()
        .filter(|_| got == bytes.len())?;
    let place = rest.first_chunk::<8>()?;
    Some([mapping, place].map(|n| KaslrSeed(u64::from_le_bytes(*n))))
}

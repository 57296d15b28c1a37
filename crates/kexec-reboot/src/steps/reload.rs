//! The crash slot is the exception to "what was loaded stays": the kernel frees the old
//! image before it looks at the new one. When it then refuses the new one, the old one is
//! loaded again, from the same files.

use kexec_load::request::{CompanionFile, EntryLine, ModuleFile, Unsigned};
use kexec_load::{Error, LoadRequest, SyscallChoice};
use kexec_machine::volumes::FileRef;
use kexec_plan::Method;
use kexec_sys::{FileFlags, Slot};

use super::load::{LoadOptions, put_right};
use super::{ChosenLoad, Ready};
use crate::handover;
use crate::record::{FileRole, LoadRecord, Lock, SlotContent};
use crate::world::{Told, World};

/// What a failed load may have taken away.
#[derive(Debug)]
pub(super) enum Previous {
    /// Nothing: the slot is the normal one, was empty, or its state is unknown.
    Nothing,
    /// A crash kernel, and its record or why it has none.
    Crash(Result<Box<LoadRecord>, &'static str>),
}

impl Previous {
    /// Whether there is something that a failed load may take away.
    pub(super) fn may_be_lost(&self) -> bool {
        matches!(self, Previous::Crash(_))
    }

    /// Looks at the slot before a load.
    pub(super) fn look(world: &World<'_>, slot: Slot) -> Previous {
        if slot != Slot::Crash {
            return Previous::Nothing;
        }
        Previous::Crash(match world.content(slot) {
            SlotContent::Empty | SlotContent::Unknown => return Previous::Nothing,
            SlotContent::Ours(record) => Ok(record),
            SlotContent::Foreign => Err(
                "it had no record (another program had loaded it, or none could be written), so \
                 its files are unknown",
            ),
            SlotContent::Hidden => Err("only root may read its record"),
            SlotContent::Interrupted(_) => {
                Err("a change of it had been interrupted, so its files are unknown")
            }
        })
    }
}

/// What is to be told of a load that failed: where the kernel gave up the crash kernel
/// before it, that one is loaded again, or the machine is told to be without one.
pub(super) fn after_failure(
    world: &World<'_>,
    lock: &Lock,
    previous: &Previous,
    error: Error,
) -> Error {
    let Previous::Crash(record) = previous else {
        return error;
    };
    if handover::is_loaded_in(world.root, Slot::Crash) == Some(true) {
        return error;
    }
    // The record of what is gone would be believed of what another program loads next.
    if let Err(stays) = put_right(world, lock, Slot::Crash) {
        world.tell(Told::Failed(stays));
    }
    let again = match record {
        Ok(record) => again(world, lock, record).map(|()| record),
        Err(why) => Err((*why).to_owned()),
    };
    match again {
        Ok(record) => error.mended(&format!(
            "the kernel gave up the crash kernel that was loaded before; {} was loaded again",
            record.kernel
        )),
        Err(why) => error.led_to(
            &format!(
                "THE MACHINE IS NOW WITHOUT A CRASH KERNEL: the kernel gave up the one that was \
                 loaded before, and it was not loaded again: {why}"
            ),
            "load a crash kernel again at once",
        ),
    }
}

/// Loads what the record names, if it is still the same.
fn again(world: &World<'_>, lock: &Lock, record: &LoadRecord) -> Result<(), String> {
    let request = request(record)?;
    let ready = Ready::new(world, ChosenLoad::file(&request), world.snapshot());
    let ready = ready.map_err(|error| error.to_string())?;
    if let Some(other) = difference(&ready, record) {
        return Err(other);
    }
    // Its own failure has nothing that it could load again.
    let options = LoadOptions::image(FileFlags::EMPTY);
    let loaded = ready.load(world, lock, &options);
    loaded.map(drop).map_err(|error| error.to_string())
}

/// The load that the record is of: its files by their paths and for what they were, its
/// command line as it was, its system call.
fn request(record: &LoadRecord) -> Result<LoadRequest, String> {
    let Some((kernel, others)) = record.files.split_first() else {
        return Err("its record does not name its files".to_owned());
    };
    let mut request = LoadRequest::new(&kernel.path);
    if let FileRole::Kernel { profile } = kernel.role {
        request.profile = profile;
    }
    for stamp in others {
        let file = FileRef::from(&stamp.path);
        match &stamp.role {
            FileRole::Unknown | FileRole::Initrd => request.initrds.push(file),
            FileRole::Companion { place } => {
                let place = place.clone();
                let companions = request.companions.get_or_insert_default();
                companions.push(CompanionFile { file, place });
            }
            FileRole::Module { string } => request.classic.modules.push(ModuleFile {
                file,
                string: string.clone(),
            }),
            FileRole::DeviceTree => request.classic.dtb = Some(file),
            FileRole::Kernel { .. } => {
                return Err("its record names two kernels".to_owned());
            }
        }
    }
    request.cmdline.entry = Some(EntryLine::Recorded(record.cmdline.clone()));
    request.slot = Slot::Crash;
    request.syscall = match record.method == Method::ClassicLoad.name() {
        true => {
            record.options.apply(&mut request.classic);
            SyscallChoice::Classic
        }
        // This call knows none of the options.
        false => SyscallChoice::File,
    };
    // What was loaded before is not judged anew.
    request.old_spelling = true;
    request.classic.unsigned = Unsigned::ForTheKernel;
    Ok(request)
}

/// What is not as it is recorded: of the files as they were before they were read now.
fn difference(ready: &Ready, record: &LoadRecord) -> Option<String> {
    let plan = &ready.prepared.plan;
    let differs = |what: &str| Some(format!("{what} would not be what it was"));
    let mut files = ready.stamps.iter().zip(&record.files);
    if let Some((now, _)) = files.find(|(now, then)| !now.is_same_file(then)) {
        return Some(format!("{} was changed", now.path.display()));
    }
    if ready.stamps.len() != record.files.len() {
        return differs("the list of its files");
    }
    if plan.cmdline != record.cmdline {
        return differs("its command line");
    }
    if plan.kernel.len != record.kernel_len {
        return differs("its kernel");
    }
    if plan.initrd_len() != record.initrd_len {
        return differs("its initrd");
    }
    None
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use kexec_plan::crash::CoreClass;

    use crate::record::{Fingerprint, RecordedOptions};

    use super::*;

    /// Each file is again what it was, and not an initrd because it is behind the kernel.
    #[test]
    fn the_record_names_the_same_load() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| -> PathBuf {
            let path = folder.path().join(name);
            std::fs::write(&path, name).unwrap();
            path
        };
        let mut asked = LoadRequest::new(file("k"));
        asked.profile = Some(1);
        asked.initrds = vec![FileRef::from(&file("i")), FileRef::from(&file("j"))];
        asked.companions = Some(vec![CompanionFile {
            file: FileRef::from(&file("a")),
            place: "/loader/addons/a.addon.efi".into(),
        }]);
        asked.classic.modules = vec![ModuleFile {
            file: FileRef::from(&file("m")),
            string: "m debug".into(),
        }];
        asked.classic.dtb = Some(FileRef::from(&file("d")));
        asked.classic.options.hotplug = true;
        asked.classic.options.pass_memmap = true;
        asked.classic.options.core_class = Some(CoreClass::Elf32);
        asked.classic.options.mem_min = Some(1 << 20);
        asked.classic.serial = Some(0x2f8);
        let text = serde_json::json!({
            "format": 1, "time": 1, "kernel": "k", "image": "UKI", "release": null,
            "kernel_len": 1, "initrd": [], "initrd_len": 2, "cmdline": "x=1",
            "method": "kexec_load", "reason": "",
            "files": Fingerprint::stamps(&asked, None),
            "options": RecordedOptions::of(&asked.classic),
        });
        let record = LoadRecord::parse(text.to_string().as_bytes()).unwrap();
        let again = request(&record).unwrap();
        let files = |request: &LoadRequest| {
            let of = request.clone();
            let (modules, dtb) = (of.classic.modules, of.classic.dtb);
            (
                of.kernel,
                of.profile,
                of.initrds,
                of.companions,
                modules,
                dtb,
            )
        };
        assert_eq!(files(&again), files(&asked));
        assert_eq!(again.classic.options, asked.classic.options);
        assert_eq!(again.classic.serial, asked.classic.serial);
        assert_eq!(again.syscall, SyscallChoice::Classic);
        let by_file = LoadRecord {
            method: Method::FileLoad.name().to_owned(),
            ..record
        };
        let again = request(&by_file).unwrap();
        assert_eq!(again.classic.options, Default::default());
        assert_eq!(again.slot, Slot::Crash);
    }
}

//! From a boot entry to a load: the same request that somebody would have typed
//! who knew the entry by heart.

use std::fs::File;
use std::path::{Path, PathBuf};

use kexec_plan::Cmdline;

use kexec_entries::entry::{BootTarget, Protocol};
use kexec_load::Error;
use kexec_load::request::{CompanionFile, EntryLine, LoadRequest};
use kexec_machine::volumes::Volumes;
use kexec_machine::volumes::{BootFile, bare};
use kexec_machine::{Fact, open};

/// What an entry asks for, with what was typed on top of it: `typed` has the
/// options, `--initrd` files behind those of the entry, and `--append`. A
/// command line of its own (`replace`) takes the place of the entry's.
///
/// # Errors
/// [`Error::Refused`] when the entry needs what no load can do from here.
pub fn aim(
    typed: LoadRequest,
    target: &BootTarget,
    replace: Option<Cmdline>,
) -> Result<LoadRequest, Error> {
    let mut request = typed;
    request.kernel = path(&target.kernel);
    request.profile = request.profile.or(target.profile);
    if target.protocol == Protocol::Uki {
        let beside = target.extras.iter().map(|file| CompanionFile {
            file: path(file),
            place: file.path.clone(),
        });
        request.companions = Some(beside.collect());
    }
    let own = target.initrds.iter().map(path);
    request.initrds = own.chain(request.initrds).collect();
    request.cmdline.entry = Some(match (replace, &target.cmdline) {
        (Some(line), _) => EntryLine::Text(line),
        (None, Some(line)) => EntryLine::Text(line.clone()),
        (None, None) => EntryLine::OfUki,
    });
    if matches!(target.protocol, Protocol::Multiboot | Protocol::Multiboot2) {
        let modules = target.modules.iter().map(|module| {
            let name = &module.file.shown;
            if name.contains(char::is_whitespace) {
                return Err(Error::Refused {
                    what: format!("module {name}"),
                    why: "a multiboot kernel's modules are read by their path, and this one has none \
                          without blanks"
                        .to_owned(),
                    remedy: "mount its file system, and try again".to_owned(),
                });
            }
            Ok(Cmdline::from(name.as_str()).followed_by(&module.arguments))
        });
        request.classic.modules = modules.collect::<Result<_, _>>()?;
    }
    Ok(request)
}

/// Files of an entry are requested by the path that people see.
fn path(file: &BootFile) -> PathBuf {
    PathBuf::from(&file.shown)
}

/// Opens the files of an entry on their file systems, mounted or not, and all
/// others by their path.
pub fn opener<'a>(
    target: &'a BootTarget,
    volumes: &'a Volumes,
) -> impl Fn(&Path) -> Result<File, String> + 'a {
    move |wanted| {
        let own = target.files().find(|file| path(file) == wanted);
        let Some(file) = own else {
            return open::named(wanted);
        };
        match volumes.open(file) {
            Fact::Known(fd) => Ok(File::from(fd)),
            Fact::Absent => Err("the boot entry names it, and it is not there".to_owned()),
            // Whoever asks names the file.
            Fact::Unreadable(why) => Err(bare(&file.shown, &why).to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use kexec_sys::Slot;

    use super::*;
    use kexec_entries::entry::Module;
    use kexec_load::request::{ClassicAsk, CmdlineChoice, SyscallChoice};
    use kexec_machine::volumes::VolumeId;

    fn file(shown: &str) -> BootFile {
        BootFile {
            volume: VolumeId("vda1".into()),
            path: shown.into(),
            shown: shown.into(),
        }
    }

    fn typed() -> LoadRequest {
        LoadRequest {
            kernel: PathBuf::new(),
            initrds: vec!["/extra".into()],
            cmdline: CmdlineChoice {
                append: Some("debug".into()),
                ..CmdlineChoice::default()
            },
            mark: None,
            slot: Slot::Normal,
            syscall: SyscallChoice::Auto,
            profile: None,
            companions: None,
            debug: false,
            classic: ClassicAsk::default(),
        }
    }

    #[test]
    fn what_was_typed_comes_on_top() {
        let mut target = BootTarget::linux(file("/boot/k"), "root=/dev/a".into());
        target.initrds = vec![file("/boot/i")];
        let request = aim(typed(), &target, None).unwrap();
        assert_eq!(request.kernel, Path::new("/boot/k"));
        assert_eq!(request.initrds, [Path::new("/boot/i"), Path::new("/extra")]);
        let line = Some(EntryLine::Text("root=/dev/a".into()));
        assert_eq!(request.cmdline.entry, line);
        assert_eq!(request.cmdline.append, Some("debug".into()));
        let other = aim(typed(), &target, Some("x".into())).unwrap();
        assert_eq!(other.cmdline.entry, Some(EntryLine::Text("x".into())));
        target.cmdline = None;
        target.profile = Some(2);
        let uki = aim(typed(), &target, None).unwrap();
        assert_eq!(uki.cmdline.entry, Some(EntryLine::OfUki));
        assert_eq!(uki.profile, Some(2));
        assert_eq!(uki.companions, None);
    }

    #[test]
    fn what_lies_beside_a_uki_goes_with_it() {
        let mut target = BootTarget::linux(file("/efi/EFI/Linux/a.efi"), "".into());
        target.protocol = Protocol::Uki;
        target.extras = vec![BootFile {
            shown: "/efi/loader/addons/x.addon.efi".into(),
            ..file("/loader/addons/x.addon.efi")
        }];
        let request = aim(typed(), &target, None).unwrap();
        let beside = CompanionFile {
            file: "/efi/loader/addons/x.addon.efi".into(),
            place: "/loader/addons/x.addon.efi".into(),
        };
        assert_eq!(request.companions, Some(vec![beside]));
    }

    #[test]
    fn modules_are_named_with_their_arguments() {
        let mut target = BootTarget::linux(file("/boot/xen.gz"), "com1=115200".into());
        target.protocol = Protocol::Multiboot2;
        target.modules = vec![Module {
            file: file("/boot/k"),
            arguments: "root=/dev/a".into(),
        }];
        let request = aim(typed(), &target, None).unwrap();
        assert_eq!(request.classic.modules, ["/boot/k root=/dev/a".into()]);
        target.modules[0].file = file("vda2 (not mounted): /k");
        assert!(aim(typed(), &target, None).is_err());
    }

    #[test]
    fn a_file_is_named_once() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["proc/self", "boot/vmlinuz"] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        let mounts = "1 0 254:1 / / rw - ext4 /dev/vda1 rw\n";
        std::fs::write(dir.path().join("proc/self/mountinfo"), mounts).unwrap();
        let volumes = Volumes::read(dir.path());
        let kernel = volumes.locate("/boot/vmlinuz").unwrap();
        let entry = BootTarget::linux(kernel, "".into());
        let why = opener(&entry, &volumes)(Path::new("/boot/vmlinuz")).unwrap_err();
        assert_eq!(why, "it is a directory, expected a regular file");
    }
}

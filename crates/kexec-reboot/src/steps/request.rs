//! From a boot entry to a load: the same request that somebody would have typed
//! who knew the entry by heart.

use kexec_entries::entry::{BootModule, BootTarget, Protocol};
use kexec_load::request::{CompanionFile, EntryLine, LoadRequest, ModuleFile};
use kexec_machine::volumes::{BootFile, FileRef};
use kexec_plan::Cmdline;

/// What an entry asks for, with what was typed on top of it: `typed` has the
/// options, `--initrd` files behind those of the entry, and `--append`. A
/// command line of its own (`replace`) takes the place of the entry's.
pub(crate) fn request_of(
    typed: LoadRequest,
    target: &BootTarget,
    replace: Option<Cmdline>,
) -> LoadRequest {
    let mut request = typed;
    request.kernel = file(&target.kernel);
    request.profile = request.profile.or(target.profile);
    if target.protocol == Protocol::Uki {
        let beside = target.extras.iter().map(|extra| CompanionFile {
            file: file(extra),
            place: extra.path.clone(),
        });
        request.companions = Some(beside.collect());
    }
    let own = target.initrds.iter().map(file);
    request.initrds = own.chain(request.initrds).collect();
    request.cmdline.entry = Some(match (replace, &target.cmdline) {
        (Some(line), _) => EntryLine::Given(line),
        (None, Some(line)) => EntryLine::Text(line.clone()),
        (None, None) => EntryLine::OfUki,
    });
    if matches!(target.protocol, Protocol::Multiboot | Protocol::Multiboot2) {
        request.classic.modules = target.modules.iter().map(module).collect();
    }
    request
}

fn file(file: &BootFile) -> FileRef {
    FileRef::Boot(file.clone())
}

/// A module, with its name in front of its arguments, as kexec-tools hands it over: Xen
/// takes the first word off what a boot loader other than GRUB 2 says of a module
/// (Xen, "docs/misc/xen-command-line", dom0's arguments). The path from the top of the
/// file system is a name whether that is mounted or not; a blank would end it.
fn module(module: &BootModule) -> ModuleFile {
    let name = module.file.path.replace(char::is_whitespace, "_");
    ModuleFile {
        file: file(&module.file),
        string: Cmdline::from(name.as_str()).followed_by(&module.arguments),
    }
}

#[cfg(test)]
mod tests {
    use kexec_sys::Slot;

    use super::*;
    use kexec_entries::entry::BootModule;
    use kexec_load::request::{ClassicLoadOptions, CmdlineChoice, SyscallChoice};
    use kexec_machine::volumes::{VolumeId, Volumes};

    fn file(shown: &str) -> BootFile {
        BootFile {
            volume: VolumeId("vda1".into()),
            path: shown.into(),
            shown: shown.into(),
        }
    }

    fn typed() -> LoadRequest {
        LoadRequest {
            kernel: FileRef::from(""),
            initrds: vec![FileRef::from("/extra")],
            cmdline: CmdlineChoice {
                append: Some("debug".into()),
                ..CmdlineChoice::default()
            },
            mark: None,
            slot: Slot::Normal,
            syscall: SyscallChoice::Auto,
            unpack: kexec_load::request::Unpack::default(),
            profile: None,
            companions: None,
            debug: false,
            old_spelling: false,
            classic: ClassicLoadOptions::default(),
        }
    }

    #[test]
    fn what_was_typed_comes_on_top() {
        let mut target = BootTarget::linux(file("/boot/k"), "root=/dev/a".into());
        target.initrds = vec![file("/boot/i")];
        let request = request_of(typed(), &target, None);
        assert_eq!(request.kernel, FileRef::Boot(file("/boot/k")));
        let own = FileRef::Boot(file("/boot/i"));
        assert_eq!(request.initrds, [own, FileRef::from("/extra")]);
        let line = Some(EntryLine::Text("root=/dev/a".into()));
        assert_eq!(request.cmdline.entry, line);
        assert_eq!(request.cmdline.append, Some("debug".into()));
        let other = request_of(typed(), &target, Some("x".into()));
        assert_eq!(other.cmdline.entry, Some(EntryLine::Given("x".into())));
        target.cmdline = None;
        target.profile = Some(2);
        let uki = request_of(typed(), &target, None);
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
        let request = request_of(typed(), &target, None);
        let beside = CompanionFile {
            file: FileRef::Boot(target.extras[0].clone()),
            place: "/loader/addons/x.addon.efi".into(),
        };
        assert_eq!(request.companions, Some(vec![beside]));
    }

    #[test]
    fn modules_are_named_with_their_arguments() {
        let mut target = BootTarget::linux(file("/boot/xen.gz"), "com1=115200".into());
        target.protocol = Protocol::Multiboot2;
        target.modules = vec![BootModule {
            file: file("/boot/k"),
            arguments: "root=/dev/a".into(),
        }];
        let request = request_of(typed(), &target, None);
        let [module] = request.classic.modules.as_slice() else {
            panic!("{:?}", request.classic.modules);
        };
        assert_eq!(module.string, "/boot/k root=/dev/a".into());
        assert_eq!(module.file, FileRef::Boot(file("/boot/k")));
        // Not mounted, and with a blank in its name.
        target.modules[0].file = BootFile {
            path: "/a b/k".into(),
            shown: "vda2 (not mounted): /a b/k".into(),
            ..file("")
        };
        let request = request_of(typed(), &target, None);
        assert_eq!(
            request.classic.modules[0].string,
            "/a_b/k root=/dev/a".into()
        );
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
        let kernel = FileRef::Boot(volumes.locate("/boot/vmlinuz").unwrap());
        let why = kernel.open(Some(&volumes)).unwrap_err();
        assert_eq!(why, "it is a directory, expected a regular file");
    }
}

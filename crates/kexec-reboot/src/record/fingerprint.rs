//! Whether what was loaded is still what the files are.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use kexec_load::LoadRequest;
use kexec_machine::volumes::Volumes;
use kexec_plan::Cmdline;

/// A file as it was when it was looked at. No inode number: FAT has none that
/// outlasts a mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FileStamp {
    /// The file, as people see it.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// When its content changed, nanoseconds since 1970.
    pub modified: i128,
    /// When anything about it changed, the same.
    pub changed: i128,
    /// What it is in the load; known in the record of a load only.
    #[serde(default, skip_serializing_if = "FileRole::is_unknown")]
    pub role: FileRole,
}

/// What a file is in a load, with what the load says of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FileRole {
    /// It was not written down: by an earlier version, the kernel and then the initrds.
    #[default]
    Unknown,
    /// The kernel.
    Kernel {
        /// Which profile of a UKI; `None` is the base profile.
        profile: Option<usize>,
    },
    /// A part of the initrd.
    Initrd,
    /// A file beside a UKI.
    Companion {
        /// Its path from the top of its file system, which tells what it is for.
        place: String,
    },
    /// A module of a multiboot kernel.
    Module {
        /// What the kernel is told of it.
        string: Cmdline,
    },
    /// The device tree.
    DeviceTree,
}

impl FileRole {
    /// Whether it was not written down.
    pub fn is_unknown(&self) -> bool {
        *self == FileRole::Unknown
    }

    /// Those of the files of a load, in the order of [`Fingerprint::files`].
    fn all(request: &LoadRequest) -> Vec<FileRole> {
        let kernel = FileRole::Kernel {
            profile: request.profile,
        };
        let companions = request.companions.iter().flatten();
        let modules = request.classic.modules.iter();
        std::iter::once(kernel)
            .chain(request.initrds.iter().map(|_| FileRole::Initrd))
            .chain(companions.map(|companion| FileRole::Companion {
                place: companion.place.clone(),
            }))
            .chain(modules.map(|module| FileRole::Module {
                string: module.string.clone(),
            }))
            .chain(request.classic.dtb.iter().map(|_| FileRole::DeviceTree))
            .collect()
    }
}

impl FileStamp {
    /// Whether it is the same file, as it was then; what for does not count.
    pub fn is_same_file(&self, other: &FileStamp) -> bool {
        let of = |stamp: &FileStamp| (stamp.size, stamp.modified, stamp.changed);
        self.path == other.path && of(self) == of(other)
    }

    fn new(path: PathBuf, metadata: &Metadata) -> FileStamp {
        let time = |seconds: i64, nanoseconds: i64| {
            i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds)
        };
        FileStamp {
            path,
            size: metadata.len(),
            modified: time(metadata.mtime(), metadata.mtime_nsec()),
            changed: time(metadata.ctime(), metadata.ctime_nsec()),
            role: FileRole::Unknown,
        }
    }
}

/// What an image is made of, as far as can be seen without reading it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Fingerprint {
    /// The boot entry's id.
    pub entry: String,
    /// Everything else that was asked for: command line, profile, options.
    pub request: String,
    /// Every file that is read.
    pub files: Vec<FileStamp>,
}

impl Fingerprint {
    /// Of the entry `entry`, whose load is `request`; its files are on `volumes`.
    ///
    /// # Errors
    /// With the file that cannot be opened, and why.
    pub fn of(
        entry: &str,
        request: &LoadRequest,
        volumes: Option<&Volumes>,
    ) -> Result<Fingerprint, String> {
        let companions = request.companions.iter().flatten();
        let modules = request.classic.modules.iter();
        let files = std::iter::once(&request.kernel)
            .chain(&request.initrds)
            .chain(companions.map(|companion| &companion.file))
            .chain(modules.clone().map(|module| &module.file))
            .chain(&request.classic.dtb);
        let stamps = files.map(|from| {
            let failed = |reason: String| format!("{from}: {reason}");
            let file = from.open_regular(volumes).map_err(failed)?;
            let metadata = file.metadata().map_err(|e| failed(e.to_string()))?;
            Ok(FileStamp::new(from.shown(), &metadata))
        });
        Ok(Fingerprint {
            entry: entry.to_owned(),
            files: stamps.collect::<Result<_, String>>()?,
            // The token is new with every load, and says nothing about the image.
            request: format!(
                "{:?} {:?} {:?}",
                request.cmdline,
                request.profile,
                modules.map(|module| &module.string).collect::<Vec<_>>()
            ),
        })
    }

    /// The stamps of the files of a load that names them by their paths, in the order of
    /// [`Fingerprint::files`], with their roles and with paths from the root on; nothing where one of them has no
    /// stamp, as a pipe.
    pub fn stamps(request: &LoadRequest, volumes: Option<&Volumes>) -> Vec<FileStamp> {
        let Ok(mut print) = Fingerprint::of("", request, volumes) else {
            return Vec::new();
        };
        for (file, role) in print.files.iter_mut().zip(FileRole::all(request)) {
            file.role = role;
            match std::path::absolute(&file.path) {
                Ok(path) => file.path = path,
                Err(_) => return Vec::new(),
            }
        }
        print.files
    }

    /// Bytes of all files.
    pub fn size(&self) -> u64 {
        let sizes = self.files.iter().map(|file| file.size);
        sizes.fold(0, u64::saturating_add)
    }

    /// What differs from an earlier one, for people; `None` when nothing does.
    pub fn difference(&self, earlier: &Fingerprint) -> Option<String> {
        if self.entry != earlier.entry {
            return Some(format!(
                "a reboot would boot {} now, not {}",
                self.entry, earlier.entry
            ));
        }
        if self.request != earlier.request {
            return Some(format!("the boot entry {} was changed", self.entry));
        }
        let same = self.files.len() == earlier.files.len();
        let pairs = self.files.iter().zip(&earlier.files);
        let changed = pairs.into_iter().find(|(now, then)| now != then);
        match changed {
            Some((now, then)) if now.path == then.path => {
                Some(format!("{} was changed", now.path.display()))
            }
            Some((now, then)) => Some(format!(
                "the entry has {} now, not {}",
                now.path.display(),
                then.path.display()
            )),
            None if same => None,
            None => Some(format!("the entry {} has other files now", self.entry)),
        }
    }
}

#[cfg(test)]
mod tests {
    use kexec_load::request::ModuleFile;
    use kexec_machine::volumes::FileRef;

    use super::*;

    fn of(request: &LoadRequest) -> Result<Fingerprint, String> {
        Fingerprint::of("debian", request, None)
    }

    #[test]
    fn every_change_is_seen_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let (kernel, initrd) = (folder.path().join("k"), folder.path().join("i"));
        std::fs::write(&kernel, "kernel").unwrap();
        std::fs::write(&initrd, "initrd").unwrap();
        let mut request = LoadRequest::new(&kernel);
        request.initrds = vec![FileRef::from(&initrd)];
        let first = of(&request).unwrap();
        assert_eq!(first.size(), 12);
        assert_eq!(of(&request).unwrap().difference(&first), None);

        let mut other = request.clone();
        other.cmdline.append = Some("debug".into());
        let text = of(&other).unwrap().difference(&first).unwrap();
        assert_eq!(text, "the boot entry debian was changed");
        let mut other = request.clone();
        other.initrds.clear();
        let text = of(&other).unwrap().difference(&first).unwrap();
        assert_eq!(text, "the entry debian has other files now");
        let mut default = first.clone();
        default.entry = "arch".into();
        let text = default.difference(&first).unwrap();
        assert_eq!(text, "a reboot would boot arch now, not debian");

        // Of the same size: only the times tell.
        std::thread::sleep(std::time::Duration::from_millis(20));
        std::fs::write(&initrd, "INITRD").unwrap();
        let text = of(&request).unwrap().difference(&first).unwrap();
        assert!(text.ends_with("/i was changed"), "{text}");
        std::fs::remove_file(&initrd).unwrap();
        assert!(of(&request).unwrap_err().contains("/i: "));
    }

    /// Xen's kernel is a module.
    #[test]
    fn a_module_that_changed_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let (kernel, module) = (folder.path().join("xen"), folder.path().join("k"));
        std::fs::write(&kernel, "hypervisor").unwrap();
        std::fs::write(&module, "kernel").unwrap();
        let mut request = LoadRequest::new(&kernel);
        request.classic.modules = vec![ModuleFile {
            file: FileRef::from(&module),
            string: "/k root=/dev/a".into(),
        }];
        let first = of(&request).unwrap();
        assert_eq!(first.size(), 16);
        std::fs::write(&module, "another kernel").unwrap();
        let text = of(&request).unwrap().difference(&first).unwrap();
        assert!(text.ends_with("/k was changed"), "{text}");
    }

    #[test]
    fn a_new_token_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let kernel = folder.path().join("k");
        std::fs::write(&kernel, "kernel").unwrap();
        let mut request = LoadRequest::new(&kernel);
        let first = of(&request).unwrap();
        request.mark = Some(kexec_load::request::Mark {
            token: kexec_plan::Token::from_bytes([3; 8]),
            stamp: true,
            mask_bless_boot: false,
        });
        assert_eq!(of(&request).unwrap(), first);
    }
}

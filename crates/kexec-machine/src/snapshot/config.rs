//! The running kernel's build options, as far as they matter for kexec.

use std::collections::BTreeMap;
use std::path::Path;

use crate::Fact;
use crate::Root;
use crate::open;
use crate::root::MAX_FILE;

/// The options that are kept; everything else in a configuration is left out of
/// a snapshot. What each is for: the `Kconfig` files of kernel/, security/ and
/// arch/.
pub const OPTIONS: &[&str] = &[
    // The system calls and what they check.
    "CONFIG_KEXEC",
    "CONFIG_KEXEC_CORE",
    "CONFIG_KEXEC_FILE",
    "CONFIG_KEXEC_SIG",
    "CONFIG_KEXEC_SIG_FORCE",
    "CONFIG_KEXEC_BZIMAGE_VERIFY_SIG",
    "CONFIG_KEXEC_IMAGE_VERIFY_SIG",
    "CONFIG_KEXEC_JUMP",
    // Memory is encrypted without a word on the command line.
    "CONFIG_AMD_MEM_ENCRYPT_ACTIVE_BY_DEFAULT",
    "CONFIG_KEXEC_HANDOVER",
    "CONFIG_KEXEC_HANDOVER_DEBUGFS",
    "CONFIG_KEXEC_HANDOVER_ENABLE_DEFAULT",
    "CONFIG_LIVEUPDATE",
    "CONFIG_LIVEUPDATE_MEMFD",
    // Crash dumps.
    "CONFIG_CRASH_DUMP",
    "CONFIG_CRASH_HOTPLUG",
    "CONFIG_CRASH_RESERVE",
    "CONFIG_PROC_VMCORE",
    // Who may load what.
    "CONFIG_SECURITY_LOCKDOWN_LSM",
    "CONFIG_SECURITY_LOCKDOWN_LSM_EARLY",
    "CONFIG_LOCK_DOWN_KERNEL_FORCE_INTEGRITY",
    "CONFIG_LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY",
    "CONFIG_LOCK_DOWN_IN_EFI_SECURE_BOOT",
    "CONFIG_IMA",
    "CONFIG_IMA_APPRAISE",
    "CONFIG_IMA_APPRAISE_MODSIG",
    "CONFIG_IMA_ARCH_POLICY",
    "CONFIG_IMA_KEXEC",
    "CONFIG_IMA_READ_POLICY",
    "CONFIG_MODULE_SIG",
    "CONFIG_MODULE_SIG_FORCE",
    "CONFIG_INTEGRITY_PLATFORM_KEYRING",
    "CONFIG_INTEGRITY_MACHINE_KEYRING",
    "CONFIG_SECURITY_SELINUX",
    // Where a kernel lies and how it is entered.
    "CONFIG_RANDOMIZE_BASE",
    "CONFIG_RANDOMIZE_MEMORY",
    "CONFIG_RELOCATABLE",
    "CONFIG_X86_5LEVEL",
    "CONFIG_EFI_STUB",
    "CONFIG_EFI_RUNTIME_MAP",
    "CONFIG_AMD_MEM_ENCRYPT",
    "CONFIG_INTEL_TDX_GUEST",
    "CONFIG_ARM64_4K_PAGES",
    "CONFIG_ARM64_16K_PAGES",
    "CONFIG_ARM64_64K_PAGES",
];

/// Reads the configuration from the first of its usual places: the kernel
/// itself (CONFIG_IKCONFIG_PROC), or where distributions install it.
pub(super) fn read(root: &Root, release: &str) -> Fact<BTreeMap<String, String>> {
    let packed = root.bytes("/proc/config.gz").and_then(|bytes| {
        let codec = kexec_image::decompress::detect(&bytes);
        let plain = codec.map(|codec| codec.decompress(&bytes, MAX_FILE));
        match plain {
            Some(Ok(plain)) => Fact::Known(plain.bytes),
            Some(Err(e)) => Fact::Unreadable(format!("/proc/config.gz: {e}")),
            None => Fact::Unreadable("/proc/config.gz: not compressed data".to_owned()),
        }
    });
    match packed {
        Fact::Known(bytes) => Fact::Known(parse(&String::from_utf8_lossy(&bytes))),
        unread => match installed(root, release) {
            Fact::Known((_, text)) => Fact::Known(parse(&text)),
            Fact::Unreadable(reason) => Fact::Unreadable(reason),
            Fact::Absent => unread.map(|_| BTreeMap::new()),
        },
    }
}

/// The configuration of a kernel of this release, and the file it is in: beside the file
/// that was named, or where distributions install it below `root`.
pub fn beside(root: &Path, kernel: Option<&Path>, release: &str) -> Option<(String, String)> {
    let file = format!("config-{}", name(release)?);
    let file = kernel.map(|kernel| kernel.with_file_name(file));
    let read = file.and_then(|file| Some((open::contents(&file, MAX_FILE).ok()?, file)));
    match read {
        Some((bytes, file)) => {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            Some((file.display().to_string(), text))
        }
        None => installed(&Root::new(root), release).known().cloned(),
    }
}

/// A release is a name, never a path.
fn name(release: &str) -> Option<&str> {
    Some(release).filter(|r| !r.is_empty() && !r.contains('/') && *r != "..")
}

/// The configuration of the kernel of this release where distributions install it, and
/// the file it is in.
fn installed(root: &Root, release: &str) -> Fact<(String, String)> {
    let Some(release) = name(release) else {
        return Fact::Absent;
    };
    let read = |path: String| {
        let bytes = root.bytes(&path);
        bytes.map(|bytes| (path, String::from_utf8_lossy(&bytes).into_owned()))
    };
    read(format!("/boot/config-{release}"))
        .or(|| read(format!("/usr/lib/modules/{release}/config")))
        .or(|| read(format!("/lib/modules/{release}/config")))
}

/// `CONFIG_X=y` lines of the options in [`OPTIONS`]. An option that is not set
/// is not in the map.
pub fn parse(text: &str) -> BTreeMap<String, String> {
    let set = text.lines().filter_map(|line| {
        let (name, value) = line.trim_end().split_once('=')?;
        OPTIONS
            .contains(&name)
            .then(|| (name.to_owned(), value.trim_matches('"').to_owned()))
    });
    set.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_listed_options_only() {
        let config = parse(
            "# CONFIG_KEXEC_SIG_FORCE is not set\nCONFIG_KEXEC=y\nCONFIG_KEXEC_FILE=y\n\
             CONFIG_LOCALVERSION=\"-secret\"\nCONFIG_IMA=y \nCONFIG_KEXECX=y\n",
        );
        let names: Vec<&str> = config.keys().map(String::as_str).collect();
        assert_eq!(names, ["CONFIG_IMA", "CONFIG_KEXEC", "CONFIG_KEXEC_FILE"]);
        assert!(config.values().all(|v| v == "y"));
    }

    #[test]
    fn names_are_listed_once() {
        let mut names = OPTIONS.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), OPTIONS.len());
        assert!(names.iter().all(|n| n.starts_with("CONFIG_")));
    }

    #[test]
    fn the_running_kernels_own_configuration_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        let boot = dir.path().join("boot");
        std::fs::create_dir(&boot).unwrap();
        std::fs::write(boot.join("config-6.1"), "CONFIG_KEXEC=y\n").unwrap();
        let root = Root::new(dir.path());
        let get = |release: &str| read(&root, release).known().cloned();
        assert_eq!(get("6.1").unwrap().len(), 1);
        assert_eq!(get("6.2"), None);
        assert_eq!(get("../boot/config-6.1"), None);
        // What is beside the kernel comes first, then what is installed.
        let other = dir.path().join("other");
        std::fs::create_dir(&other).unwrap();
        std::fs::write(other.join("config-6.1"), "beside").unwrap();
        let text = |kernel: &str, release: &str| {
            let found = beside(dir.path(), Some(&dir.path().join(kernel)), release);
            found.map(|(_, text)| text)
        };
        assert_eq!(text("other/vmlinuz", "6.1").as_deref(), Some("beside"));
        let installed = Some("CONFIG_KEXEC=y\n");
        assert_eq!(text("nowhere/vmlinuz", "6.1").as_deref(), installed);
        let unnamed = beside(dir.path(), None, "6.1").map(|(_, text)| text);
        assert_eq!(unnamed.as_deref(), installed);
        assert_eq!(text("other/vmlinuz", "x/../config-6.1"), None);
        assert_eq!(text("other/vmlinuz", "6.2"), None);
        assert_eq!(get(""), None);

        // gzip of "CONFIG_KEXEC_FILE=y\n", stored, made by hand (RFC 1952, 1951).
        let text = b"CONFIG_KEXEC_FILE=y\n";
        let mut gz = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 20, 0, 0xeb, 0xff];
        gz.extend_from_slice(text);
        gz.extend_from_slice(&crc32(text).to_le_bytes());
        gz.extend_from_slice(&20u32.to_le_bytes());
        std::fs::create_dir(dir.path().join("proc")).unwrap();
        std::fs::write(dir.path().join("proc/config.gz"), &gz).unwrap();
        assert!(get("6.1").unwrap().contains_key("CONFIG_KEXEC_FILE"));
        // A broken one is passed over for the installed one.
        std::fs::write(dir.path().join("proc/config.gz"), &gz[..20]).unwrap();
        assert!(get("6.1").unwrap().contains_key("CONFIG_KEXEC"));
        assert!(matches!(read(&root, "6.2"), Fact::Unreadable(_)));
    }

    fn crc32(bytes: &[u8]) -> u32 {
        let mut crc = !0u32;
        for byte in bytes {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
            }
        }
        !crc
    }
}

//! What systemd-stub adds to a UKI when the firmware starts it, and what a
//! kexec has to add in its place: addons, credentials and extension images that
//! lie beside the UKI, and parts of the UKI that the initrd finds as files.
//!
//! Source: systemd-stub(7), "Companion Files" and "Initrd Resources"; UAPI.5, "PE
//! Addons". Not done, and said in notes: measuring into the TPM, the boot
//! secret, device trees.

use bytes::Bytes;

use super::{Added, Addon, Uki};
use crate::{Arch, cpio};

/// What a file beside a UKI is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `*.addon.efi`.
    Addon,
    /// `*.cred`.
    Credential,
    /// `*.sysext.raw`.
    Sysext,
    /// `*.confext.raw`.
    Confext,
}

/// Folders whose files go with every UKI of the partition, by kind.
pub const GLOBAL: &[(&str, &[Kind])] = &[
    ("/loader/addons", &[Kind::Addon]),
    ("/loader/credentials", &[Kind::Credential]),
    ("/loader/extensions", &[Kind::Sysext, Kind::Confext]),
];

impl Kind {
    /// By the file name; `None` for names that no stub looks at.
    pub fn of(name: &str) -> Option<Kind> {
        let kinds = [
            (".addon.efi", Kind::Addon),
            (".cred", Kind::Credential),
            (".sysext.raw", Kind::Sysext),
            (".confext.raw", Kind::Confext),
        ];
        let name = name.to_ascii_lowercase();
        let found = kinds.into_iter().find(|(suffix, _)| name.ends_with(suffix));
        found.map(|(_, kind)| kind)
    }

    /// Where the initrd finds it.
    fn folder(self, global: bool) -> &'static str {
        match (self, global) {
            (Kind::Addon, _) => "",
            (Kind::Credential, false) => ".extra/credentials",
            (Kind::Credential, true) => ".extra/global_credentials",
            (Kind::Sysext, false) => ".extra/sysext",
            (Kind::Sysext, true) => ".extra/global_sysext",
            (Kind::Confext, false) => ".extra/confext",
            (Kind::Confext, true) => ".extra/global_confext",
        }
    }

    /// Credentials are for root alone.
    fn mode(self) -> u32 {
        match self {
            Kind::Credential => 0o400,
            Kind::Addon | Kind::Sysext | Kind::Confext => 0o444,
        }
    }
}

/// A file beside a UKI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Companion {
    /// Its path on its partition.
    pub path: String,
    /// All bytes of the file.
    pub content: Bytes,
}

impl Companion {
    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    fn kind(&self) -> Option<Kind> {
        Kind::of(self.name())
    }

    fn is_global(&self) -> bool {
        let folder = self.path.strip_suffix(self.name()).unwrap_or_default();
        GLOBAL
            .iter()
            .any(|(global, _)| folder.trim_end_matches('/') == *global)
    }
}

/// The platform that the stub would run on, as far as it decides what is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Platform {
    /// The machine's architecture; `None` when it cannot be named.
    pub arch: Option<Arch>,
    /// Whether Secure Boot is on, so that the firmware refuses what is not
    /// signed.
    pub secure_boot: bool,
}

/// What is added to a UKI on this platform. `file` holds the UKI itself; the companions are in the
/// order of a boot entry: addons for every UKI, then those of this one.
///
/// # Errors
/// When a file cannot be put into an archive; its name is not one.
pub fn added(
    uki: &Uki,
    file: &Bytes,
    companions: &[Companion],
    platform: Platform,
) -> Result<Added, String> {
    let mut added = Added::default();
    let mut microcode = Vec::new();
    for companion in companions.iter().filter(|c| c.kind() == Some(Kind::Addon)) {
        match addon(companion, uki, platform) {
            Ok(addon) => take(&mut added, &mut microcode, companion, addon),
            Err(reason) => added.left_out.push(format!("{}: {reason}", companion.path)),
        }
    }
    // "In reverse order": the kernel takes the first microcode that fits.
    microcode.reverse();
    added.front = microcode;
    let mut files = resources(uki, file);
    for companion in companions {
        if let Some(kind) = companion.kind().filter(|kind| *kind != Kind::Addon) {
            files.push(cpio::File {
                path: format!(
                    "{}/{}",
                    kind.folder(companion.is_global()),
                    companion.name()
                ),
                mode: kind.mode(),
                content: companion.content.clone(),
            });
        }
    }
    if !files.is_empty() {
        let archive = cpio::archive(&files).map_err(|e| e.to_string())?;
        added.back.push((".extra".to_owned(), Bytes::from(archive)));
    }
    Ok(added)
}

/// An addon, unless a stub would not take it; the error says why.
fn addon(companion: &Companion, uki: &Uki, platform: Platform) -> Result<Addon, String> {
    let addon = Addon::parse(&companion.content).map_err(|e| e.to_string())?;
    let boots = |machine: Arch| addon.arch.is_some_and(|arch| arch == machine);
    if let Some(machine) = platform.arch.filter(|machine| !boots(*machine)) {
        let arch = addon.arch.map_or("another machine", Arch::name);
        return Err(format!("it is for {arch}, and this is {machine}"));
    }
    if let (Some(wanted), Some(release)) = (&addon.uname, &uki.uname)
        && wanted != release
    {
        return Err(format!("it is for kernel {wanted}, and this is {release}"));
    }
    if platform.secure_boot && !addon.signed {
        return Err("Secure Boot is on and it is not signed".to_owned());
    }
    Ok(addon)
}

fn take(
    added: &mut Added,
    microcode: &mut Vec<(String, Bytes)>,
    companion: &Companion,
    addon: Addon,
) {
    let path = &companion.path;
    if let Some(cmdline) = addon.cmdline.filter(|line| !line.is_empty()) {
        if !added.cmdline.is_empty() {
            added.cmdline.push(b' ');
        }
        added.cmdline.extend(cmdline);
    }
    microcode.extend(addon.ucode.map(|bytes| (format!("{path} .ucode"), bytes)));
    let initrds = addon.initrds.into_iter();
    added
        .back
        .extend(initrds.map(|bytes| (format!("{path} .initrd"), bytes)));
    if addon.device_tree {
        added.left_out.push(format!(
            "{path}: its device tree; the next kernel gets the running kernel's"
        ));
    }
}

/// Sections of the UKI that the initrd finds as files.
fn resources(uki: &Uki, file: &Bytes) -> Vec<cpio::File> {
    let sections = [
        (".pcrsig", "tpm2-pcr-signature.json"),
        (".pcrpkey", "tpm2-pcr-public-key.pem"),
        (".osrel", "os-release"),
        (".profile", "profile"),
    ];
    let found = sections.into_iter().filter_map(|(section, name)| {
        let content = uki.content(section, file)?;
        // The text formats may have a NUL behind them.
        let text = content.split(|byte| *byte == 0).next()?;
        Some(cpio::File {
            path: format!(".extra/{name}"),
            mode: 0o444,
            content: Bytes::copy_from_slice(text),
        })
    });
    found.collect()
}

#[cfg(test)]
mod tests;

//! Who may load what.

use std::collections::BTreeMap;

use kexec_plan::Cmdline;

use super::{Firmware, Lockdown, Security};
use crate::Root;
use crate::{Fact, pseudo};

/// The bit of CAP_SYS_BOOT in a capability set (`linux/capability.h`).
const CAP_SYS_BOOT: u32 = 22;

/// The inode numbers of the first user and PID namespace, which the kernel
/// gives out as constants (`linux/proc_ns.h`, PROC_USER_INIT_INO and
/// PROC_PID_INIT_INO); namespaces made later get others.
const FIRST_USER_NAMESPACE: &str = "user:[4026531837]";
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// Where securityfs and efivarfs belong.
const SECURITYFS: &str = "/sys/kernel/security";
const EFIVARFS: &str = "/sys/firmware/efi/efivars";

/// The EFI variable that says whether the firmware checks signatures, in the
/// namespace of EFI's own variables (UEFI specification, "Globally Defined
/// Variables"). efivarfs puts 4 bytes of attributes in front of the value
/// (Documentation/filesystems/efivarfs.rst).
const SECURE_BOOT: &str = "/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";

/// The byte of boot_params where the EFI stub leaves what it found
/// (Documentation/arch/x86/zero-page.rst, 1EC `secure_boot`): 2 off, 3 on.
const BOOT_PARAMS_SECURE_BOOT: usize = 0x1ec;

pub(super) fn read(
    root: &Root,
    cmdline: &Fact<Cmdline>,
    config: &Fact<BTreeMap<String, String>>,
    firmware: &Firmware,
) -> Security {
    let status = root.text("/proc/self/status");
    Security {
        cap_sys_boot: field(&status, "CapEff:", |value| {
            let set = u64::from_str_radix(value, 16).ok()?;
            Some(set & (1 << CAP_SYS_BOOT) != 0)
        }),
        seccomp: field(&status, "Seccomp:", |value| {
            value.parse::<u32>().ok().map(|mode| mode != 0)
        }),
        lockdown: lockdown(root, config),
        secure_boot: secure_boot(root, firmware),
        ima_appraises_kexec: ima(root, cmdline, config),
        selinux_enforcing: root.flag("/sys/fs/selinux/enforce"),
        user_namespace: user_namespace(root),
        pid_namespace: pid_namespace(root),
    }
}

fn field<T>(status: &Fact<String>, name: &str, parse: impl FnOnce(&str) -> Option<T>) -> Fact<T> {
    status.as_ref().and_then(|text| {
        let Some(value) = text.lines().find_map(|line| line.strip_prefix(name)) else {
            return Fact::Absent;
        };
        match parse(value.trim()) {
            Some(value) => Fact::Known(value),
            None => Fact::Unreadable(format!("/proc/self/status: {name} {value:?}")),
        }
    })
}

/// Whether securityfs is mounted: its file `lsm` is always there.
fn securityfs(root: &Root) -> bool {
    root.exists("/sys/kernel/security/lsm")
}

fn lockdown(root: &Root, config: &Fact<BTreeMap<String, String>>) -> Fact<Lockdown> {
    let file = |root: &Root, folder: &str| {
        root.parse(
            &format!("{folder}/lockdown"),
            "one of none, integrity, confidentiality in brackets",
            parse_lockdown,
        )
    };
    let fact = file(root, SECURITYFS);
    if fact != Fact::Absent || securityfs(root) {
        return fact;
    }
    // Not built in: then it does not matter that the file could not be looked for.
    if let Fact::Known(options) = config
        && !options.contains_key("CONFIG_SECURITY_LOCKDOWN_LSM")
    {
        return Fact::Absent;
    }
    match pseudo::look(root, "securityfs") {
        Some(top) => file(&top, ""),
        None => Fact::Unreadable(format!("securityfs is not mounted on {SECURITYFS}")),
    }
}

/// `[none] integrity confidentiality`: the brackets mark the mode
/// (man 7 kernel_lockdown).
pub(super) fn parse_lockdown(text: &str) -> Option<Lockdown> {
    let marked = text.split_ascii_whitespace().find_map(|word| {
        let inner = word.strip_prefix('[')?;
        inner.strip_suffix(']')
    })?;
    match marked {
        "none" => Some(Lockdown::None),
        "integrity" => Some(Lockdown::Integrity),
        "confidentiality" => Some(Lockdown::Confidentiality),
        _ => None,
    }
}

fn secure_boot(root: &Root, firmware: &Firmware) -> Fact<bool> {
    if !firmware.efi {
        // A machine with a BIOS has no such folder; without sysfs nobody knows.
        return match root.exists("/sys/kernel") {
            true => Fact::Absent,
            false => Fact::Unreadable("sysfs is not mounted on /sys".to_owned()),
        };
    }
    let variable = secure_boot_variable(root, EFIVARFS);
    if let Fact::Known(_) = variable {
        return variable;
    }
    // efivarfs may not be mounted; the EFI stub left its finding in boot_params.
    let params = firmware.boot_params.known();
    let digits = params.and_then(|p| p.get(2 * BOOT_PARAMS_SECURE_BOOT..)?.get(..2));
    match (digits, variable) {
        (Some("03"), _) => return Fact::Known(true),
        (Some("02"), _) => return Fact::Known(false),
        (_, Fact::Unreadable(reason)) => return Fact::Unreadable(reason),
        _ => {}
    }
    let has_variables = |root: &Root, folder: &str| {
        let names = root.entries(folder);
        names.known().is_some_and(|names| !names.is_empty())
    };
    if has_variables(root, EFIVARFS) {
        // Firmware without the variable has no Secure Boot.
        return Fact::Absent;
    }
    match pseudo::look(root, "efivarfs") {
        Some(top) if has_variables(&top, "/") => secure_boot_variable(&top, ""),
        _ => Fact::Unreadable(format!("efivarfs is not mounted on {EFIVARFS}")),
    }
}

/// The variable, in the file system of variables that is at `folder`.
fn secure_boot_variable(root: &Root, folder: &str) -> Fact<bool> {
    let path = format!("{folder}{SECURE_BOOT}");
    root.bytes(&path).and_then(|bytes| match *bytes {
        [_, _, _, _, 0] => Fact::Known(false),
        [_, _, _, _, 1] => Fact::Known(true),
        [_, _, _, _, value] => {
            Fact::Unreadable(format!("{path}: its value is {value}, expected 0 or 1"))
        }
        _ => Fact::Unreadable(format!("{path}: {} bytes, expected 5", bytes.len())),
    })
}

fn namespace(root: &Root, path: &str, first: &str) -> Fact<bool> {
    root.link(path).map(|link| link != first)
}

pub(super) fn pid_namespace(root: &Root) -> Fact<bool> {
    namespace(root, "/proc/self/ns/pid", FIRST_PID_NAMESPACE)
}

fn user_namespace(root: &Root) -> Fact<bool> {
    let link = namespace(root, "/proc/self/ns/user", FIRST_USER_NAMESPACE);
    // The map tells where the link cannot: in the first namespace every user is
    // itself.
    let map = root.text("/proc/self/uid_map").map(|text| {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        words != ["0", "0", "4294967295"]
    });
    match (link, map) {
        (Fact::Known(true), _) | (_, Fact::Known(true)) => Fact::Known(true),
        (Fact::Known(false), _) | (_, Fact::Known(false)) => Fact::Known(false),
        (Fact::Unreadable(reason), _) | (_, Fact::Unreadable(reason)) => Fact::Unreadable(reason),
        (Fact::Absent, Fact::Absent) if root.exists("/proc/self/status") => Fact::Known(false),
        (Fact::Absent, Fact::Absent) => Fact::Unreadable("/proc is not mounted".to_owned()),
    }
}

/// Whether IMA appraises the file of a kernel to be loaded.
fn ima(
    root: &Root,
    cmdline: &Fact<Cmdline>,
    config: &Fact<BTreeMap<String, String>>,
) -> Fact<bool> {
    if let Fact::Known(options) = config
        && !options.contains_key("CONFIG_IMA_APPRAISE")
    {
        return Fact::Absent;
    }
    let value = |name: &str| cmdline.known().and_then(|line| line.value(name));
    // Documentation/admin-guide/kernel-parameters.txt, ima_appraise=: only
    // `enforce`, the default, refuses.
    if matches!(
        value("ima_appraise").as_deref(),
        Some("off" | "log" | "fix")
    ) {
        return Fact::Known(false);
    }
    let policy = root
        .text("/sys/kernel/security/ima/policy")
        .or(|| root.text("/sys/kernel/security/integrity/ima/policy"));
    if let Fact::Known(text) = &policy {
        return Fact::Known(appraises_kexec(text));
    }
    // The policy is often not readable; two built-in ones are named on the
    // command line (ima_policy=).
    let built_in = value("ima_policy").unwrap_or_default();
    if built_in
        .split('|')
        .any(|p| p == "secure_boot" || p == "appraise_tcb")
    {
        return Fact::Known(true);
    }
    match policy {
        Fact::Absent
            if root.exists("/sys/kernel/security/ima")
                || root.exists("/sys/kernel/security/integrity/ima") =>
        {
            Fact::Unreadable(
                "the IMA policy cannot be read (needs CONFIG_IMA_READ_POLICY)".to_owned(),
            )
        }
        Fact::Absent if !securityfs(root) => {
            Fact::Unreadable("securityfs is not mounted on /sys/kernel/security".to_owned())
        }
        other => other.map(|_| false),
    }
}

/// Reads an IMA policy (Documentation/ABI/testing/ima_policy): the first rule
/// about appraisal that matches decides. A rule that takes an appended
/// signature (`modsig`) judges the bytes and is content with a copy of the file.
pub(super) fn appraises_kexec(policy: &str) -> bool {
    for line in policy.lines() {
        let mut words = line.split_ascii_whitespace();
        let action = words.next().unwrap_or_default();
        if !matches!(action, "appraise" | "dont_appraise") {
            continue;
        }
        let conditions: Vec<&str> = words.collect();
        let func = conditions.iter().find_map(|w| w.strip_prefix("func="));
        if func.is_some_and(|f| f != "KEXEC_KERNEL_CHECK") {
            continue;
        }
        if action == "dont_appraise" {
            // With more conditions it exempts some files only: not all.
            if conditions.len() == 1 && func.is_some() {
                return false;
            }
            continue;
        }
        let kind = conditions
            .iter()
            .find_map(|w| w.strip_prefix("appraise_type="));
        if !kind.is_some_and(|k| k.split('|').any(|k| k == "modsig")) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lockdown_is_the_word_in_brackets() {
        assert_eq!(
            parse_lockdown("[none] integrity confidentiality"),
            Some(Lockdown::None)
        );
        assert_eq!(
            parse_lockdown("none [integrity] confidentiality"),
            Some(Lockdown::Integrity)
        );
        assert_eq!(
            parse_lockdown("none integrity [confidentiality]"),
            Some(Lockdown::Confidentiality)
        );
        assert_eq!(parse_lockdown("none integrity"), None);
        assert_eq!(parse_lockdown(""), None);
        assert_eq!(parse_lockdown("[future]"), None);
    }

    #[test]
    fn an_ima_rule_for_kexec_is_found() {
        let yes = [
            "appraise func=KEXEC_KERNEL_CHECK appraise_type=imasig",
            "measure func=KEXEC_KERNEL_CHECK\nappraise func=KEXEC_KERNEL_CHECK appraise_type=imasig\n",
            "dont_appraise fsmagic=0x9fa0\nappraise fowner=0",
            "dont_appraise func=MODULE_CHECK\nappraise func=KEXEC_KERNEL_CHECK",
        ];
        let no = [
            "",
            "measure func=KEXEC_KERNEL_CHECK",
            "appraise func=MODULE_CHECK appraise_type=imasig",
            "appraise func=KEXEC_KERNEL_CHECK appraise_type=imasig|modsig",
            "dont_appraise func=KEXEC_KERNEL_CHECK\nappraise fowner=0",
            "# appraise func=KEXEC_KERNEL_CHECK",
        ];
        for policy in yes {
            assert!(appraises_kexec(policy), "{policy}");
        }
        for policy in no {
            assert!(!appraises_kexec(policy), "{policy}");
        }
    }
}

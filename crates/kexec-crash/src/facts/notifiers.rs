//! Whether other code of the kernel runs between the panic and the crash kernel.

use std::path::Path;

use kexec_machine::Fact;

use super::value;

/// Runs the kernel's panic notifiers before the crash kernel
/// (Documentation/admin-guide/kernel-parameters.txt).
pub const POST_NOTIFIERS: &str = "crash_kexec_post_notifiers";

/// The kernel shows a parameter of its own below /sys/module/kernel
/// (Documentation/ABI/testing/sysfs-module; `core_param` of kernel/panic.c).
pub(super) fn read(root: &Path) -> Fact<bool> {
    let path = root
        .join("sys/module/kernel/parameters")
        .join(POST_NOTIFIERS);
    value(&path).and_then(|text| match kernel_bool(&text) {
        Some(on) => Fact::Known(on),
        None => Fact::Unreadable(format!("{}: {text:?}, expected Y or N", path.display())),
    })
}

/// A truth value as the kernel reads it (`kstrtobool` of lib/kstrtox.c): by its first letter,
/// `on` and `off` by the second.
pub fn kernel_bool(text: &str) -> Option<bool> {
    let mut letters = text.bytes().map(|letter| letter.to_ascii_lowercase());
    match (letters.next()?, letters.next()) {
        (b'y' | b't' | b'1', _) | (b'o', Some(b'n')) => Some(true),
        (b'n' | b'f' | b'0', _) | (b'o', Some(b'f')) => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::write;
    use super::*;

    #[test]
    fn what_the_kernel_shows() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()), Fact::Absent);
        let path = "sys/module/kernel/parameters/crash_kexec_post_notifiers";
        for (text, on) in [("Y\n", Some(true)), ("N\n", Some(false)), ("?", None)] {
            write(dir.path(), path, text);
            assert_eq!(read(dir.path()).known().copied(), on, "{text}");
        }
    }

    #[test]
    fn truth_values_of_the_kernel() {
        for (text, on) in [
            ("1", Some(true)),
            ("yes", Some(true)),
            ("On", Some(true)),
            ("0", Some(false)),
            ("no", Some(false)),
            ("off", Some(false)),
            ("o", None),
            ("2", None),
            ("", None),
        ] {
            assert_eq!(kernel_bool(text), on, "{text}");
        }
    }
}

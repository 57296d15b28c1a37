//! What a load costs on the machine that it is for: [`kexec_load::downtime`] with what this
//! machine says of itself.

use std::path::Path;

use kexec_load::SyscallChoice;
use kexec_load::downtime::{Downtime, DowntimeFacts, MachineFacts, PARALLEL_SHUTDOWN, measure};
use kexec_load::pipeline::Prepared;
use kexec_machine::snapshot::config_beside;
use kexec_machine::{Snapshot, Tree};

use crate::arrival::hardware::processor;
use crate::enable;
use crate::world::{Told, World};

/// No file that is read for this is larger, in bytes: /proc/cpuinfo has some kilobytes for
/// each of some thousands of processors.
const MAX_FILE: u64 = 16 << 20;

/// Estimates what a load costs that is prepared for this machine, of which `host` is the
/// snapshot; `choice` is what the caller said about the system call. The machine's speed is
/// measured where it is not known, in a tenth of a second or so.
pub fn estimate(
    world: &World<'_>,
    prepared: &Prepared,
    choice: SyscallChoice,
    host: &Snapshot,
) -> Downtime {
    let cpuinfo = text(&Tree::new(world.root), "/proc/cpuinfo").unwrap_or_default();
    let processor = processor(&cpuinfo);
    let rates = world.store().rates(&processor, &|| {
        world.tell(Told::Doing("measuring this machine"));
        measure()
    });
    let release = prepared.plan.release.as_deref();
    let machine = machine(world.root, release, host);
    let facts = DowntimeFacts::of(prepared, choice, host, machine);
    let shown = match processor.as_str() {
        "" => "a processor without a name",
        name => name,
    };
    Downtime::of(&facts, &rates, shown)
}

/// What the system below `root` says of itself; `next` is the release of the next kernel.
fn machine(root: &Path, next: Option<&str>, host: &Snapshot) -> MachineFacts {
    let tree = Tree::new(root);
    let fips = text(&tree, "/proc/sys/crypto/fips_enabled");
    let config = next.and_then(|release| config_beside(root, None, release));
    let self_tests = match config {
        Some((_, config)) => has_self_tests(&config),
        // The parameter exists where the tests do.
        None => {
            next == Some(host.release.as_str())
                && tree.has("/sys/module/cryptomgr/parameters/notests")
        }
    };
    // Among the driver's own files, the names of devices are addresses: 0000:01:00.0.
    let nvme = tree.names("/sys/bus/pci/drivers/nvme");
    let nvme = nvme.iter().filter(|name| name.contains(':')).count();
    let parallel = enable::feature(PARALLEL_SHUTDOWN);
    MachineFacts {
        fips: fips.is_some_and(|value| value.trim() == "1"),
        self_tests,
        nvme,
        parallel_shutdown_is_off: parallel.is_some_and(|f| !enable::is_enabled(root, f)),
    }
}

fn text(tree: &Tree, path: &str) -> Option<String> {
    let bytes = tree.read(path, MAX_FILE).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether a kernel that is built so tests its crypto code at boot: CONFIG_CRYPTO_SELFTESTS
/// from Linux 6.16 on; before, the tests were there unless
/// CONFIG_CRYPTO_MANAGER_DISABLE_TESTS took them out (crypto/Kconfig).
fn has_self_tests(config: &str) -> bool {
    let has = |wanted: &str| config.lines().any(|line| line.trim_end() == wanted);
    has("CONFIG_CRYPTO_SELFTESTS=y")
        || has("CONFIG_CRYPTO_MANAGER=y") && has("# CONFIG_CRYPTO_MANAGER_DISABLE_TESTS is not set")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn facts(files: &[(&str, &str)], next: Option<&str>) -> MachineFacts {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let host = Snapshot::read(root.path());
        machine(root.path(), next, &host)
    }

    #[test]
    fn nothing_is_known_of_an_empty_machine() {
        let expected = MachineFacts {
            parallel_shutdown_is_off: enable::feature(PARALLEL_SHUTDOWN).is_some(),
            ..MachineFacts::default()
        };
        assert_eq!(facts(&[], Some("7.3.4")), expected);
        assert_eq!(facts(&[], None), expected);
    }

    #[test]
    fn what_the_machine_says() {
        let fips = |value| facts(&[("proc/sys/crypto/fips_enabled", value)], None).fips;
        assert!(fips("1\n") && !fips("0\n") && !fips("10\n"));
        let driver = "sys/bus/pci/drivers/nvme";
        let found = facts(
            &[
                (&format!("{driver}/0000:01:00.0/x"), ""),
                (&format!("{driver}/0000:02:00.0/x"), ""),
                (&format!("{driver}/bind"), ""),
                (&format!("{driver}/module/x"), ""),
            ],
            None,
        );
        assert_eq!(found.nvme, 2);
    }

    #[test]
    fn self_tests_by_the_next_kernels_configuration_and_else_by_the_same_kernel() {
        let of = |config: &str| facts(&[("boot/config-7.3.4", config)], Some("7.3.4")).self_tests;
        assert!(of("CONFIG_CRYPTO_SELFTESTS=y\n"));
        assert!(!of("# CONFIG_CRYPTO_SELFTESTS is not set\n"));
        assert!(of(
            "CONFIG_CRYPTO_MANAGER=y\n# CONFIG_CRYPTO_MANAGER_DISABLE_TESTS is not set\n"
        ));
        assert!(!of(
            "CONFIG_CRYPTO_MANAGER=y\nCONFIG_CRYPTO_MANAGER_DISABLE_TESTS=y\n"
        ));
        assert!(!of("CONFIG_CRYPTO_MANAGER=y\n"));
        let running = [
            ("proc/sys/kernel/osrelease", "7.3.4\n"),
            ("sys/module/cryptomgr/parameters/notests", "N\n"),
        ];
        assert!(facts(&running, Some("7.3.4")).self_tests);
        assert!(!facts(&running, Some("7.3.5")).self_tests);
        assert!(!facts(&running, None).self_tests);
        assert!(!facts(&running[..1], Some("7.3.4")).self_tests);
        // The configuration counts more.
        let mut both = running.to_vec();
        both.push((
            "boot/config-7.3.4",
            "# CONFIG_CRYPTO_SELFTESTS is not set\n",
        ));
        assert!(!facts(&both, Some("7.3.4")).self_tests);
    }
}

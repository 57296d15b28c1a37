//! Which processors the crash kernel starts.

use kexec_load::preflight::Severity;
use kexec_machine::Fact;

use super::after;

/// The first processor resets the machine when a kernel before 6.9 starts it.
#[test]
fn a_crash_kernel_that_starts_every_processor_is_found() {
    let found = |line: &str, release: &str, arch| {
        after(|m| {
            m.host.arch = Some(arch);
            m.host.release = release.to_owned();
            m.host.crash.cpu_notes = Fact::Absent;
            m.plan.release = Some(release.to_owned());
            m.plan.cmdline = line.into();
        })
    };
    let x86 = kexec_image::Arch::X86_64;
    let warned = [("dump-processors", Severity::Warning)];
    for line in ["nr_cpus=4", "root=/dev/vda1", "maxcpus=2 nr_cpus=8"] {
        assert_eq!(found(line, "6.1.0-50-amd64", x86), warned, "{line}");
        assert_eq!(found(line, "6.9.0", x86), [], "{line}");
        assert_eq!(found(line, "6.1.0", kexec_image::Arch::Arm64), [], "{line}");
    }
    for line in [
        "nr_cpus=1",
        "nr_cpus=4 maxcpus=1",
        "nosmp",
        "nr_cpus=4 disable_cpu_apicid=0",
    ] {
        assert_eq!(found(line, "6.1.0", x86), [], "{line}");
    }
}

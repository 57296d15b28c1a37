//! What runs between the panic and the crash kernel.

use kexec_load::preflight::Severity;
use kexec_machine::Fact;

use super::after;

#[test]
fn notifiers_are_found_by_the_setting() {
    let warned = [("dump-triggers", Severity::Warning)];
    let line = "crash_kexec_post_notifiers=on";
    let asked = after(|m| m.host.cmdline = Fact::Known(line.into()));
    assert_eq!(asked, warned);
    // Root has switched it on.
    let shown = after(|m| m.facts.post_notifiers = Fact::Known(true));
    assert_eq!(shown, warned);
    let on_hyper_v = after(|m| {
        m.facts.post_notifiers = Fact::Known(true);
        m.host.firmware.hypervisor = Fact::Known("hyperv".into());
    });
    assert_eq!(on_hyper_v, [("dump-triggers", Severity::Note)]);
}

#[test]
fn what_the_kernel_shows_counts_more_than_its_command_line() {
    for (line, shown) in [
        ("crash_kexec_post_notifiers=0", Fact::Absent),
        ("crash_kexec_post_notifiers=N", Fact::Absent),
        ("crash_kexec_post_notifiers_x", Fact::Absent),
        ("crash_kexec_post_notifiers", Fact::Known(false)),
        ("a -- crash_kexec_post_notifiers", Fact::Absent),
    ] {
        let found = after(|m| {
            m.host.cmdline = Fact::Known(line.into());
            m.facts.post_notifiers = shown.clone();
        });
        assert_eq!(found, [], "{line} {shown:?}");
    }
}

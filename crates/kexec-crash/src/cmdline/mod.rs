//! The command line of a crash kernel, derived from another one by a table of rules: one
//! row for each parameter, with its reason and the document that describes it.
//!
//! What the caller adds counts more than every rule: it stays as it was typed, and no rule
//! adds a parameter that it has.

mod rules;
mod services;

use kexec_plan::Cmdline;
use serde::Serialize;

use crate::settings::LineSettings;

pub use rules::{Deed, RULES, Rule};
pub use services::for_initrd_of;

/// What became of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It was removed.
    Removed,
    /// It was added.
    Added,
    /// A rule would add it, and what the caller gave takes its place.
    LeftToCaller,
}

/// One change, and its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Step {
    /// What became of it.
    pub change: Change,
    /// The parameter with its value.
    pub parameter: String,
    /// Why.
    pub reason: String,
    /// The document that describes it.
    pub source: &'static str,
}

/// A derived command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Derived {
    /// What it was derived from.
    pub from: Cmdline,
    /// The result.
    pub line: Cmdline,
    /// Every difference, in the order of the rules.
    pub steps: Vec<Step>,
}

/// Derives the command line of a crash kernel from `from`; `more` are the rules on top of
/// [`RULES`], such as those [for the initrd of a service](for_initrd_of), and `append` is
/// what the caller adds.
pub fn derive(from: &Cmdline, more: &[Rule], append: Option<&Cmdline>) -> Derived {
    derive_with(from, more, None, append)
}

/// The same with what the service [sets](LineSettings) whose initrd it is: it counts more than the
/// rules, and less than what the caller adds. Its [`LineSettings::base`] is up to the caller.
pub fn derive_with(
    from: &Cmdline,
    more: &[Rule],
    set: Option<&LineSettings>,
    append: Option<&Cmdline>,
) -> Derived {
    let mut derived = Derived {
        from: from.clone(),
        line: from.clone(),
        steps: Vec::new(),
    };
    let rules = || RULES.iter().chain(more);
    for rule in rules() {
        derived.remove(rule);
    }
    let empty = Cmdline::default();
    let append = Given {
        line: append.unwrap_or(&empty),
        by: "--append",
    };
    if let Some(set) = set {
        derived.settings(set, append);
    }
    for rule in rules() {
        let value = match rule.deed {
            Deed::Set(value) | Deed::Add(value) => value,
            Deed::Remove | Deed::RemoveIf(_) | Deed::RemovePrefix => continue,
        };
        let alone = !matches!(rule.deed, Deed::Add(_));
        derived.add(append, (rule.name, value, alone), rule.reason, rule.source);
    }
    if !append.line.is_empty() {
        derived.line = derived.line.with_parameter(append.line);
    }
    derived
}

/// Parameters that count more than rules.
#[derive(Debug, Clone, Copy)]
struct Given<'a> {
    line: &'a Cmdline,
    /// What gives them.
    by: &'static str,
}

impl Derived {
    /// Removes and adds what the service of the initrd sets. Behind this, no rule adds what it has.
    fn settings(&mut self, set: &LineSettings, append: Given<'_>) {
        let names = set.service.line_variables();
        let reason = |name: &str| {
            let service = set.service.name();
            format!("{name} has it, and the initrd is that of {service}")
        };
        for name in &set.remove {
            let reason = reason(names.remove.unwrap_or_default());
            self.drop_words(name, &reason, names.file, |_| true);
        }
        let reason = reason(names.append);
        let added = set.append.iter().flat_map(Cmdline::words);
        for word in added.take_while(|word| *word != b"--") {
            let text = String::from_utf8_lossy(word).into_owned();
            let name = parts(&text).0;
            let has = |line: &Cmdline, same: &dyn Fn(&[u8]) -> bool| {
                let mut words = line.words().take_while(|word| *word != b"--");
                words.any(same)
            };
            let of_name = |other: &[u8]| is_name(parts(&String::from_utf8_lossy(other)).0, name);
            let (change, reason) = match has(append.line, &of_name) {
                true => (Change::LeftToCaller, format!("{} has its own", append.by)),
                false if has(&self.line, &|other| other == word) => continue,
                false => (Change::Added, reason.clone()),
            };
            if change == Change::Added {
                self.line = self.line.with_parameter(&Cmdline::exact(word));
            }
            self.steps.push(Step {
                change,
                parameter: text,
                reason,
                source: names.file,
            });
        }
    }

    /// Removes what a rule does not want.
    fn remove(&mut self, rule: &Rule) {
        let (reason, source) = (rule.reason, rule.source);
        match rule.deed {
            Deed::Remove => self.drop_words(rule.name, reason, source, |_| true),
            Deed::RemoveIf(unwanted) => self.drop_words(rule.name, reason, source, |value| {
                value.is_some_and(unwanted)
            }),
            Deed::Set(wanted) => {
                let reason = format!("{} takes its place", word(rule.name, wanted));
                self.drop_words(rule.name, &reason, source, |value| {
                    value.unwrap_or_default() != wanted
                });
            }
            Deed::RemovePrefix => {
                self.drop(reason, source, |word| {
                    String::from_utf8_lossy(word).starts_with(rule.name)
                });
            }
            Deed::Add(_) => {}
        }
    }

    /// Removes the words of this name whose value `unwanted` says yes to.
    fn drop_words(
        &mut self,
        name: &str,
        reason: &str,
        source: &'static str,
        unwanted: impl Fn(Option<&str>) -> bool,
    ) {
        self.drop(reason, source, |word| {
            let word = String::from_utf8_lossy(word);
            let (its, value) = parts(&word);
            is_name(its, name) && unwanted(value)
        });
    }

    fn drop(&mut self, reason: &str, source: &'static str, unwanted: impl Fn(&[u8]) -> bool) {
        let kernels = self.line.words().take_while(|word| *word != b"--");
        let bare = |word: &[u8]| word.strip_prefix(b"\"").unwrap_or(word).to_vec();
        let gone = kernels.map(bare).filter(|word| unwanted(word));
        let steps: Vec<Step> = gone
            .map(|word| Step {
                change: Change::Removed,
                parameter: String::from_utf8_lossy(&word).into_owned(),
                reason: reason.to_owned(),
                source,
            })
            .collect();
        if !steps.is_empty() {
            self.line = self.line.without_words(unwanted);
            self.steps.extend(steps);
        }
    }

    /// Adds a parameter that is not there yet. `alone`: there is one of its name.
    fn add(
        &mut self,
        append: Given<'_>,
        (name, value, alone): (&str, &str, bool),
        reason: &str,
        source: &'static str,
    ) {
        let word = word(name, value);
        let same = |text: &[u8]| {
            let text = String::from_utf8_lossy(text);
            let (its, value) = parts(&text);
            is_name(its, name) && (alone || value == Some(value_of(&word)))
        };
        let has = |line: &Cmdline| {
            let mut words = line.words().take_while(|word| *word != b"--");
            words.any(same)
        };
        if has(append.line) {
            self.steps.push(Step {
                change: Change::LeftToCaller,
                parameter: word,
                reason: format!("{} has its own", append.by),
                source,
            });
            return;
        }
        if has(&self.line) {
            return;
        }
        self.line = self.line.with_parameter(&Cmdline::from(word.as_str()));
        self.steps.push(Step {
            change: Change::Added,
            parameter: word,
            reason: reason.to_owned(),
            source,
        });
    }
}

/// A parameter with its value, if it has one.
fn word(name: &str, value: &str) -> String {
    match value {
        "" => name.to_owned(),
        value => format!("{name}={value}"),
    }
}

/// The value of a word.
fn value_of(word: &str) -> &str {
    parts(word).1.unwrap_or_default()
}

/// Whether two names are one to the kernel: dashes and underscores are the same
/// (Documentation/admin-guide/kernel-parameters.rst).
fn is_name(one: &str, other: &str) -> bool {
    let same = |c: u8| if c == b'-' { b'_' } else { c };
    one.bytes().map(same).eq(other.bytes().map(same))
}

/// Name and value of a word.
fn parts(word: &str) -> (&str, Option<&str>) {
    let word = word.strip_prefix('"').unwrap_or(word);
    match word.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (word, None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::target::Service;

    /// What is added to every line.
    const ADDED: &str = "nr_cpus=1 reset_devices irqpoll panic=10 novmcoredd \
        cgroup_disable=memory mce=off numa=off acpi_no_memhotplug memhp_default_state=offline \
        transparent_hugepage=never hest_disable pcie_ports=compat cma=0";

    fn line(from: &str, append: &str) -> String {
        let append = Some(Cmdline::from(append)).filter(|line| !line.is_empty());
        derive(&from.into(), &[], append.as_ref()).line.to_string()
    }

    #[test]
    fn a_servers_line() {
        let from = "BOOT_IMAGE=/vmlinuz-6.12 root=UUID=ab ro quiet crashkernel=256M \
            hugepagesz=1G hugepages=16 console=ttyS0 isolcpus=2-7 resume=/dev/sda2 \
            zswap.enabled=1 panic=0 kexec.id=00010203aabbccdd";
        let expected = format!("root=UUID=ab ro console=ttyS0 {ADDED}");
        assert_eq!(line(from, ""), expected);
    }

    #[test]
    fn a_second_time_changes_nothing() {
        let once = derive(&"root=/dev/a quiet".into(), &[], None);
        let twice = derive(&once.line, &[], None);
        assert_eq!(twice.line, once.line);
        assert_eq!(twice.steps, []);
    }

    #[test]
    fn the_caller_wins() {
        let derived = derive(
            &"root=/dev/a quiet".into(),
            &[],
            Some(&"nr_cpus=4 quiet hugepages=2".into()),
        );
        let line = derived.line.to_string();
        assert!(line.ends_with(" nr_cpus=4 quiet hugepages=2"), "{line}");
        assert_eq!(line.matches("nr_cpus").count(), 1);
        let left = derived.steps.iter().find(|s| s.parameter == "nr_cpus=1");
        assert_eq!(left.unwrap().change, Change::LeftToCaller);
    }

    /// Each initrd was made for what its service sets; the user's own line comes last.
    #[test]
    fn what_a_service_sets_counts_more_than_rules_and_less_than_the_caller() {
        let text = "KDUMP_COMMANDLINE_REMOVE=\"foo rd.lvm.lv\"\n\
            KDUMP_COMMANDLINE_APPEND=\"nr_cpus=4 panic=1 console=ttyS1 irqpoll \\\"a=b c\\\" -- x\"\n";
        let set = LineSettings::parse(Service::KdumpUtils, text);
        let from = "foo=1 foo=2 root=/dev/a console=ttyS0 irqpoll rd.lvm.lv=v/r";
        let derived = derive_with(&from.into(), &[], Some(&set), Some(&"panic=30".into()));
        let added = ADDED.replace("nr_cpus=1 ", "").replace("panic=10 ", "");
        let added = added.replace("irqpoll ", "");
        assert_eq!(
            derived.line.to_string(),
            format!(
                "root=/dev/a console=ttyS0 irqpoll nr_cpus=4 console=ttyS1 \"a=b c\" {added} panic=30"
            )
        );
        let of = |change| -> Vec<&str> {
            let its = |step: &&Step| step.change == change && step.source == "/etc/sysconfig/kdump";
            let steps = derived.steps.iter().filter(its);
            steps.map(|step| step.parameter.as_str()).collect()
        };
        assert_eq!(of(Change::Removed), ["foo=1", "foo=2", "rd.lvm.lv=v/r"]);
        assert_eq!(
            of(Change::Added),
            ["nr_cpus=4", "console=ttyS1", "\"a=b c\""]
        );
        assert_eq!(of(Change::LeftToCaller), ["panic=1"]);
    }

    #[test]
    fn dashes_are_underscores() {
        assert_eq!(
            line("log-buf-len=1M nr-cpus=8 reset-devices", ""),
            format!("reset-devices {}", ADDED.replace("reset_devices ", ""))
        );
        let line = line("a", "nr-cpus=4");
        assert!(
            !line.contains("nr_cpus") && line.ends_with(" nr-cpus=4"),
            "{line}"
        );
    }

    #[test]
    fn a_list_is_added_to() {
        let line = line("cgroup_disable=hugetlb", "");
        assert!(line.starts_with("cgroup_disable=hugetlb "), "{line}");
        assert_eq!(line.matches("cgroup_disable=memory").count(), 1);
    }

    #[test]
    fn maps_that_take_memory_away_stay() {
        for stays in [
            "memmap=64K$0x18690000",
            "memmap=4K#0x1000",
            "memmap=1M$2M,2M$8M",
        ] {
            assert!(line(stays, "").starts_with(stays), "{stays}");
        }
        for goes in [
            "memmap=exactmap",
            "memmap=1G@4G",
            "memmap=4G!12G",
            "memmap=2G",
            "memmap=1M$2M,1G@4G",
        ] {
            assert_eq!(line(goes, ""), ADDED, "{goes}");
        }
    }

    /// The first warning of a driver that resets its device would end the crash kernel.
    #[test]
    fn nothing_makes_a_panic_of_less() {
        for goes in [
            "panic_on_warn=1",
            "panic_on_warn",
            "unknown_nmi_panic",
            "softlockup_panic=1",
            "hardlockup_panic=1",
            "hung_task_panic=1",
            "nmi_watchdog=panic",
            "nmi_watchdog=panic,1",
        ] {
            assert_eq!(line(goes, ""), ADDED, "{goes}");
        }
        for stays in ["nmi_watchdog=0", "nmi_watchdog=nopanic"] {
            assert!(line(stays, "").starts_with(stays), "{stays}");
        }
    }

    #[test]
    fn the_words_of_init_stay_behind() {
        assert_eq!(
            line("a quiet -- quiet x", ""),
            format!("a {ADDED} -- quiet x")
        );
        assert_eq!(line("a -- x", "b"), format!("a {ADDED} b -- x"));
    }

    #[test]
    fn what_the_machine_needs_comes_last_and_once() {
        let unit = for_initrd_of(Service::KdumpTools);
        let derived = derive(&"systemd.unit=rescue.target".into(), unit, None);
        let line = derived.line.to_string();
        assert_eq!(
            line,
            format!("{ADDED} systemd.unit=kdump-tools-dump.service")
        );
        let removed = &derived.steps[0];
        assert_eq!(removed.change, Change::Removed);
        assert_eq!(removed.parameter, "systemd.unit=rescue.target");
    }

    #[test]
    fn every_row_is_whole_and_each_parameter_has_one() {
        let mut names: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), RULES.len());
        for rule in RULES {
            assert!(
                !rule.reason.is_empty() && !rule.reason.ends_with('.'),
                "{}",
                rule.name
            );
            assert!(!rule.source.is_empty(), "{}", rule.name);
        }
        let mut added = RULES.iter().filter_map(|rule| match rule.deed {
            Deed::Set("") => Some(rule.name.to_owned()),
            Deed::Set(value) | Deed::Add(value) => Some(format!("{}={value}", rule.name)),
            _ => None,
        });
        assert!(
            ADDED
                .split(' ')
                .all(|word| added.next().as_deref() == Some(word))
        );
        assert_eq!(added.next(), None);
    }

    proptest! {
        #[test]
        fn every_difference_is_a_step(words in proptest::collection::vec("[a-z_=.$@0-9]{1,12}", 0..12)) {
            let from = words.join(" ");
            let derived = derive(&from.as_str().into(), &[], None);
            let count = |change| derived.steps.iter().filter(|s| s.change == change).count();
            let (before, after) = (derived.from.words().count(), derived.line.words().count());
            prop_assert_eq!(before - count(Change::Removed) + count(Change::Added), after);
        }

        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = derive(&Cmdline::exact(&bytes), &[], Some(&Cmdline::exact(&bytes)));
        }
    }
}

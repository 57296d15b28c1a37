//! What is the same for the entries of every source: whether their files are
//! there, and which of them is running.

use std::collections::BTreeMap;

use kexec_plan::Cmdline;

use super::entry::{BootEntry, BootTarget, Boots, Broken};
use super::kernels;
use crate::source::BootedMachine;
use kexec_machine::volumes::BootFile;
use kexec_machine::{Fact, open};

/// Looks at the entries of all sources; each file once.
#[derive(Debug)]
pub(super) struct EntryChecker<'a> {
    machine: &'a BootedMachine<'a>,
    running: Option<Cmdline>,
    there: BTreeMap<BootFile, Fact<Option<String>>>,
    releases: BTreeMap<BootFile, Option<String>>,
}

impl<'a> EntryChecker<'a> {
    pub(super) fn new(machine: &'a BootedMachine<'a>) -> EntryChecker<'a> {
        EntryChecker {
            machine,
            running: kernels::running_cmdline(machine.facts).known().cloned(),
            there: BTreeMap::new(),
            releases: BTreeMap::new(),
        }
    }

    /// An entry whose files are gone is broken; one whose files cannot be looked
    /// at says so.
    pub(super) fn entry(&mut self, entry: &mut BootEntry) {
        let Boots::Target(target) = &mut entry.boots else {
            return;
        };
        let files: Vec<BootFile> = target.files().cloned().collect();
        for file in files {
            match self.is_there(&file) {
                Fact::Known(None) => {}
                Fact::Known(Some(kind)) => {
                    entry.boots = Boots::Broken(Broken {
                        at: entry.origin.clone(),
                        reason: format!("{file}: {kind}"),
                    });
                    return;
                }
                Fact::Absent => {
                    entry.boots = Boots::Broken(Broken {
                        at: entry.origin.clone(),
                        reason: format!("{file} does not exist"),
                    });
                    return;
                }
                Fact::Unreadable(reason) => {
                    let note = format!("could not look: {reason}");
                    if !target.notes.contains(&note) {
                        target.notes.push(note);
                    }
                }
            }
        }
        entry.marks.running = entry.marks.running || self.runs(entry);
    }

    /// What it is, where it is not a regular file.
    fn is_there(&mut self, file: &BootFile) -> Fact<Option<String>> {
        if let Some(known) = self.there.get(file) {
            return known.clone();
        }
        let there = self
            .machine
            .volumes
            .stat(file)
            .map(|s| open::not_regular(&s));
        self.there.insert(file.clone(), there.clone());
        there
    }

    /// Whether the running kernel was started with what the entry holds: the
    /// same command line, and a kernel of the same release.
    fn runs(&mut self, entry: &BootEntry) -> bool {
        let Some(target) = entry.target() else {
            return false;
        };
        let (Some(line), Some(running)) = (&target.cmdline, &self.running) else {
            return false;
        };
        let line = line.without(kernels::OF_THIS_BOOT);
        let same = line.words().eq(running.words());
        let release = self.machine.facts.release.clone();
        same && (entry.version.as_ref() == Some(&release) || self.is_of(target, &release))
    }

    /// Whether a kernel is of that release, by its name or by what it says itself.
    fn is_of(&mut self, target: &BootTarget, release: &str) -> bool {
        let mut names = target.kernel.path.split('/');
        let named = |name: &str| {
            let front = name.strip_suffix(release);
            front.is_some_and(|front| front.is_empty() || front.ends_with('-'))
        };
        if names.any(named) {
            return true;
        }
        let own = self.releases.entry(target.kernel.clone());
        let own = own.or_insert_with(|| kernels::release(self.machine, &target.kernel));
        own.as_deref() == Some(release)
    }
}

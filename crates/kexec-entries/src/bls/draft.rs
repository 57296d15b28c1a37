//! An entry before the menu is put together.

use kexec_plan::Cmdline;

use super::lines::LineProblem;
use super::order::Rank;
use crate::entry::{BootEntry, Boots, Broken, Origin};
use crate::facts::Facts;
use crate::kernels;
use kexec_machine::volumes::BootFile;

/// An entry and what the menu needs to know of it.
#[derive(Debug, Clone)]
pub(super) struct DraftEntry {
    /// The entry as it will be listed.
    pub(super) entry: BootEntry,
    /// Its other names, by which people may ask for it.
    pub(super) aliases: Vec<String>,
    /// The file name without counters, in lower case as systemd-boot has it.
    pub(super) file: String,
    /// The same with its counters.
    pub(super) counted: String,
    /// Which profile of a UKI.
    pub(super) profile: usize,
    /// Whether the boot loader shows it.
    pub(super) in_menu: bool,
    /// What a UKI brings that tells whether it is running; of other entries that
    /// is seen from what they boot.
    pub(super) brings: Option<Brings>,
}

/// The kernel's release and the command line in a UKI.
#[derive(Debug, Clone)]
pub(super) struct Brings {
    /// The kernel's release, from the section `.uname`.
    pub(super) release: String,
    /// The command line, from the section `.cmdline`.
    pub(super) cmdline: Cmdline,
}

impl DraftEntry {
    /// What systemd-boot calls it. The first profile of a UKI has the name of the
    /// file there and no other, whatever its own name is: bootctl shows `@` and that
    /// name, and systemd-boot does not find it by that (seen with 257 and 262: the
    /// tests `*_boots_the_profile_that_was_listed` of the lab).
    ///
    /// With `counted`, its counters are part of that.
    pub(super) fn called(&self, counted: bool) -> String {
        let file = if counted { &self.counted } else { &self.file };
        match self.profile {
            0 => file.clone(),
            _ => {
                let id = self.entry.id.to_ascii_lowercase();
                let profile = id.strip_prefix(&self.file).map(|p| format!("{file}{p}"));
                profile.unwrap_or(id)
            }
        }
    }

    /// What it is sorted by; with `counted`, its counters are part of its name.
    pub(super) fn rank(&self, counted: bool) -> Rank<'_> {
        fn text(text: &Option<String>) -> &str {
            text.as_deref().unwrap_or_default()
        }
        Rank {
            sort_key: text(&self.entry.sort_key),
            machine_id: text(&self.entry.machine_id),
            version: text(&self.entry.version),
            profile: self.profile,
            file: if counted { &self.counted } else { &self.file },
            tries: self.entry.tries,
        }
    }

    /// How many words of the running command line are those of the UKI, if it is
    /// the running one. Others may follow: addons, and what the stub adds.
    fn running_words(&self, facts: &Facts) -> Option<usize> {
        let brings = self.brings.as_ref()?;
        let running = kernels::running_cmdline(facts);
        let running = running.known()?;
        let mut words = running.words();
        let same = brings
            .cmdline
            .words()
            .all(|word| words.next() == Some(word));
        let same = same && brings.release == facts.release;
        let empty = brings.cmdline.is_empty() && !running.is_empty();
        (same && !empty).then(|| brings.cmdline.words().count())
    }
}

/// Marks the UKIs that are running: those with the most words of the command line.
pub(super) fn mark_running(facts: &Facts, drafts: &mut [DraftEntry]) {
    let words: Vec<Option<usize>> = drafts.iter().map(|d| d.running_words(facts)).collect();
    let most = words.iter().flatten().max();
    for (draft, words) in drafts.iter_mut().zip(&words) {
        draft.entry.marks.running = words.is_some() && words.as_ref() == most;
    }
}

/// Why an entry does not boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EntryFault {
    /// What is wrong.
    pub(super) problem: LineProblem,
    /// Whether the boot loader leaves the entry out of its menu.
    pub(super) hidden: bool,
}

impl EntryFault {
    /// The boot loader shows the entry, and fails or does what cannot be done
    /// here.
    pub(super) fn shown(problem: LineProblem) -> EntryFault {
        EntryFault {
            problem,
            hidden: false,
        }
    }

    /// The boot loader does not show the entry.
    pub(super) fn hidden(problem: LineProblem) -> EntryFault {
        EntryFault {
            problem,
            hidden: true,
        }
    }

    /// As part of an entry that is written in `file`.
    pub(super) fn boots(self, file: &BootFile) -> Boots {
        let at = match self.problem.line {
            Some(line) => Origin::line(file, line),
            None => Origin::file(file),
        };
        Boots::Broken(Broken {
            at,
            reason: self.problem.reason,
        })
    }
}

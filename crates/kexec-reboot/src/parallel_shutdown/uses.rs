//! What is in use, from the kernel's tables.

use kexec_machine::Fact;

/// What uses disks and the network. What could not be read counts as in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uses {
    /// The mounts of every process.
    pub mounts: Fact<Vec<MountUse>>,
    /// The files and devices that are swapped to.
    pub swaps: Fact<Vec<String>>,
    /// Block devices of the file systems that span several (btrfs), by name.
    pub spanned: Vec<String>,
    /// What is connected over the network, apart from mounts: `iSCSI session1`.
    pub connections: Vec<String>,
    /// The consoles of the kernel: `ttyS0`, `netcon0`.
    pub consoles: Vec<String>,
}

impl Default for Uses {
    /// Nothing was read.
    fn default() -> Uses {
        let unread = "not read".to_owned();
        Uses {
            mounts: Fact::Unreadable(unread.clone()),
            swaps: Fact::Unreadable(unread),
            spanned: Vec::new(),
            connections: Vec::new(),
            consoles: Vec::new(),
        }
    }
}

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountUse {
    /// `MAJOR:MINOR`; the major number 0 is no block device's.
    pub number: String,
    /// Where it is mounted.
    pub point: String,
    /// `ext4`, `nfs4`, ...
    pub kind: String,
    /// `/dev/sda2`, or what the file system calls its source.
    pub source: String,
    /// The options of the file system; some name further devices.
    pub options: String,
}

impl MountUse {
    /// Whether the number is a block device's.
    pub(super) fn is_on_a_device(&self) -> bool {
        !self.number.starts_with("0:")
    }

    /// The names of the block devices that it mentions in /dev, besides its number's:
    /// several sources (bcachefs separates them by colons), a journal, a real-time part.
    pub(super) fn named_disks(&self) -> Vec<String> {
        let sources = self.source.split(':');
        let options = self.options.split(',');
        let values = options.filter_map(|option| Some(option.split_once('=')?.1));
        let named = sources.chain(values);
        named
            .filter_map(|text| text.strip_prefix("/dev/"))
            .map(disk)
            .collect()
    }
}

/// The name in sysfs of the block device at this path below /dev: a `/` in it is a `!`
/// there (block/genhd.c, `disk_name`; lib/kobject.c).
pub(super) fn disk(below_dev: &str) -> String {
    below_dev.replace('/', "!")
}

/// The mounts of a table (proc_pid_mountinfo(5)).
///
/// # Errors
/// When a line is not understood: what it mounts is then unknown.
pub fn mounts(text: &str) -> Result<Vec<MountUse>, String> {
    let lines = text.lines().map(|line| {
        mount(line).ok_or_else(|| format!("the line {line:?} of a mount table is not understood"))
    });
    lines.collect()
}

fn mount(line: &str) -> Option<MountUse> {
    // Blanks in names are escaped, so every one of these ends a field.
    let (place, rest) = line.split_once(" - ")?;
    let mut place = place.split(' ').skip(2);
    let number = place.next().filter(|number| is_number(number))?;
    let point = place.nth(1)?;
    let mut rest = rest.splitn(3, ' ');
    let (kind, source) = (rest.next()?, rest.next()?);
    (!kind.is_empty()).then(|| MountUse {
        number: number.to_owned(),
        point: point.to_owned(),
        kind: kind.to_owned(),
        source: source.to_owned(),
        options: rest.next().unwrap_or_default().to_owned(),
    })
}

/// Whether that is `MAJOR:MINOR`.
fn is_number(text: &str) -> bool {
    let parts = text.split_once(':');
    parts.is_some_and(|(major, minor)| major.parse::<u32>().is_ok() && minor.parse::<u32>().is_ok())
}

/// The first column of /proc/swaps (proc_swaps(5)), behind its heading.
pub fn swaps(text: &str) -> Vec<String> {
    let lines = text.lines().skip(1);
    let names = lines.filter_map(|line| line.split_ascii_whitespace().next());
    names.map(str::to_owned).collect()
}

/// The names in the first column of /proc/consoles (Documentation/filesystems/proc.rst,
/// 1.9), or of /sys/class/tty/console/active, where a blank separates them.
pub fn consoles(table: &str, active: &str) -> Vec<String> {
    let listed = table
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().next());
    let mut names: Vec<String> = listed
        .chain(active.split_ascii_whitespace())
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    names
}

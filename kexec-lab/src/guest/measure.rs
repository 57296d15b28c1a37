//! What a command in a guest costs: instructions and memory.
//!
//! The clock of a guest that counts ([`super::Guest::counting`]) goes forward by
//! one nanosecond with every instruction (QEMU's documentation, "TCG Instruction
//! Counting"), so that its own clock measures instructions, whatever else the
//! host does. Waiting counts as well: nothing that is measured may sleep.

use super::Stage;
use anyhow::{Context, Result, ensure};

/// Instructions, and memory at its peak, of one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Instructions, those of the kernel for it included.
    pub instructions: u64,
    /// The most memory that was mapped and present in the process, bytes
    /// (`ru_maxrss`, getrusage(2)). Memory files that are not mapped do not
    /// count.
    pub peak_rss: u64,
    /// The most memory of user space that it took, bytes: its own and that of
    /// memory files, mapped or not, and what it read into the page cache
    /// itself (`memory.peak`, Documentation/admin-guide/cgroup-v2.rst).
    pub peak_memory: u64,
}

/// Shell functions: `measure LABEL COMMAND...` is `run` and puts the cost out.
///
/// busybox's `time` takes the kernel's KiB for pages: what a process of known
/// size has by it says how much too large its numbers are.
pub(crate) const FUNCTIONS: &str = r#"
mount -t cgroup2 none /sys/fs/cgroup
echo +memory > /sys/fs/cgroup/cgroup.subtree_control
mkdir /tmp/measured
# instant: the clock's nanoseconds, in $instant.
instant() {
	while read -r word at instant rest; do
		[ "$word $at" = "now at" ] && break
	done < /proc/timer_list
}
measure() {
	label=$1
	shift
	group=/sys/fs/cgroup/$label
	mkdir $group
	instant
	began=$instant
	time -f %M -o /tmp/measured/rss sh -c 'echo $$ > $0/cgroup.procs; exec "$@"' $group "$@" \
		< /dev/null > /tmp/stdout 2> /tmp/stderr
	code=$?
	instant
	{
		echo "@run $label $code"
		bytes stdout < /tmp/stdout
		bytes stderr < /tmp/stderr
		{
			echo $((instant - began))
			tail -n 1 /tmp/measured/rss
			cat $group/memory.peak
		} | bytes cost-$label
	} > $OUT
	rmdir $group
	return $code
}
time -f %M -o /tmp/measured/rss dd if=/dev/zero of=/dev/null bs=64M count=1 2> /dev/null
tail -n 1 /tmp/measured/rss | put measured-64M
"#;

impl Stage {
    /// What the command with this label cost.
    ///
    /// # Errors
    /// If the script did not `measure` it, or the guest does not count.
    pub fn cost(&self, label: &str) -> Result<Cost> {
        let text = String::from_utf8_lossy(self.file(&format!("cost-{label}"))?).into_owned();
        let numbers: Vec<u64> = text
            .lines()
            .map(str::parse)
            .collect::<Result<_, _>>()
            .with_context(|| format!("reading the cost of {label}: {text:?}"))?;
        let [instructions, rss, peak_memory] = numbers.as_slice() else {
            anyhow::bail!("reading the cost of {label}: {text:?}, expected three numbers");
        };
        Ok(Cost {
            instructions: *instructions,
            peak_rss: rss / self.time_unit()? * 1024,
            peak_memory: *peak_memory,
        })
    }

    /// How much too large the numbers of busybox's `time` are: 1 or 4.
    fn time_unit(&self) -> Result<u64> {
        let text = String::from_utf8_lossy(self.file("measured-64M")?).into_owned();
        let kib: u64 = text
            .trim()
            .parse()
            .with_context(|| format!("reading the size of a process of 64 MiB: {text:?}"))?;
        let unit = kib / (64 << 10);
        ensure!(
            unit == 1 || unit == 4,
            "a process of 64 MiB has {kib} by busybox's time"
        );
        Ok(unit)
    }
}

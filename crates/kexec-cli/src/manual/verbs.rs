//! What is said of each verb, in the order of `--help`.

use super::{Example, Text};
use crate::args::Verb;

const fn example(command: &'static str, does: &'static str) -> Example {
    Example { command, does }
}

pub(super) fn text(verb: Verb) -> &'static Text {
    match verb {
        Verb::Reboot => &REBOOT,
        Verb::Load => &LOAD,
        Verb::Unload => &UNLOAD,
        Verb::Status => &STATUS,
        Verb::History => &HISTORY,
        Verb::Metrics => &METRICS,
        Verb::List => &LIST,
        Verb::Plan => &PLAN,
        Verb::Check => &CHECK,
        Verb::NeedsReboot => &NEEDS_REBOOT,
        Verb::Crash => &CRASH,
        Verb::Enable => &ENABLE,
        Verb::Disable => &DISABLE,
        Verb::Preload => &PRELOAD,
        Verb::ParallelShutdown => &PARALLEL_SHUTDOWN,
        Verb::Help => &HELP,
        Verb::Version => &VERSION,
    }
}

static REBOOT: Text = Text {
    says: &[
        "Finds the boot entry that a normal reboot would boot, or takes the one that is named; \
         reads its files and runs every check; records on the disk what it is about to do; loads \
         the kernel; and only then asks init for the shutdown, which ends in the jump. A problem \
         before that ends the command with exit code 1, a reason and a remedy, and leaves the \
         machine as it was. Where no record can be written, the command warns and continues: the \
         outcome of the reboot then stays unknown.",
        "The command that asks init: `systemctl kexec`, `openrc-shutdown --kexec now`, dinit's \
         `shutdown -k`; with sysvinit, runit and busybox, a normal reboot that ends in a script \
         that jumps. With --now, init is not asked.",
        "The next command line gets `kexec.id=`TOKEN, by which the next boot is recognised. A \
         boot without it was a cold boot, and `kexec status` reports that.",
    ],
    examples: &[
        example("kexec reboot", "Boot what a normal reboot would boot."),
        example(
            "kexec reboot --dry-run",
            "Only show the plan and every check.",
        ),
        example(
            "kexec reboot 6.12.107",
            "Boot the one entry with this text in its id or title.",
        ),
        example(
            "kexec reboot --append systemd.unit=rescue.target",
            "Boot the default entry with an additional parameter.",
        ),
        example(
            "kexec reboot --or-cold",
            "Reboot through the firmware if a kexec is refused; not if a named entry does not exist.",
        ),
    ],
};

static LOAD: Text = Text {
    says: &[
        "Finds, reads, checks and loads as `kexec reboot` does, and stops there. Afterwards \
         `kexec -e` jumps at once; `systemctl kexec` stops the services first. If the load is \
         refused, the image that was loaded before stays loaded.",
        "An initrd that is cut short, or compressed in a way that the next kernel does not \
         support, is refused, whether it was named or belongs to a boot entry. `kexec -l` loads \
         it anyway.",
        "With --crash, loads a crash kernel, which a panic jumps into. The kernel must be named, \
         and memory must have been reserved with `crashkernel=`. The running kernel frees the old \
         crash kernel before it examines the new one; every check runs before that.",
    ],
    examples: &[
        example("kexec load", "Load what a normal reboot would boot."),
        example(
            "kexec load ./vmlinuz --initrd ./initrd.img --reuse-cmdline",
            "A kernel file with the running kernel's command line.",
        ),
        example(
            "kexec load ./linux.efi",
            "A UKI with its own command line and initrds.",
        ),
    ],
};

static UNLOAD: Text = Text {
    says: &[
        "Unloads the loaded kernel, or with --crash the crash kernel. An empty slot is not an \
         error.",
    ],
    examples: &[
        example("kexec unload", "The next reboot goes through the firmware."),
        example(
            "kexec unload --crash",
            "A panic no longer starts a crash kernel.",
        ),
    ],
};

static STATUS: Text = Text {
    says: &[
        "Shows what is loaded in both slots, from which files and by which system call, and the \
         outcome of the last request: whether this boot is the requested one, and how long it \
         took. As root, it records the outcome, because no later boot can determine it.",
        "With --snapshot, writes a description of the machine to a file instead: memory map, \
         firmware, security settings, command line. Secrets and kernel addresses are left out \
         unless --unredacted is given. Only its owner can read the file, and it must not exist \
         yet. On another machine, `kexec plan --host`, `kexec check --host` and `kexec status \
         --host` then answer for the machine that the file describes.",
    ],
    examples: &[
        example(
            "kexec status",
            "Show what is loaded, and how the last reboot went.",
        ),
        example("kexec status --json", "The same as JSON, for a script."),
        example(
            "kexec status --snapshot machine.json",
            "Write a file for a bug report.",
        ),
    ],
};

static HISTORY: Text = Text {
    says: &[
        "Shows the last hundred requests: from which kernel into which, whether by a kexec or by \
         a cold boot, and how long the machine was down.",
        "With --svg, draws each reboot as a bar on one axis of time. Grey is what the firmware \
         and the boot loader took, which a kexec saves. Their share of a cold boot is known where \
         the processor has a counter that a reset sets to 0 (`constant_tsc` and `nonstop_tsc` in \
         /proc/cpuinfo); elsewhere it is drawn together with the shutdown. If nothing is recorded, \
         no file is written, and the exit code is 1.",
    ],
    examples: &[
        example("kexec history", "Show the requests, the newest first."),
        example("kexec history --svg reboots.svg", "Draw a picture as well."),
    ],
};

static METRICS: Text = Text {
    says: &[
        "Prints the text format of Prometheus: how the last hundred requests ended, how long the \
         parts of the last reboot took, whether the requested release runs, how many kexecs there \
         were since the last cold boot, and what is loaded. What is unknown is left out. Only root \
         can read the records.",
        "`kexec enable metrics` writes them every five minutes to where the textfile collector of \
         node_exporter reads them.",
    ],
    examples: &[
        example("kexec metrics", "Print the metrics."),
        example(
            "kexec metrics --output=/var/lib/prometheus/node-exporter/kexec.prom",
            "Write them for node_exporter, as a cron job does.",
        ),
    ],
};

static LIST: Text = Text {
    says: &[
        "Shows the boot entries of GRUB, of systemd-boot and the Boot Loader Specification, of \
         extlinux, of Limine, of rEFInd, of the firmware, of the distribution's links and of the \
         module folders; which of them a reboot would boot, and why; and which are broken, with \
         file and line. File systems that are not mounted are read through a private read-only \
         mount that replays no journal.",
        "The entry with `*` is the default entry, one with `!` is broken or marked as bad, and all \
         others have `-`. The entries of the boot loader that started the machine are shown in \
         full. The line \"order\" lists the places that are searched: where nothing shows which \
         boot loader started the machine, the first one in this order that has files counts.",
        "Boot files are read only from devices that root or the builder of the machine attached: \
         removable devices, loop devices and users' file systems are never read, whatever their \
         UUID or label, unless the running system runs from them or root's configuration names \
         the device by its path. The line \"read from\" shows the device, the file system and why \
         it is trusted. A UUID or label that two devices share is refused, and both are named.",
    ],
    examples: &[
        example("kexec list", "List the entries; the default is marked."),
        example(
            "kexec list --root /mnt",
            "List the entries of a system whose files are below /mnt.",
        ),
    ],
};

static PLAN: Text = Text {
    says: &[
        "Shows what would be loaded, by which system call and why; with kexec_load(2), also where \
         every byte would go. Nothing is loaded.",
    ],
    examples: &[
        example("kexec plan", "Show what `kexec load` would load."),
        example(
            "kexec plan ./vmlinuz -c --svg plan.svg",
            "Draw where kexec_load(2) would place it.",
        ),
    ],
};

static CHECK: Text = Text {
    says: &[
        "Runs every check of a load and of the reboot after it, and shows each with its reason \
         and remedy, and with its name in brackets. Refusals come first, then warnings and what \
         could not be checked, then the other checks in their groups; the last line counts them. \
         Nothing is loaded. The exit code is 1 if a check refuses.",
        "If none refuses (and without --crash and --host), the section Downtime estimates how many \
         milliseconds of the downtime the image itself causes, phase by phase, at the speed of this \
         machine, and shows what would make it shorter. The speed is measured once in each boot. How long services, drivers and \
         firmware take is not in it. `kexec check --json` has the same under the key downtime.",
        "With -p, checks whether a panic would be saved: the crash kernel and its initrd, the \
         reserved memory against the estimate, the programs and modules for the target, the \
         target's free space, watchdogs, IOMMU, lockdown, and the sysctls that turn an oops into a \
         panic. What is checked is what `kexec crash load` would load.",
        "Checks ask the running kernel and its init, so there is no --root as in `kexec list`: \
         run this on the machine itself, or write a snapshot there with `kexec status --snapshot` \
         and pass it with --host.",
    ],
    examples: &[
        example("kexec check", "Check whether `kexec reboot` would succeed."),
        example("kexec check -p", "Check whether a panic would be saved."),
        example(
            "kexec check --host machine.json ./vmlinuz",
            "Check whether this kernel would load on another machine.",
        ),
    ],
};

static NEEDS_REBOOT: Text = Text {
    says: &[
        "Compares the running kernel with the one that a reboot would boot: its release and its \
         build, and whether the kernel or initrd files were written since the boot. The command \
         line is not compared. What cannot be determined does not count as a reason: otherwise a \
         machine could reboot for nothing, again and again.",
    ],
    examples: &[
        example(
            "kexec needs-reboot",
            "Report whether a reboot is due, and why.",
        ),
        example(
            "kexec needs-reboot --json",
            "The same as JSON, for a script.",
        ),
    ],
};

static CRASH: Text = Text {
    says: &[
        "`load`: takes the running kernel, or the one that is named, and the initrd that the \
         distribution's service made for it (kdump-tools, kdump-utils, kdump), else the normal \
         one. Derives the command line: what breaks a crash kernel or takes memory is removed, \
         and what it needs is added, with what that service's configuration sets \
         (KDUMP_CMDLINE_APPEND, KDUMP_COMMANDLINE_APPEND). --dry-run and -d show each change with \
         its reason; what --append gives counts more, and --cmdline replaces the whole line. Every check runs, \
         those of `kexec check -p` among them, before the crash kernel that was loaded before is \
         replaced.",
        "`status`: whether a crash kernel is loaded, since when, and whether its files are still \
         those that were loaded; the reserved memory and what is needed; the sysctls that make a \
         panic of something else; watchdogs, and whether they reset the machine before a dump \
         ends; the target of the dump and its free space. Of the sysctls, those are shown that keep \
         a dump from being made, and with -d all of them. The exit code is 0 where a crash kernel \
         is loaded, and 1 where none is, or where that is unknown.",
        "`unload`: empties the crash slot. An empty slot is not an error.",
        "`estimate`: how much memory to reserve, as a sum of parts, and the parameter that does \
         it. It edits no boot loader.",
        "`shrink`: returns reserved memory, until the estimate or SIZE is left (a number with K, \
         M or G). The running kernel does that only while no crash kernel is loaded, and nothing \
         but a reboot makes the region larger again.",
        "`dmesg`: prints the log of the kernel that crashed, from a dump of its memory. \
         vmcore-dmesg(8) is the same under another name: it describes the dumps that are read, \
         and the exit codes.",
    ],
    examples: &[
        example(
            "kexec crash load",
            "Load the running kernel as the crash kernel.",
        ),
        example(
            "kexec crash load --dry-run",
            "Show its command line, each change with its reason, and every check.",
        ),
        example(
            "kexec crash load --append nr_cpus=4",
            "Let four processors save the dump.",
        ),
        example("kexec crash status", "Show whether it is loaded and ready."),
        example(
            "kexec crash estimate",
            "Show how large crashkernel= has to be.",
        ),
        example(
            "kexec crash shrink --dry-run",
            "Show how much reserved memory is not needed.",
        ),
        example(
            "kexec crash dmesg --level err+ /var/crash/202611291200/dump.202611291200",
            "Show what was an error or worse in the log of a dump.",
        ),
    ],
};

static ENABLE: Text = Text {
    says: &[
        "preload: at each boot, a unit loads what a reboot would boot; hooks of kernel packages \
         load it again when it changes; and a drop-in of `systemd-reboot.service` makes every \
         reboot jump into it. A second unit checks the loaded image before the machine goes down: \
         it replaces a stale image, and unloads one that would bypass a request to the firmware \
         or the boot loader. Units that no package has installed are written.",
        "refresh: only the second unit, which also loads an image when `kexec.target` is started \
         and nothing is loaded.",
        "exitrd: puts this program into the shutdown image, to which systemd switches at the end \
         of a shutdown. Few machines need that, and where it is not needed nothing is written: \
         mkinitcpio's default (sd-shutdown) jumps by itself, and the scripts of dracut and of \
         mkinitcpio's hook `shutdown` copy a static program from the root file system.",
        "metrics: a timer writes `kexec metrics` every five minutes to kexec.prom in the folder of \
         node_exporter's textfile collector. The folder must exist.",
        "parallel-shutdown: a hook of systemd-shutdown runs `kexec parallel-shutdown` right before \
         the jump. It unbinds unused disk controllers and accelerators at the same time, so the \
         running kernel does not shut them down one after the other. `kexec parallel-shutdown \
         --dry-run` shows which. A unit records when services had been stopped, so `kexec status` \
         shows how long the devices took.",
        "crash: at each boot, `kexec-crash.service` loads the crash kernel (`kexec crash load \
         --by-unit`, which does nothing where that is not possible any more). It \
         is loaded again after processors or memory were added or removed, unless the running \
         kernel follows that itself (`crash_hotplug` in /sys/devices/system), and after a package \
         has changed a kernel or an initrd. Refused where kdump-tools, kdumpctl or another kdump \
         service is enabled or active, and where no memory is reserved (`crashkernel=`).",
        "With --cold-every=N, every Nth reboot of a machine with preload goes through the \
         firmware: before it, nothing is loaded ahead. An explicit `kexec reboot` is a kexec even \
         then. The number is kept in /etc/kexec-rs.conf; `kexec status` shows how far it is.",
        "With --root, and in a chroot or a container without an init, the files of a system that \
         does not run are changed, as `systemctl --root` does it. No init is asked, nothing is \
         started or loaded, and what could not be checked is shown.",
        "The command shows what it changes and what that costs. It refuses where the feature \
         cannot work, and where users other than root can write to this program or to a folder \
         above it, because units run it as root by its path.",
        "Either all files are written or none; a change that could not be undone is reported. If \
         a later step fails (systemd, a unit), every step is listed with what became of it. A file that an earlier call wrote, and that is now empty, cut off or not executable, is \
         written again. If a file of that name comes from elsewhere, the command refuses.",
    ],
    examples: &[
        example("kexec enable preload", "Make every reboot a kexec."),
        example(
            "kexec enable preload --root /mnt",
            "Write it into the image that is mounted at /mnt.",
        ),
        example(
            "kexec enable preload --dry-run",
            "Show what would be changed.",
        ),
        example(
            "kexec enable preload --cold-every=10",
            "The same, but every 10th reboot goes through the firmware.",
        ),
        example("kexec enable metrics", "Write metrics for node_exporter."),
        example("kexec enable crash", "Load a crash kernel at each boot."),
    ],
};

static DISABLE: Text = Text {
    says: &[
        "Removes what `kexec enable` wrote, and unloads the image that was loaded ahead. Files \
         that a package installed stay, and do nothing. A crash kernel that is loaded stays \
         until it is unloaded (`kexec -p -u`) or the machine reboots.",
        "If a step fails, the others that do not depend on it are tried, and every step is listed \
         with what became of it. Run again, the command does what is left.",
    ],
    examples: &[example(
        "kexec disable preload",
        "Reboot through the firmware again.",
    )],
};

static PRELOAD: Text = Text {
    says: &[
        "Loads what a reboot would boot, unless it is loaded already. Does nothing if another \
         image was loaded on purpose, while a request to the firmware (its setup, an update, \
         BootNext) or to the boot loader (an entry to boot once) is pending, after `kexec reboot \
         --cold`, with `kexec=off` on the kernel's command line, or when it is the turn of a cold \
         reboot (cold-every in /etc/kexec-rs.conf). The output shows why. Fails if nothing can be \
         loaded: no entry can be booted, its files are missing, or they need more than a quarter \
         of the free memory.",
        "With --at-shutdown, acts only while a shutdown is under way that ends in a reboot or a \
         kexec. Compares the image that was loaded ahead with what a reboot would boot, and \
         replaces or unloads it if they differ. If they cannot be compared, the image stays, and \
         the next boot reports that in its journal and in `kexec status`.",
    ],
    examples: &[
        example("kexec preload", "Load it, or explain why not."),
        example(
            "kexec preload --instance linux-lts",
            "Do what `kexec-load@linux-lts.service` does.",
        ),
        example(
            "kexec preload --enabled",
            "Do what `kexec-load-enabled.service` does.",
        ),
    ],
};

static PARALLEL_SHUTDOWN: Text = Text {
    says: &[
        "Unbinds PCI and virtio devices that nothing uses from their drivers, all at the same \
         time. The running kernel shuts down one device after the other before it jumps; a device \
         without a driver takes no time there. The hook that `kexec enable parallel-shutdown` \
         installs runs this with the ACTION of the shutdown when all file systems that can be \
         unmounted are unmounted. For every ACTION but `kexec`, and where no image is loaded, the \
         command does nothing.",
        "Only disk controllers, accelerators, and devices without a class are \
         unbound. A disk is in use if it or a partition is mounted in any mount namespace, if it \
         is swapped to, or if something is built on it (dm, md, bcache). While a loop device is \
         connected, a swap file is in use, or a file system may span devices that the kernel does \
         not show, every disk is. Network devices, displays, consoles, USB, bridges, memory, watchdogs, TPMs and IOMMUs, \
         and devices with virtual functions are never unbound. What cannot be read counts as in \
         use.",
        "After --timeout, the command names the devices that are not done and ends; the running \
         kernel then waits for them.",
    ],
    examples: &[
        example(
            "kexec parallel-shutdown --dry-run",
            "Show which devices are not in use now, and why the others are kept.",
        ),
        example(
            "kexec parallel-shutdown kexec",
            "Do what the hook does. Not on a machine that is still needed.",
        ),
    ],
};

static HELP: Text = Text {
    says: &["Prints the same as `kexec VERB --help`, or as `kexec --help` without a verb."],
    examples: &[
        example("kexec help", "Show all verbs and options."),
        example("kexec help reboot", "Show the options of `kexec reboot`."),
    ],
};

static VERSION: Text = Text {
    says: &[
        "Prints the same as `kexec --version`: the version of this program, and of the \
         kexec-tools whose command line it takes.",
    ],
    examples: &[
        example(
            "kexec version",
            "Print one line; the second word is the version.",
        ),
        example("kexec version --json", "The same as JSON, for a script."),
    ],
};

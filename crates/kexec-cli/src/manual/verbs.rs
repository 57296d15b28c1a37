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
        Verb::List => &LIST,
        Verb::Plan => &PLAN,
        Verb::Check => &CHECK,
        Verb::NeedsReboot => &NEEDS_REBOOT,
        Verb::Enable => &ENABLE,
        Verb::Disable => &DISABLE,
        Verb::Preload => &PRELOAD,
        Verb::Help => &HELP,
        Verb::Version => &VERSION,
    }
}

static REBOOT: Text = Text {
    says: &[
        "Finds what a normal reboot would boot, or what is named; reads every file of it and runs \
         every check; writes down on the disk what it is about to do; loads it; and only then asks \
         init for the shutdown, at whose end the machine jumps. Whatever is wrong before that ends \
         the command with exit code 1, the reason and a remedy, and the machine is as it was. \
         Where nothing can be written down, it says so and goes on: then the next boot cannot \
         tell how the reboot went.",
        "How init is asked: `systemctl kexec`, `openrc-shutdown --kexec now`, dinit's \
         `shutdown -k`; with sysvinit, runit and busybox a reboot, where a script at its end \
         jumps. With --now nobody is asked.",
        "The next command line gets `kexec.id=`TOKEN, by which the next boot is recognised. One \
         without it was a cold boot, and `kexec status` says so.",
    ],
    examples: &[
        example("kexec reboot", "Into what a normal reboot would boot."),
        example(
            "kexec reboot --dry-run",
            "Only show what would be loaded, and every check.",
        ),
        example(
            "kexec reboot 6.12.107",
            "Into the one boot entry with this in its id or its title.",
        ),
        example(
            "kexec reboot --append systemd.unit=rescue.target",
            "The same entry as ever, with one parameter more.",
        ),
        example(
            "kexec reboot --or-cold",
            "Through the firmware when there is something against a kexec.",
        ),
    ],
};

static LOAD: Text = Text {
    says: &[
        "Finds, reads, checks and loads as `kexec reboot` does, and stops there. `kexec -e` \
         then jumps at once, `systemctl kexec` stops the services first. What was loaded before \
         stays loaded when this is refused.",
        "An initrd that is cut short, or compressed in a way that the next kernel does not know, \
         is refused, whether it is named or a boot entry's. `kexec -l` loads it all the same.",
        "With --crash the kernel is the one that a panic jumps into. It has to be named, and \
         memory must have been reserved with `crashkernel=`. The running kernel gives up an \
         old crash kernel before it looks at the new one; every check runs before that.",
    ],
    examples: &[
        example("kexec load", "Load what a normal reboot would boot."),
        example(
            "kexec load ./vmlinuz --initrd ./initrd.img --reuse-cmdline",
            "A kernel file with the running kernel's command line.",
        ),
        example(
            "kexec load ./linux.efi",
            "A UKI with the command line and the initrds that are in it.",
        ),
    ],
};

static UNLOAD: Text = Text {
    says: &[
        "Takes the loaded kernel out again, or with --crash the crash kernel. An empty slot is \
         not an error.",
    ],
    examples: &[
        example("kexec unload", "A reboot goes through the firmware again."),
        example(
            "kexec unload --crash",
            "A panic is not followed by a crash kernel.",
        ),
    ],
};

static STATUS: Text = Text {
    says: &[
        "Shows what is loaded in both slots, from which files and by which system call, and \
         what became of the last request: whether this boot is the one that was asked for and \
         how long it took. As root it writes that down, because no later boot could tell.",
        "With --snapshot it writes what it knows of the machine instead: memory map, firmware, \
         security settings, command line. Secrets and kernel addresses are left out unless \
         --unredacted is given. The file is for its owner only, and must not be there yet. \
         `kexec plan --host`, `kexec check --host` and `kexec status --host` give the answers of \
         that machine elsewhere.",
    ],
    examples: &[
        example(
            "kexec status",
            "What is loaded, and how the last reboot went.",
        ),
        example("kexec status --json", "The same for a script."),
        example(
            "kexec status --snapshot machine.json",
            "A file to go with a bug report.",
        ),
    ],
};

static HISTORY: Text = Text {
    says: &[
        "Shows the last hundred requests: from which kernel into which, whether the machine \
         arrived there by a kexec or by a cold boot, and how long it was away.",
    ],
    examples: &[
        example("kexec history", "The newest first."),
        example(
            "kexec history --svg reboots.svg",
            "The same as a picture as well.",
        ),
    ],
};

static LIST: Text = Text {
    says: &[
        "Shows the boot entries of GRUB, of systemd-boot and the Boot Loader Specification, of \
         extlinux, of Limine, of rEFInd, of the firmware, of the distribution's links and of the module folders; which \
         of them a reboot would take, and why; and which are broken, with file and line. File \
         systems that are not mounted are looked at through a private read-only mount that \
         replays no journal.",
        "Boot files are read only from devices that root or the builder of the machine attached: \
         what is plugged in, loop devices and file systems of users are never read, whatever UUID \
         or label they have, unless the running system runs from them or root's configuration names \
         the device by its path. The line \"read from\" names device and file system, and why they are \
         believed; a UUID or label that two devices have is refused with both.",
    ],
    examples: &[
        example("kexec list", "The entries, the default marked."),
        example(
            "kexec list --root /mnt",
            "Those of a system whose files are below /mnt.",
        ),
    ],
};

static PLAN: Text = Text {
    says: &[
        "Shows what would be loaded, by which system call and why; with kexec_load(2) also where \
         every byte would go. Nothing is loaded.",
    ],
    examples: &[
        example("kexec plan", "What `kexec load` would load."),
        example(
            "kexec plan ./vmlinuz -c --svg plan.svg",
            "Where kexec_load(2) would place it, as a picture as well.",
        ),
    ],
};

static CHECK: Text = Text {
    says: &[
        "Runs every check of a load and of the reboot after it, and shows each with its reason \
         and its remedy. Nothing is loaded. Exit code 1 when one of them refuses.",
        "Checks ask the running kernel and its init, so that there is no --root as `kexec list` has \
         it: run it on the machine itself, or take a snapshot there with `kexec status --snapshot` \
         and name that with --host.",
    ],
    examples: &[
        example("kexec check", "Would `kexec reboot` arrive?"),
        example(
            "kexec check --host machine.json ./vmlinuz",
            "Would this kernel load on the machine of that snapshot?",
        ),
    ],
};

static NEEDS_REBOOT: Text = Text {
    says: &[
        "Compares the running kernel with the one that a reboot would boot: its release, and \
         the build that its file names; and looks whether the kernel or its initrds were written \
         since the boot. The command line is not compared. What cannot be told is no reason: a \
         machine that reboots for nothing would do so for ever.",
    ],
    examples: &[
        example("kexec needs-reboot", "Say whether, and why."),
        example("kexec needs-reboot --json", "The same for a script."),
    ],
};

static ENABLE: Text = Text {
    says: &[
        "preload: a unit loads what a reboot would boot at each boot, the hooks of kernel packages \
         load it again when it changes, and a drop-in of `systemd-reboot.service` has every reboot \
         jump into it, whoever asks. A second unit looks at the image before the machine goes \
         down: a stale one is replaced, and one that would swallow a request to the firmware or \
         the boot loader is taken out. Where a package has not brought the units along, they are \
         written.",
        "refresh: the second unit alone, which also loads when `kexec.target` is started and \
         nothing is loaded.",
        "exitrd: the image into which systemd changes at the end of a shutdown gets the program. \
         Few machines need that, and where it is not needed nothing is written: mkinitcpio's \
         default (sd-shutdown) jumps by itself, and the scripts of dracut and of mkinitcpio's \
         hook `shutdown` take a static program of the root file system along.",
        "What is changed and what it costs is said. Refused where it cannot work, and where \
         others than root can write to this program or to a folder above it, because units run \
         it as root by its path.",
        "Either everything is written or nothing; what could not be taken back is said. A file \
         that an earlier call wrote, and that is empty, cut off or cannot be executed any more, is \
         written anew; a file of that name that somebody else wrote is refused.",
    ],
    examples: &[
        example("kexec enable preload", "Every reboot is a kexec."),
        example(
            "kexec enable preload --dry-run",
            "Show what would be changed.",
        ),
    ],
};

static DISABLE: Text = Text {
    says: &[
        "Removes what `kexec enable` made, and takes out what was loaded ahead. What a package \
         brought along stays, and does nothing.",
    ],
    examples: &[example(
        "kexec disable preload",
        "Reboots go through the firmware again.",
    )],
};

static PRELOAD: Text = Text {
    says: &[
        "Loads what a reboot would boot, unless it is loaded already. Does nothing where another \
         image was loaded on purpose, while something waits for the firmware (its setup, an \
         update, BootNext) or the boot loader (an entry to be booted once), after \
         `kexec reboot --cold`, with `kexec=off` on the kernel's command line, or where the files \
         have more than a quarter of the free memory.",
        "With --at-shutdown nothing happens unless a shutdown is under way that ends in a reboot \
         or a kexec. What was loaded ahead is compared with what a reboot would boot, replaced \
         or taken out. Where that cannot be told it stays, and the next boot says so, in its \
         journal and in `kexec status`.",
    ],
    examples: &[
        example("kexec preload", "Load it, or say why not."),
        example(
            "kexec preload --instance linux-lts",
            "What `kexec-load@linux-lts.service` does.",
        ),
        example(
            "kexec preload --enabled",
            "What `kexec-load-enabled.service` does.",
        ),
    ],
};

static HELP: Text = Text {
    says: &["Prints the same as --help behind that verb, or without a verb."],
    examples: &[
        example("kexec help", "Verbs and options."),
        example("kexec help reboot", "The options of `kexec reboot`."),
    ],
};

static VERSION: Text = Text {
    says: &[
        "Prints the same as `kexec --version`: the version of this program, and of the \
         kexec-tools whose command line it takes.",
    ],
    examples: &[
        example("kexec version", "One line; the second word is the version."),
        example("kexec version --json", "The same for a script."),
    ],
};

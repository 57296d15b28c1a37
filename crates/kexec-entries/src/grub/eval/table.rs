//! GRUB's commands, as a table: which of them are run here, which have no effect
//! on what is booted, and which end the run.

use super::{Call, Evaluator, Flow};

/// What a command does.
#[derive(Clone, Copy)]
pub(super) enum Command {
    /// It is run here.
    Run(fn(&mut Evaluator<'_>, &Call<'_>) -> Flow),
    /// It changes nothing that matters, and succeeds.
    Succeeds,
    /// It changes nothing that matters; whether it succeeds, only the firmware
    /// knows.
    Indifferent,
    /// As `Indifferent`, and puts what it found into the variable that this
    /// option names, or the last argument.
    Tells(&'static [&'static str]),
    /// It loads something that is no kernel for us.
    Loads(&'static str),
    /// GRUB ends here.
    Ends(&'static str),
    /// It changes the menu or the variables in a way that is not followed.
    Opaque,
}

use Command::{Ends, Indifferent, Loads, Opaque, Run, Succeeds, Tells};

/// Every command by its names: those of the manual's chapter "Commands", of the
/// `command.lst` of Debian's GRUB, and of the distributions' patches.
const COMMANDS: &[(Command, &[&str])] = &[
    (Run(|machine, call| machine.source(call)), &[".", "source"]),
    (Run(|machine, call| machine.blscfg(call)), &["blscfg"]),
    (
        Run(|machine, call| machine.mount_subvolume(call)),
        &["btrfs-mount-subvol"],
    ),
    (
        Run(|machine, call| machine.leave_loop(call)),
        &["break", "continue"],
    ),
    (
        Run(|machine, call| machine.configfile(call)),
        &["configfile"],
    ),
    (Run(|machine, call| machine.cpuid(call)), &["cpuid"]),
    (
        Run(|machine, call| machine.count(call)),
        &["decrement", "increment"],
    ),
    (
        Run(|machine, call| machine.devicetree(call)),
        &["devicetree"],
    ),
    (Run(|machine, call| machine.echo(call)), &["echo"]),
    (Run(|machine, call| machine.eval(call)), &["eval"]),
    (Run(|machine, call| machine.export(call)), &["export"]),
    (
        Run(|machine, call| machine.nothing(call)),
        &["false", "true"],
    ),
    (Run(|machine, call| machine.fwsetup(call)), &["fwsetup"]),
    (
        Run(|machine, call| machine.initrd(call)),
        &["initrd", "initrd16", "initrdefi"],
    ),
    (Run(|machine, call| machine.insmod(call)), &["insmod"]),
    (
        Run(|machine, call| machine.linux(call)),
        &["linux", "linux16", "linuxefi", "linux_xen"],
    ),
    (Run(|machine, call| machine.load_env(call)), &["load_env"]),
    (
        Run(|machine, call| machine.menuentry(call)),
        &["hiddenentry", "menuentry", "submenu"],
    ),
    (
        Run(|machine, call| machine.module(call)),
        &["module", "module2"],
    ),
    (
        Run(|machine, call| machine.multiboot(call)),
        &["multiboot", "multiboot2"],
    ),
    (Run(|machine, call| machine.normal(call)), &["normal"]),
    (Run(|machine, call| machine.probe(call)), &["probe"]),
    (Run(|machine, call| machine.regexp(call)), &["regexp"]),
    (
        Run(|machine, call| machine.leave_function(call)),
        &["return"],
    ),
    (Run(|machine, call| machine.save_env(call)), &["save_env"]),
    (
        Run(|machine, call| machine.search(call)),
        &[
            "search",
            "search.disk_uuid",
            "search.file",
            "search.fs_label",
            "search.fs_uuid",
            "search.part_label",
            "search.part_uuid",
        ],
    ),
    (Run(|machine, call| machine.set(call)), &["set"]),
    (Run(|machine, call| machine.setparams(call)), &["setparams"]),
    (Run(|machine, call| machine.shift(call)), &["shift"]),
    (Run(|machine, call| machine.test(call)), &["[", "test"]),
    (Run(|machine, call| machine.unset(call)), &["unset"]),
    (
        Run(|machine, call| machine.extract(call, true)),
        &["extract_entries_configfile"],
    ),
    (
        Run(|machine, call| machine.extract(call, false)),
        &["extract_entries_source"],
    ),
    (
        Succeeds,
        &[
            "clear",
            "date",
            "help",
            "list_env",
            "list_trusted",
            "ls",
            "lsfonts",
            "lsmod",
            "password",
            "password_pbkdf2",
        ],
    ),
    (
        Indifferent,
        &[
            "915resolution",
            "acpi",
            "all_functional_test",
            "authenticate",
            "background_color",
            "background_image",
            "backtrace",
            "badram",
            "bli",
            "blocklist",
            "boottime",
            "btrfs-info",
            "btrfs-list-subvols",
            "cat",
            "cbmemc",
            "cmosclean",
            "cmosdump",
            "cmosset",
            "cmostest",
            "cmp",
            "coreboot_boottime",
            "crc",
            "cryptomount",
            "cutmem",
            "distrust",
            "drivemap",
            "dump",
            "efi-export-env",
            "efi-load-env",
            "efiemu_loadcore",
            "efiemu_prepare",
            "efiemu_unload",
            "fakebios",
            "file",
            "fix_video",
            "functional_test",
            "gdbstub",
            "gdbstub_break",
            "gdbstub_stop",
            "gettext",
            "gptsync",
            "hashsum",
            "hdparm",
            "hello",
            "hexdump",
            "keymap",
            "keystatus",
            "legacy_check_password",
            "legacy_password",
            "loadbios",
            "loadfont",
            "loopback",
            "lsacpi",
            "lsapm",
            "lscoreboot",
            "lsefi",
            "lsefimmap",
            "lsefisystab",
            "lsmmap",
            "lspci",
            "lssal",
            "macppcbless",
            "mactelbless",
            "md5sum",
            "nativedisk",
            "net_add_addr",
            "net_add_dns",
            "net_add_route",
            "net_bootp",
            "net_bootp6",
            "net_del_addr",
            "net_del_dns",
            "net_del_route",
            "net_dhcp",
            "net_get_dhcp_option",
            "net_ipv6_autoconf",
            "net_ls_addr",
            "net_ls_cards",
            "net_ls_dns",
            "net_ls_routes",
            "net_nslookup",
            "outb",
            "outl",
            "outw",
            "parttool",
            "play",
            "rmmod",
            "sendkey",
            "serial",
            "sha1sum",
            "sha256sum",
            "sha512sum",
            "sleep",
            "spkmodem",
            "terminal_input",
            "terminal_output",
            "terminfo",
            "testload",
            "testspeed",
            "tpm2_key_protector_clear",
            "tpm2_key_protector_init",
            "trust",
            "usb",
            "vbeinfo",
            "vbetest",
            "verify_detached",
            "videoinfo",
            "videotest",
            "write_byte",
            "write_dword",
            "write_word",
            "wrmsr",
            "zfs-bootfs",
            "zfsinfo",
            "zfskey",
        ],
    ),
    (
        Tells(&["--set", "-s", "-v", "--output", "-o"]),
        &[
            "btrfs-get-default-subvol",
            "getenv",
            "gptprio.next",
            "gptpriority",
            "hwmatch",
            "inb",
            "inl",
            "inw",
            "lsefivar",
            "pcidump",
            "rdmsr",
            "read",
            "read_byte",
            "read_dword",
            "read_file",
            "read_word",
            "setpci",
            "smbios",
            "stat",
            "tr",
            "version",
        ],
    ),
    (
        Loads("it starts another boot loader"),
        &[
            "appleloader",
            "chainloader",
            "freedos",
            "ntldr",
            "pxechainloader",
            "truecrypt",
        ],
    ),
    (
        Loads("it starts a kernel that is not Linux"),
        &[
            "kfreebsd",
            "kfreebsd_loadenv",
            "kfreebsd_module",
            "kfreebsd_module_elf",
            "knetbsd",
            "knetbsd_module",
            "knetbsd_module_elf",
            "kopenbsd",
            "kopenbsd_ramdisk",
            "plan9",
            "xnu_devprop_load",
            "xnu_kernel",
            "xnu_kernel64",
            "xnu_kext",
            "xnu_kextdir",
            "xnu_mkext",
            "xnu_ramdisk",
            "xnu_resume",
            "xnu_splash",
            "xnu_uuid",
        ],
    ),
    (
        Loads("it starts a hypervisor by a device tree"),
        &["xen_hypervisor", "xen_module"],
    ),
    (Ends("it boots what is loaded"), &["boot"]),
    (Ends("it leaves GRUB"), &["exit", "normal_exit"]),
    (Ends("it switches the machine off"), &["halt"]),
    (Ends("it restarts the machine"), &["reboot"]),
    (
        Opaque,
        &[
            "blsuki",
            "uki",
            "extract_legacy_entries_configfile",
            "extract_legacy_entries_source",
            "extract_syslinux_entries_configfile",
            "extract_syslinux_entries_source",
            "legacy_configfile",
            "legacy_initrd",
            "legacy_initrd_nounzip",
            "legacy_kernel",
            "legacy_source",
            "syslinux_configfile",
            "syslinux_source",
            "time",
        ],
    ),
];

/// The command of a name.
pub(super) fn find(name: &str) -> Option<Command> {
    let command = COMMANDS.iter().find(|(_, names)| names.contains(&name));
    command.map(|(command, _)| *command)
}

#[cfg(test)]
mod tests {
    use super::COMMANDS;

    #[test]
    fn every_command_is_there_once() {
        let mut names: Vec<&str> = COMMANDS
            .iter()
            .flat_map(|(_, names)| *names)
            .copied()
            .collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}

#!/bin/sh
# Run by mmdebstrap with the root of a fresh system: adds the second kernel
# and makes the system start and stop quickly when it is interpreted.
#
# LAB_INIT: which init; LAB_KERNEL, LAB_MODULES, LAB_RELEASE: the second
# kernel; LAB_RELEASES: where to list all kernels, the newest first.
set -eu
root=$1

# A kernel that brings its own vmlinuz below its modules keeps it there.
cp "$LAB_KERNEL" "$root/boot/vmlinuz-$LAB_RELEASE"
mkdir -p "$root/usr/lib/modules"
cp -a "$LAB_MODULES" "$root/usr/lib/modules/"
config=${LAB_KERNEL%/*}/config-$LAB_RELEASE
[ ! -e "$config" ] || cp "$config" "$root/boot/"
chroot "$root" depmod "$LAB_RELEASE"
if [ -x "$root/usr/sbin/update-initramfs" ] && [ -e "$root/usr/sbin/mkinitramfs" ]; then
	chroot "$root" update-initramfs -c -k "$LAB_RELEASE"
fi
if [ -x "$root/usr/bin/dracut" ]; then
	for kernel in "$root"/boot/vmlinuz-*; do
		release=${kernel##*/vmlinuz-}
		chroot "$root" dracut --quiet --force --no-hostonly "/boot/initrd.img-$release" "$release"
	done
fi
for kernel in "$root"/boot/vmlinuz-*; do echo "${kernel##*/vmlinuz-}"; done |
	sort -rV > "$LAB_RELEASES"

rm -f "$root/var/lib/dbus/machine-id"
# Says how this machine reaches its mirror.
rm -f "$root/etc/apt/apt.conf.d/99mmdebstrap"

case $LAB_INIT in
Sysvinit)
	# Nobody logs in; the lab's runner starts when the runlevel is reached, and
	# is no process of init's, which would end it first.
	sed -i '/getty/d' "$root/etc/inittab"
	echo 'lab:2345:once:/usr/bin/setsid --fork /lab/run' >> "$root/etc/inittab"
	exit 0
	;;
Busybox)
	for name in init reboot poweroff halt; do
		ln -sf ../bin/busybox "$root/usr/sbin/$name"
	done
	exit 0
	;;
esac

# Units that cost seconds and prove nothing here.
for unit in \
	apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
	e2scrub_all.timer e2scrub_reap.service fstrim.timer systemd-tmpfiles-clean.timer \
	getty@.service getty.target serial-getty@.service \
	systemd-journal-flush.service systemd-journal-catalog-update.service \
	systemd-hwdb-update.service systemd-update-done.service ldconfig.service \
	systemd-machine-id-commit.service systemd-firstboot.service systemd-sysusers.service \
	systemd-random-seed.service systemd-boot-random-seed.service systemd-boot-update.service \
	systemd-pstore.service systemd-rfkill.service systemd-rfkill.socket \
	systemd-tpm2-setup.service systemd-tpm2-setup-early.service \
	systemd-pcrphase.service systemd-pcrphase-sysinit.service systemd-pcrmachine.service \
	systemd-pcrextend.socket systemd-pcrlock.socket systemd-networkd.service \
	systemd-networkd.socket systemd-networkd-wait-online.service systemd-timesyncd.service \
	systemd-udev-settle.service systemd-update-utmp.service systemd-update-utmp-runlevel.service \
	proc-sys-fs-binfmt_misc.automount systemd-binfmt.service \
	sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount \
	sys-fs-fuse-connections.mount dev-hugepages.mount dev-mqueue.mount \
	grub-common.service grub2-common.service systemd-modules-load.service \
	systemd-udev-load-credentials.service systemd-mute-console.socket \
	modprobe@drm.service modprobe@fuse.service modprobe@configfs.service \
	kmod-static-nodes.service keyboard-setup.service console-setup.service
do
	ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
conf() { # conf FILE: standard input becomes a file below /etc/systemd
	mkdir -p "$root/etc/systemd/${1%/*}"
	cat > "$root/etc/systemd/$1"
}
conf system/systemd-udev-trigger.service.d/lab.conf <<-'END'
	[Service]
	ExecStart=
	ExecStart=-udevadm trigger --type=devices --action=add --subsystem-match=block
END
conf journald.conf.d/lab.conf <<-'END'
	[Journal]
	Storage=volatile
	RuntimeMaxUse=8M
END
conf system.conf.d/lab.conf <<-'END'
	[Manager]
	DefaultTimeoutStartSec=60s
END

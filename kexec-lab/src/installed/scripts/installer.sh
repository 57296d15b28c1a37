#!/bin/sh
# First program of a guest that finishes the installation of its own disk: the
# lab's initramfs has mounted the root file system for writing.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C DEBIAN_FRONTEND=noninteractive
OUT=/dev/ttyS1
TMP=/run
stty -F $OUT raw -echo
. /lab/functions
mkdir -p /dev/pts
udevd=/usr/lib/systemd/systemd-udevd
[ -x $udevd ] || udevd=/lib/systemd/systemd-udevd
$udevd --daemon
udevadm trigger --subsystem-match=block
udevadm settle
modprobe -a vfat nls_cp437 nls_ascii
{
	echo
	echo "@stage install"
	uname -r | bytes release
	bytes cmdline < /proc/cmdline
	bytes cpus < /sys/devices/system/cpu/online
	bytes memmap < /dev/null
	bytes iomem < /dev/null
	bytes uptime < /proc/uptime
} > $OUT
for place in $(grep -v '^#' /etc/fstab | awk '$2 != "/" { print $2 }'); do
	run mount:$place mount "$place"
done
. /lab/install-script
run stop-udev udevadm control --exit
for place in /boot/efi /efi /boot; do
	if mountpoint -q $place; then run umount:$place umount $place; fi
done
# Whatever was started here lets go of its files in a moment.
read_only() {
	for second in 1 2 3 4 5; do
		mount -o remount,ro / && return
		sleep 1
	done
	ls -l /proc/[0-9]*/exe /proc/[0-9]*/fd
	return 1
}
run remount read_only
sync
say @done
echo o > /proc/sysrq-trigger
sleep 1000

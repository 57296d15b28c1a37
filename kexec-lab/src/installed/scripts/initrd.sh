#!/bin/busybox sh
# First program of the lab's own initramfs for installed systems: mounts the
# root file system that the command line names and goes on there.
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs -o mode=0755,nosuid,nodev,noexec run /run
root= init=/sbin/init mode=ro
for word in $(cat /proc/cmdline); do
	case $word in
	root=*) root=${word#root=} ;;
	init=*) init=${word#init=} ;;
	rw) mode=rw ;;
	esac
done
while read -r module; do insmod "/modules/$module"; done < /modules/list
tries=0
while :; do
	case $root in
	UUID=* | LABEL=*) device=$(findfs "$root") ;;
	*) device=$root ;;
	esac
	[ -b "$device" ] && break
	tries=$((tries + 1))
	if [ $tries = 100 ]; then
		echo "lab: no device for root=$root" > /dev/console
		sleep 1
		reboot -f
	fi
	usleep 50000
done
mount -t ext4 -o $mode "$device" /mnt
for folder in dev proc sys run; do mount -o move /$folder /mnt/$folder; done
exec switch_root /mnt "$init"

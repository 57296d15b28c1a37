#!/bin/busybox sh
# First program of every guest of the lab, in the first kernel and in those
# after it. What it reports goes to the second serial port, apart from the
# kernel's console, as lines that src/guest/protocol.rs reads:
#
#   @stage NAME          this kernel's user space begins
#   @begin NAME ... @end NAME   bytes, in base64
#   @run LABEL CODE      a command ended; its two outputs follow as bytes
#   @jump                the machine is about to leave this kernel
#   @done                nothing more will come from this kernel
#
# Each group is written by one open and close of the port: the close waits
# until the last byte is out.

export PATH=/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp

OUT=/dev/ttyS1
TMP=/tmp
stty -F $OUT raw -echo
read -r STAGE < /lab/stage
NEXT=/next/vmlinuz
NEXT_INITRD=/next/initrd
BOOT_PARAMS=/sys/kernel/boot_params
CONSOLE="console=ttyS0 panic=-1"

. /lab/functions
# table FOLDER FIELD...: one line for each numbered folder of a sysfs table.
table() {
	folder=$1
	shift
	number=0
	while [ -d "$folder/$number" ]; do
		row=
		for field; do
			read -r value < "$folder/$number/$field"
			row="$row${row:+ }$value"
		done
		echo "$row"
		number=$((number + 1))
	done
}

# setup_data: one line for each item of the list: its type, its data in
# hexadecimal.
setup_data() {
	for item in $(cd $BOOT_PARAMS/setup_data && ls | sort -n); do
		read -r type < "$BOOT_PARAMS/setup_data/$item/type"
		echo "$type $(hexdump -v -e '1/1 "%02x"' "$BOOT_PARAMS/setup_data/$item/data")"
	done
}

# What every stage reports about its machine.
report() {
	{
		# The firmware may have left an unfinished line on the port.
		echo
		echo "@stage $STAGE"
		uname -r | bytes release
		bytes cmdline < /proc/cmdline
		bytes cpus < /sys/devices/system/cpu/online
		table /sys/firmware/memmap start end type | bytes memmap
		bytes iomem < /proc/iomem
		if [ -d $BOOT_PARAMS ]; then
			bytes boot-params < $BOOT_PARAMS/data
			bytes boot-params-version < $BOOT_PARAMS/version
			if [ -d $BOOT_PARAMS/setup_data ]; then setup_data; fi | bytes setup-data
		fi
		if [ -d /sys/firmware/acpi/tables ]; then
			(cd /sys/firmware/acpi/tables && find . -type f -exec sha256sum {} + ) |
				sort -k 2 | bytes acpi
		fi
		if [ -d /sys/firmware/efi ]; then
			table /sys/firmware/efi/runtime-map type phys_addr virt_addr num_pages attribute |
				bytes efi-runtime-map
		fi
		bytes uptime < /proc/uptime
	} > $OUT
}

report
[ -r /lab/script ] && . /lab/script
say @done
poweroff -f

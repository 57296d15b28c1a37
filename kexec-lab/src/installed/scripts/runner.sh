#!/bin/sh
# Runs one stage of a trial in an installed system, once per boot, when the
# system is up. It speaks the protocol of the lab's guests (src/scripts/functions.sh).
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C
OUT=/dev/ttyS1
TMP=/run/lab
mkdir -p $TMP
stty -F $OUT raw -echo
. /lab/functions

# Which boot of the trial this is: kept on the disk, where a jump and a cold
# boot find it alike.
number=0
[ ! -r /lab/count ] || read -r number < /lab/count
number=$((number + 1))
echo $number > /lab/count
sync
STAGE=stage-$number
[ ! -r /lab/trial/$number.name ] || read -r STAGE < /lab/trial/$number.name

# jump COMMAND...: a command that is meant to end this boot. If it says that
# it will, the script waits for that.
jump() {
	say @jump
	if run jump "$@"; then sleep 1000; fi
}
# What a file system says when it was not unmounted, and when it was.
file_systems() { dmesg | grep -i -e 'EXT4-fs' -e 'JBD2' -e 'FAT-fs' -e 'orphan'; }
{
	# The firmware may have left an unfinished line on the port.
	echo
	echo "@stage $STAGE"
	uname -r | bytes release
	bytes cmdline < /proc/cmdline
	bytes cpus < /sys/devices/system/cpu/online
	bytes memmap < /dev/null
	bytes iomem < /dev/null
	file_systems | bytes file-systems
	bytes uptime < /proc/uptime
} > $OUT
[ ! -r /lab/trial/$number ] || . /lab/trial/$number
say @done
sync
echo o > /proc/sysrq-trigger
sleep 1000

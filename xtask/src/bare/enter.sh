# Runs one command in a root, in namespaces of its own: what is mounted goes with them,
# however they end. enter.sh ROOT TOOLCHAIN LAB COMMAND
set -eu
root=$1 toolchain=$2 lab=$3 wanted=$4
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
mount --bind "$toolchain" "$root/opt/rust"
mount -o remount,bind,ro "$root/opt/rust"
mount --bind "$lab" "$root/lab"
cd /
exec chroot "$root" /bin/sh -eu -c "cd /root/kexec-rs && exec $wanted" 2>&1

# Run in the root of an installed system that is to boot with systemd-boot and
# type 1 entries; $@: the kernels.
export SYSTEMD_RELAX_ESP_CHECKS=1 LC_ALL=C
mount -t proc proc /proc
# Only a file system is accepted, a folder is not.
mount -t tmpfs -o mode=0700 esp /mnt
mkdir -p /etc/kernel
cp /etc/machine-id /etc/kernel/entry-token
printf 'layout=bls\nBOOT_ROOT=/mnt\n' > /etc/kernel/install.conf
bootctl --esp-path=/mnt --no-variables install
# systemd 252's kernel-install takes these from the environment.
export BOOT_ROOT=/mnt
for release; do
	kernel-install add "$release" "/boot/vmlinuz-$release" "/boot/initrd.img-$release"
done
printf 'layout=bls\n' > /etc/kernel/install.conf
printf 'timeout 0\n' > /mnt/loader/loader.conf
cp -r /mnt/. /efi/

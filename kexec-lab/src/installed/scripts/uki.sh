# Run in the root of an installed system that is to boot with systemd-boot and
# unified kernel images; $@: the kernels.
export SYSTEMD_RELAX_ESP_CHECKS=1 LC_ALL=C
mount -t proc proc /proc
# Only a file system is accepted, a folder is not.
mount -t tmpfs -o mode=0700 esp /mnt
bootctl --esp-path=/mnt --no-variables install
stub=/usr/lib/systemd/boot/efi/linuxx64.efi.stub
mkdir -p /mnt/EFI/Linux
for release; do
	image=/mnt/EFI/Linux/debian-$release.efi
	if [ -x /usr/bin/ukify ]; then
		ukify build --linux="/boot/vmlinuz-$release" --initrd="/boot/initrd.img-$release" \
			--cmdline=@/etc/kernel/cmdline --uname="$release" --os-release=@/etc/os-release \
			--stub="$stub" --output="$image"
		continue
	fi
	# The addresses of systemd-stub(7)'s example in systemd 252, which leave
	# room for a kernel of this size.
	tr -d '\n' < /etc/kernel/cmdline > /tmp/cmdline
	printf %s "$release" > /tmp/uname
	objcopy \
		--add-section .osrel=/etc/os-release --change-section-vma .osrel=0x20000 \
		--add-section .cmdline=/tmp/cmdline --change-section-vma .cmdline=0x30000 \
		--add-section .uname=/tmp/uname --change-section-vma .uname=0x40000 \
		--add-section .linux="/boot/vmlinuz-$release" --change-section-vma .linux=0x2000000 \
		--add-section .initrd="/boot/initrd.img-$release" --change-section-vma .initrd=0x3000000 \
		"$stub" "$image"
	rm /tmp/cmdline /tmp/uname
done
printf 'timeout 0\n' > /mnt/loader/loader.conf
cp -r /mnt/. /boot/efi/

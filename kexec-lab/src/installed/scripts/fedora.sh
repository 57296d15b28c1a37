# Run in the root of an installed system that is to look as Fedora leaves it;
# $@: the kernels, the default first. Boot entries are files of the Boot
# Loader Specification on an ext4 /boot, and GRUB's script hands over to them.
id=$(cat /etc/machine-id)
cmdline=$(cat /etc/kernel/cmdline)
mkdir -p /boot/loader/entries /boot/grub2
for release; do
	mv "/boot/initrd.img-$release" "/boot/initramfs-$release.img"
	cat > "/boot/loader/entries/$id-$release.conf" <<-END
		title Fedora Linux ($release) 44 (Lab)
		version $release
		linux /vmlinuz-$release
		initrd /initramfs-$release.img
		options $cmdline
		grub_users \$grub_users
		grub_arg --unrestricted
		grub_class fedora
	END
done
rm -f /vmlinuz* /initrd.img*
cat > /boot/grub2/grub.cfg <<'END'
set pager=1
if [ -s $prefix/grubenv ]; then
  load_env
fi
if [ "${next_entry}" ]; then
  set default="${next_entry}"
  set next_entry=
  save_env next_entry
  set boot_once=true
else
  set default="${saved_entry}"
fi
terminal_output console
set timeout=0
search --no-floppy --label --set=root boot
insmod blsuki
blscfg
END
grub-editenv /boot/grub2/grubenv create
grub-editenv /boot/grub2/grubenv set "saved_entry=$id-$1"

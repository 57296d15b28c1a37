# GRUB in /boot/grub2, where Debian's own grub-install does not put it.
modules=/usr/lib/grub/i386-pc
mkdir -p /boot/grub2/i386-pc
cp $modules/*.mod $modules/*.lst $modules/boot.img /boot/grub2/i386-pc/
run grub-mkimage grub-mkimage -O i386-pc -p '(hd0,msdos1)/grub2' \
	-o /boot/grub2/i386-pc/core.img biosdisk part_msdos ext2
run grub-bios-setup $modules/grub-bios-setup --directory=/boot/grub2/i386-pc /dev/vda

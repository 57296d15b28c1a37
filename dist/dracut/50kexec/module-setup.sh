#!/bin/bash
# dracut module: the kexec program in the initramfs, from which dracut makes the
# image that systemd changes into at the end of a shutdown. dracut takes the one of
# the root file system where this is missing, which fails where /usr is a file
# system of its own. `kexec enable exitrd` adds it.

check() {
	require_binaries kexec || return 1
	# Only where it is asked for.
	return 255
}

depends() {
	return 0
}

install() {
	inst_multiple kexec
}

# For drgn: what a dump says of its machine, and what is read through the kernel's page tables
# by the kernel's own symbol table.
import re

from drgn import ProgramFlags
from drgn.helpers.linux.kallsyms import load_vmlinux_kallsyms

info = prog["VMCOREINFO"].string_().decode()
print("release:", re.search(r"^OSRELEASE=(.*)$", info, re.M).group(1))
print("crashed:", re.search(r"^CRASHTIME=(.*)$", info, re.M).group(1))
print("linux kernel:", bool(prog.flags & ProgramFlags.IS_LINUX_KERNEL))
prog.register_symbol_finder("kallsyms", load_vmlinux_kallsyms(prog), enable_index=0)
banner = prog.symbol("linux_banner").address
print("banner:", prog.read(banner, 200).split(b"\n")[0].decode())

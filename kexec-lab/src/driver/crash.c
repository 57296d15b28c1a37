// SPDX-License-Identifier: MIT OR GPL-2.0
// What a test needs a kernel to do that user space cannot ask it for.
//   what=null                reads through a NULL pointer
//   what=spoil from= to=     changes a byte of the initrd that is loaded between these two
//                            addresses, by another mapping than the kernel's own, which is
//                            read only
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

static char *what = "";
module_param(what, charp, 0);
static unsigned long from;
module_param(from, ulong, 0);
static unsigned long to;
module_param(to, ulong, 0);

// Not seen by the compiler, which would leave out what is undefined.
static int *volatile nowhere;

static int __init spoil(void)
{
	unsigned long at;

	for (at = PAGE_ALIGN(from); at + PAGE_SIZE <= to; at += PAGE_SIZE) {
		struct page *page = pfn_to_page(at >> PAGE_SHIFT);
		// Nobody else has this mapping, and it is gone before the next page.
		char *bytes = vmap(&page, 1, VM_MAP, PAGE_KERNEL);
		bool found;

		if (!bytes)
			return -ENOMEM;
		// Every archive of initramfs begins so (buffer-format.rst).
		found = !memcmp(bytes, "070701", 6);
		if (found)
			bytes[1000] ^= 1;
		vunmap(bytes);
		if (found) {
			pr_info("lab_crash: spoilt the initrd at %#lx\n", at);
			return 0;
		}
	}
	return -ENOENT;
}

static int __init crash_init(void)
{
	if (!strcmp(what, "null"))
		return *nowhere;
	if (!strcmp(what, "spoil"))
		return spoil();
	return -EINVAL;
}
module_init(crash_init);

MODULE_DESCRIPTION("Crashes, or spoils what is there for a crash");
MODULE_LICENSE("Dual MIT/GPL");

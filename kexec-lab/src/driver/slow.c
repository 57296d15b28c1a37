// SPDX-License-Identifier: MIT OR GPL-2.0
// A driver for QEMU's device `edu` (docs/specs/edu.rst of QEMU: 1234:11e8) that takes a
// second to let go of it, as real controllers do that flush their caches.
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/pci.h>

static int slow_probe(struct pci_dev *device, const struct pci_device_id *id)
{
	return 0;
}

static void slow_remove(struct pci_dev *device)
{
	msleep(1000);
}

static void slow_shutdown(struct pci_dev *device)
{
	msleep(1000);
}

static const struct pci_device_id slow_ids[] = {
	{ PCI_DEVICE(0x1234, 0x11e8) },
	{ }
};
MODULE_DEVICE_TABLE(pci, slow_ids);

static struct pci_driver slow_driver = {
	.name = "lab_slow",
	.id_table = slow_ids,
	.probe = slow_probe,
	.remove = slow_remove,
	.shutdown = slow_shutdown,
};
module_pci_driver(slow_driver);

MODULE_DESCRIPTION("Devices that take a second to shut down");
MODULE_LICENSE("Dual MIT/GPL");

# For drgn: the messages of the kernel's log (Documentation/admin-guide/kdump/vmcoreinfo.rst:
# "prb", the structures printk_*), oldest first, one a line. No type is known: what is read is
# found by the numbers of vmcoreinfo.
import re

info = prog["VMCOREINFO"].string_().decode()
numbers = {}
for line in info.splitlines():
    key, _, value = line.partition("=")
    numbers[key] = int(value, 16 if key.startswith("SYMBOL") else 10) if re.fullmatch(
        r"(SYMBOL|SIZE|OFFSET|LENGTH|NUMBER)\(.*\)", key
    ) and re.fullmatch(r"-?[0-9a-f]+", value) else value


def offset(name):
    return numbers[f"OFFSET({name})"]


def size(name):
    return numbers[f"SIZE({name})"]


word = prog.read_u64
ring = word(numbers["SYMBOL(prb)"])
descs = ring + offset("printk_ringbuffer.desc_ring")
texts = ring + offset("printk_ringbuffer.text_data_ring")
count = 1 << prog.read_u32(descs + offset("prb_desc_ring.count_bits"))
desc_at = word(descs + offset("prb_desc_ring.descs"))
info_at = word(descs + offset("prb_desc_ring.infos"))
counter = offset("atomic_long_t.counter")
head = word(descs + offset("prb_desc_ring.head_id") + counter)
tail = word(descs + offset("prb_desc_ring.tail_id") + counter)
bits = prog.read_u32(texts + offset("prb_data_ring.size_bits"))
data = word(texts + offset("prb_data_ring.data"))
ids = (1 << 62) - 1

number = tail
while True:
    at = number & (count - 1)
    desc = desc_at + at * size("prb_desc")
    state = word(desc + offset("prb_desc.state_var") + counter)
    # Committed or finalized, and still of this id.
    if state >> 62 in (1, 2) and state & ids == number:
        block = desc + offset("prb_desc.text_blk_lpos")
        begin = word(block + offset("prb_data_blk_lpos.begin"))
        end = word(block + offset("prb_data_blk_lpos.next"))
        length = prog.read_u16(
            info_at + at * size("printk_info") + offset("printk_info.text_len")
        )
        text = b""
        if not begin & 1:
            first = begin & ((1 << bits) - 1)
            # A block that does not fit before the end is at the beginning.
            if begin >> bits != (end - 1) >> bits:
                first = 0
            text = prog.read(data + first + 8, length)
        print(
            "".join(
                chr(byte) if 32 <= byte < 127 or byte == 9 else f"\\x{byte:02x}" for byte in text
            )
        )
    if number == head:
        break
    number = (number + 1) & ids

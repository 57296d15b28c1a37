//! Classic plans: a memory map as text and a kernel with damaged headers. What
//! comes out is sound, or a refusal.
#![no_main]

use std::sync::LazyLock;

use kexec_image::testing::patched;
use kexec_plan::classic::ElfArgs;
use kexec_plan::memory::MemoryFacts;
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/kexec-plan/tests/common/mod.rs"]
mod common;

use common::{Ask, Bz, assert_sound, elf, multiboot1, multiboot2, piece, vmlinux};

const MAP: &str = include_str!("../../crates/kexec-plan/tests/maps/kho-scratch.txt");

static KERNELS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let plain = common::Load(0x20_0000, 0x20_0000, vec![0x90; 64], 0x1000);
    vec![
        Bz::default().build(),
        vmlinux(),
        multiboot1(),
        multiboot2(Some([0, u32::MAX, 4096, 1])),
        elf(true, 0x20_0000, &[plain], false, &[]),
    ]
});

fuzz_target!(|data: &[u8]| {
    // Which kernel, how much initrd, changes of the map, changes of the kernel.
    let [which, initrd, len, rest @ ..] = data else {
        return;
    };
    let (map, kernel) = rest.split_at(rest.len().min(4 * usize::from(*len)));
    let text = patched(|| MAP.as_bytes().to_vec(), map);
    let Ok(memory) = MemoryFacts::parse(&String::from_utf8_lossy(&text)) else {
        return;
    };
    let base = &KERNELS[usize::from(*which) % KERNELS.len()];
    let file = patched(|| base.clone(), kernel);
    let options = kexec_image::Options::default();
    let Ok(image) = kexec_image::recognise(file.into(), &options) else {
        return;
    };
    let mut ask = Ask::new(Bz::default().build(), memory);
    ask.image = image;
    ask.initrd = vec![piece("initrd", u64::from(*initrd) << 22)];
    ask.options.entry_32bit = which & 0x80 != 0;
    if which & 0x40 != 0 {
        ask.options.preserve_context = true;
        ask.options.mem_max = Some(u64::from(*len) << 23);
    }
    if which & 0x20 != 0 {
        ask.dtb = Some(kernel.to_vec().into());
        ask.options.elf_args = ElfArgs::ElfNotes;
    }
    if let Ok(plan) = ask.plan() {
        assert_sound(&plan, &ask.memory);
    }
});

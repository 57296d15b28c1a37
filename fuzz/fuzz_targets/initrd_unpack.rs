//! An initrd is unpacked before the jump: kernels make the same of it as of the files.
#![no_main]

use kexec_load::initrd::unpack::{UnpackRules, unpack};
use kexec_plan::Piece;
use kexec_plan::unpack::UnpackChoice;
use kexec_plan::unpack::cost::Hashing;
use kexec_plan::unpack::memory::Room;
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/kexec-load/src/initrd/unpack/kernel.rs"]
mod kernel;

/// The most that anything is unpacked to, bytes.
const MOST: u64 = 1 << 20;

fn joined(pieces: &[Piece]) -> Vec<u8> {
    let mut all = Vec::new();
    for piece in pieces {
        all.extend_from_slice(&piece.bytes);
        all.resize(all.len() + piece.padding, 0);
    }
    all
}

fn piece(bytes: &[u8], padding: usize) -> Piece {
    Piece {
        origin: "initrd".to_owned(),
        len: bytes.len(),
        padding,
        bytes: bytes.to_vec().into(),
    }
}

// The last byte says how it is unpacked, and whether it is in two pieces.
fuzz_target!(|bytes: &[u8]| {
    let Some((how, bytes)) = bytes.split_last() else {
        return;
    };
    let rules = UnpackRules {
        choice: match how & 1 {
            0 => UnpackChoice::Auto,
            _ => UnpackChoice::Always,
        },
        setting: None,
        forbidden: None,
        hashing: match how & 2 {
            0 => Hashing::Crc32c,
            _ => Hashing::ByTheKernel,
        },
        room: Ok(Room {
            most: MOST >> (how >> 6),
            because: String::new(),
        }),
        reads_lz4: how & 4 != 0,
        threads: usize::from(how & 8) / 4,
    };
    let pieces = match how & 16 {
        0 => vec![piece(bytes, 0)],
        _ => {
            let (first, second) = bytes.split_at(bytes.len() / 2);
            let padding = first.len().next_multiple_of(4) - first.len() + 4;
            vec![piece(first, padding), piece(second, 0)]
        }
    };
    if let Ok((handed, report)) = unpack(&pieces, &rules) {
        let (before, after) = (joined(&pieces), joined(&handed));
        assert!(kernel::unpacks(&before, MOST) == kernel::unpacks(&after, MOST));
        assert!(report.is_changed() || before == after);
        let _ = report.lines();
    }
});

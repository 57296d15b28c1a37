//! The configuration that a kernel was built with, where it carries it
//! (`CONFIG_IKCONFIG=y`): gzip between two markers in its read-only data, from where
//! `scripts/extract-ikconfig` of the kernel's sources takes it too.

use crate::decompress::GZIP;
use crate::{Image, Kernel, Options};

/// In front of it.
const START: [u8; 8] = *b"IKCFG_ST";
/// Behind it.
const END: [u8; 8] = *b"IKCFG_ED";
/// No configuration is larger compressed, bytes; those of distributions have 60 kB.
const MAX_PACKED: usize = 1 << 20;
/// No configuration is larger, bytes; those of distributions have 300 kB.
const MAX_TEXT: u64 = 4 << 20;

/// Looks for the configuration in a kernel that is shown piece by piece.
#[derive(Debug, Default)]
pub struct Finder {
    /// What may be the beginning of a marker; behind the first marker all that follows.
    kept: Vec<u8>,
    /// The first marker was seen.
    started: bool,
    found: Option<String>,
}

impl Finder {
    /// Looks at the next bytes.
    pub fn look(&mut self, bytes: &[u8]) {
        if self.found.is_some() {
            return;
        }
        self.kept.extend_from_slice(bytes);
        loop {
            if !self.started {
                let Some(at) = find(&self.kept, &START) else {
                    let tail = self.kept.len().saturating_sub(START.len() - 1);
                    self.kept.drain(..tail);
                    return;
                };
                self.kept.drain(..at + START.len());
                self.started = true;
            }
            match find(&self.kept, &END) {
                Some(end) => {
                    self.found = unpack(self.kept.get(..end).unwrap_or_default());
                    if self.found.is_some() {
                        self.kept.clear();
                        return;
                    }
                }
                None if self.kept.len() <= MAX_PACKED => return,
                None => {}
            }
            // It was the text of a marker, and nothing else.
            self.started = false;
        }
    }

    /// What was found.
    pub fn text(self) -> Option<String> {
        self.found
    }
}

/// The configuration that a kernel carries. What is compressed in it is unpacked for
/// that, which takes some tenths of a second, and with xz a second or two.
pub fn of(image: &Image) -> Option<String> {
    let mut finder = Finder::default();
    match &image.kernel {
        Kernel::BzImage(kernel) => {
            let cap = Options::default().max_output;
            let show = &mut |bytes: &[u8]| finder.look(bytes);
            // What is wrong with the payload is another check's word.
            let _ = kernel.check_payload_with(&image.bytes, cap, show);
        }
        _ => image.bytes.chunks(1 << 16).for_each(|b| finder.look(b)),
    }
    finder.text()
}

/// The configuration that a kernel carries which is unpacked already.
pub fn of_unpacked(kernel: &[u8]) -> Option<String> {
    let mut rest = kernel;
    while let Some(at) = find(rest, &START) {
        rest = rest.get(at.saturating_add(START.len())..)?;
        let near = rest.get(..MAX_PACKED.min(rest.len()))?;
        if let Some(text) = find(near, &END).and_then(|end| unpack(near.get(..end)?)) {
            return Some(text);
        }
    }
    None
}

fn find(bytes: &[u8], marker: &[u8; 8]) -> Option<usize> {
    memchr::memmem::find(bytes, marker)
}

fn unpack(packed: &[u8]) -> Option<String> {
    let text = (GZIP.probe)(packed).then(|| GZIP.decompress(packed, MAX_TEXT))?;
    Some(String::from_utf8_lossy(&text.ok()?.bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::bzimage::BzImageBuilder;
    use crate::testing::codec::{gzip, zstd};

    const CONFIG: &str = "CONFIG_RD_GZIP=y\n";

    /// A kernel that carries it, with the text of a marker in front.
    fn vmlinux() -> Vec<u8> {
        let mut bytes = vec![b'I'; 5000];
        bytes.extend(b"IKCFG_ST and IKCFG_ED are markers IKCFG_STIKCFG_ED");
        bytes.extend(START);
        bytes.extend(gzip(CONFIG.as_bytes()));
        bytes.extend(END);
        bytes.resize(9000, b'K');
        bytes
    }

    fn found(bytes: &[u8], step: usize) -> Option<String> {
        let mut finder = Finder::default();
        for piece in bytes.chunks(step) {
            finder.look(piece);
        }
        finder.text()
    }

    #[test]
    fn it_is_found_in_pieces_of_any_size() {
        let kernel = vmlinux();
        for step in [1, 2, 7, 8, 9, 100, 4096, kernel.len()] {
            assert_eq!(found(&kernel, step).as_deref(), Some(CONFIG), "{step}");
        }
        // Without its end, or damaged, it is none.
        assert_eq!(found(kernel.get(..5080).unwrap(), 64), None);
        let mut damaged = kernel;
        let at = find(&damaged, b"IKCFG_ST").unwrap();
        let last = damaged.iter().rposition(|b| *b == b'D').unwrap() - 8;
        assert!(last > at);
        damaged[last - 4] ^= 0xff;
        assert_eq!(found(&damaged, 64), None);
    }

    #[test]
    fn a_marker_alone_keeps_no_kernel_in_memory() {
        let mut finder = Finder::default();
        finder.look(&START);
        for _ in 0..40 {
            finder.look(&[0; 64 << 10]);
            assert!(finder.kept.len() <= MAX_PACKED + (64 << 10));
        }
        finder.look(&vmlinux());
        assert_eq!(finder.text().as_deref(), Some(CONFIG));
    }

    #[test]
    fn it_is_found_in_the_payload_of_a_bzimage() {
        let inner = vmlinux();
        let read = |inner: &[u8]| {
            let file = BzImageBuilder::new()
                .payload(zstd(inner), inner.len(), "zstd")
                .build();
            crate::recognise(file.into(), &Options::default()).unwrap()
        };
        let image = read(&inner);
        assert_eq!(of(&image).as_deref(), Some(CONFIG));
        // The proof of the payload shows it too.
        let mut finder = Finder::default();
        crate::verify_showing(&image, &mut |bytes| finder.look(bytes)).unwrap();
        assert_eq!(finder.text().as_deref(), Some(CONFIG));
        assert_eq!(of(&read(&[7; 5000])), None);
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let mut kernel = START.to_vec();
            kernel.extend(bytes);
            kernel.extend(END);
            let _ = found(&kernel, 100);
        }
    }
}

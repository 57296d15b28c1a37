//! An initrd, taken apart as a kernel does it (init/initramfs.c): archives, compressed parts,
//! and what it does not read.

use bytes::Bytes;
use kexec_image::ImageError;
use kexec_image::decompress::xz_methods::methods;
use kexec_image::decompress::{Codec, Meanwhile, detect};
use kexec_plan::Piece;
use kexec_plan::unpack::cost::PartForm;
use kexec_plan::unpack::memory::Room;

use super::early;
use crate::initrd::intact::{LZ4_FRAME, begins_part, foreign_gzip_header, hidden_by_lz4};
use crate::initrd::walk::{Walk, WalkPosition};
use crate::initrd::xz;
use kexec_plan::size::Memory as Size;

/// A run of bytes in one piece of an initrd.
#[derive(Debug)]
pub(super) struct Part {
    /// Which piece.
    pub(super) piece: usize,
    /// Where it begins in that piece.
    pub(super) at: usize,
    /// Where it begins in the whole initrd.
    pub(super) at_all: usize,
    /// Its bytes, with the zeros behind it.
    pub(super) bytes: Bytes,
    /// It is the last part of its piece.
    pub(super) ends_piece: bool,
    /// What it is.
    pub(super) found: Found,
}

/// What a part is.
#[derive(Debug)]
pub(super) enum Found {
    /// Archives that are not compressed, or zeros.
    Raw {
        /// One of its members would be read early.
        is_early: bool,
    },
    /// An archive that is compressed.
    Packed(Packed),
    /// What is not understood, up to the end.
    Rest(Rest),
}

/// A compressed part that unpacks to archives.
#[derive(Debug)]
pub(super) struct Packed {
    /// What it is compressed with.
    pub(super) codec: &'static str,
    /// Its length without the zeros behind it.
    pub(super) used: usize,
    /// What it unpacks to, bytes.
    pub(super) unpacked: usize,
    /// What stands in its place; empty where it stays.
    pub(super) content: Bytes,
    /// The form that was chosen.
    pub(super) form: PartForm,
    /// Why that one.
    pub(super) why: String,
    /// One of its members would be read early, if it were not compressed.
    pub(super) is_early: bool,
}

impl Packed {
    /// It stays as it is.
    pub(super) fn keep(&mut self, why: String) {
        (self.form, self.why) = (PartForm::Packed, why);
        self.content = Bytes::new();
    }
}

/// What is not understood.
#[derive(Debug)]
pub(super) struct Rest {
    /// What it is compressed with, as far as that is known.
    pub(super) codec: Option<&'static str>,
    /// Why it is not unpacked.
    pub(super) why: String,
    /// Kernels may read it, so that it has to begin at a multiple of four as before.
    pub(super) is_read: bool,
}

impl Part {
    /// Whether something else stands in its place.
    pub(super) fn is_replaced(&self) -> bool {
        matches!(&self.found, Found::Packed(packed) if packed.form != PartForm::Packed)
    }

    /// Whether it stays because it is not understood.
    pub(super) fn is_rest(&self) -> bool {
        matches!(self.found, Found::Rest(_))
    }

    /// Whether it has to begin where it does, modulo four: kernels may read it, and what is
    /// in it lies at multiples of four from the start of the whole initrd.
    pub(super) fn is_fixed(&self) -> bool {
        matches!(&self.found, Found::Rest(rest) if rest.is_read)
    }
}

/// An initrd that is being taken apart.
pub(super) struct Split<'a> {
    pieces: &'a [Piece],
    /// Bytes at the end of the last piece that are no archive.
    config: usize,
    threads: usize,
    /// Done now and then while something is unpacked.
    meanwhile: Meanwhile<'a>,
    /// Parts so far.
    parts: usize,
    piece: usize,
    at: usize,
    /// Where this piece begins in the whole initrd.
    base: usize,
    /// Nothing behind this is looked into.
    stopped: Option<Rest>,
}

/// Behind so many parts the rest stays as it is: an archive of nothing takes 44 bytes, and
/// each part takes a kilobyte in what is reported of it.
const MOST_PARTS: usize = 256;

/// Behind so many parts, which no real initrd has, one thread unpacks the rest.
const MANY_PARTS: usize = 16;

/// What the next part of a piece is.
type Step = Result<(usize, Found), Rest>;

impl<'a> Split<'a> {
    pub(super) fn new(
        pieces: &'a [Piece],
        config: usize,
        threads: usize,
        meanwhile: Meanwhile<'a>,
    ) -> Split<'a> {
        Split {
            pieces,
            config,
            threads,
            meanwhile,
            parts: 0,
            piece: 0,
            at: 0,
            base: 0,
            stopped: None,
        }
    }

    /// The next part; compressed ones are unpacked as far as there is room.
    pub(super) fn next_part(&mut self, room: &Room) -> Option<Part> {
        loop {
            let piece = self.pieces.get(self.piece)?;
            let config = match self.piece + 1 == self.pieces.len() {
                true => self.config,
                false => 0,
            };
            let bytes = piece
                .bytes
                .slice(..piece.bytes.len().saturating_sub(config));
            let rest = bytes.slice(self.at.min(bytes.len())..);
            if rest.is_empty() {
                // An empty piece still has its padding.
                self.base = self
                    .base
                    .saturating_add(piece.len)
                    .saturating_add(piece.padding);
                (self.piece, self.at) = (self.piece + 1, 0);
                continue;
            }
            let at_all = self.base.saturating_add(self.at);
            let step = match self.stopped.take() {
                Some(stopped) => Err(stopped),
                None if self.parts >= MOST_PARTS => Err(Rest {
                    codec: None,
                    why: format!("it is behind {MOST_PARTS} parts, and no more are unpacked"),
                    is_read: true,
                }),
                None => self.step(&rest, at_all, room),
            };
            let (len, found) = match step {
                Ok(found) => found,
                Err(why) => {
                    let found = Rest {
                        codec: why.codec,
                        why: why.why.clone(),
                        is_read: why.is_read,
                    };
                    self.stopped = Some(Rest {
                        codec: None,
                        why: "it is behind a part that stays as it is".to_owned(),
                        is_read: why.is_read,
                    });
                    (rest.len(), Found::Rest(found))
                }
            };
            let part = Part {
                piece: self.piece,
                at: self.at,
                at_all,
                bytes: rest.slice(..len),
                ends_piece: len == rest.len(),
                found,
            };
            self.at = self.at.saturating_add(len);
            self.parts = self.parts.saturating_add(1);
            return Some(part);
        }
    }

    /// The part that `rest` begins with, and its length with the zeros behind it.
    fn step(&self, rest: &Bytes, at_all: usize, room: &Room) -> Step {
        let mut walk = Walk::behind(at_all);
        let unknown = |why: String| Rest {
            codec: None,
            why,
            is_read: true,
        };
        let len = walk.take(rest).map_err(unknown)?;
        if len == rest.len() {
            walk.end().map_err(unknown)?;
        }
        if len > 0 {
            if walk.misaligned && len < rest.len() {
                return Err(unknown(format!(
                    "byte {} is behind an archive and not 0, but no multiple of 4",
                    at_all.saturating_add(len)
                )));
            }
            let is_early = early::is_in(rest.get(..len).unwrap_or_default(), at_all);
            return Ok((len, Found::Raw { is_early }));
        }
        let packed = self.packed(rest, room)?;
        let behind = rest.get(packed.used..).unwrap_or_default();
        let zeros = behind.iter().take_while(|b| **b == 0).count();
        Ok((packed.used.saturating_add(zeros), Found::Packed(packed)))
    }

    fn packed(&self, rest: &Bytes, room: &Room) -> Result<Packed, Rest> {
        let stays = |codec, why: String, is_read| Rest {
            codec,
            why,
            is_read,
        };
        if !begins_part(rest) {
            let why = "it is nothing that kernels unpack".to_owned();
            return Err(stays(None, why, false));
        }
        if rest.starts_with(LZ4_FRAME) {
            let why = "kernels do not read lz4's modern frame".to_owned();
            return Err(stays(Some("lz4"), why, false));
        }
        let Some(codec) = detect(rest) else {
            let lzo = rest.starts_with(&[0x89, b'L', b'Z', b'O']).then_some("lzo");
            let why = "kexec does not unpack it".to_owned();
            return Err(stays(lzo, why, true));
        };
        let named = |why: String| stays(Some(codec.name), why, true);
        let gzip = || (codec.name == "gzip").then(|| foreign_gzip_header(rest))?;
        let check = || xz::foreign_check(rest).map(|check| xz::with_check(&check));
        if let Some(why) = gzip().or_else(check) {
            return Err(named(why));
        }
        // Each look for the blocks of a stream goes to the end of the file.
        let threads = match self.parts < MANY_PARTS {
            true => self.threads,
            false => 1,
        };
        let decoded = codec.decompress_first(rest, room.most, threads, self.meanwhile);
        let decoded = decoded.map_err(|error| named(why_not(codec, room, &error)))?;
        let used = decoded.consumed;
        let stream = rest.get(..used).unwrap_or_default();
        if let Some(why) = foreign(codec, stream) {
            return Err(named(why));
        }
        if used == 0 || codec.name == "lz4" && hidden_by_lz4(rest.get(used..).unwrap_or_default()) {
            return Err(named("kernels do not find its end".to_owned()));
        }
        let content = Bytes::from(decoded.bytes);
        let is_early = archives(&content).map_err(named)?;
        Ok(Packed {
            codec: codec.name,
            used,
            unpacked: content.len(),
            content,
            form: PartForm::Packed,
            why: String::new(),
            is_early,
        })
    }
}

/// Why kernels do not undo what was done to an xz stream.
fn foreign(codec: &Codec, stream: &[u8]) -> Option<String> {
    if codec.name != "xz" {
        return None;
    }
    let methods = methods(stream);
    let check = methods.checks.iter().find_map(|c| xz::foreign_number(*c));
    let chain = || methods.chains.iter().find_map(|c| xz::foreign_chain(c));
    check.map(|check| xz::with_check(&check)).or_else(chain)
}

fn why_not(codec: &Codec, room: &Room, error: &ImageError) -> String {
    match error {
        ImageError::TooLarge { .. } => no_room("more", room),
        error => format!("it is no sound {} stream: {error}", codec.name),
    }
}

/// There is no memory for a part that unpacks to that much.
pub(super) fn no_room(unpacked: &str, room: &Room) -> String {
    let (most, because) = (Size(room.most), &room.because);
    format!(
        "it unpacks to {unpacked}, but there is memory for an initrd of {most} in all: {because}"
    )
}

/// Whether `content` is archives that end as they should; gives whether one of their members
/// would be read early.
fn archives(content: &[u8]) -> Result<bool, String> {
    let mut walk = Walk::default();
    let broken = |why: String| format!("what it unpacks to is no sound archive: {why}");
    walk.take(content).map_err(broken)?;
    walk.end().map_err(broken)?;
    if walk.stopped {
        return Err(walk.why_stopped("it"));
    }
    if !walk.archive || !matches!(walk.place, WalkPosition::Between) {
        return Err("what it unpacks to does not end with an archive".to_owned());
    }
    Ok(early::is_in(content, 0))
}

/// Whether the first thing in these bytes that is no archive is compressed.
pub(super) fn first_packed(bytes: &[u8]) -> bool {
    let mut walk = Walk::default();
    let Ok(len) = walk.take(bytes) else {
        return false;
    };
    let rest = bytes.get(len..).unwrap_or_default();
    begins_part(rest) && !rest.is_empty()
}

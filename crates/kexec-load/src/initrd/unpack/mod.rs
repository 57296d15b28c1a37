//! The initrd is unpacked before the jump, so that the next kernel need not do it while the
//! machine is down: each compressed part is replaced with the archive in it, and the rest
//! stays where kernels find it.
//!
//! What the next kernel makes of the result is what it would have made of the files: the
//! same members in the same order. A part that does not unpack cleanly to archives stays
//! as it is, with everything behind it.

mod early;
mod join;
mod report;
mod split;

#[cfg(test)]
mod kernel;
#[cfg(test)]
mod tests;

pub use report::{InitrdUnpacked, UnpackedPart};

use bytes::Bytes;
use kexec_image::decompress::{Meanwhile, compress_lz4};
use kexec_plan::Piece;
use kexec_plan::unpack::UnpackChoice;
use kexec_plan::unpack::cost::{Hashing, PartForm, PartSizes, cheapest};
use kexec_plan::unpack::memory::Room;

use super::intact::without_bootconfig;
use join::Joined;
use kexec_plan::size::Memory as Size;
use split::{Found, Part, Split};

/// What decides how an initrd is unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnpackRules {
    /// What the caller wants.
    pub choice: UnpackChoice,
    /// The setting that says so, where no option does.
    pub setting: Option<String>,
    /// Why nothing may be unpacked, where that is so.
    pub forbidden: Option<String>,
    /// How the bytes are checked between the two kernels.
    pub hashing: Hashing,
    /// The most that the whole initrd may have; or why that is unknown.
    pub room: Result<Room, String>,
    /// The next kernel is known to read lz4.
    pub reads_lz4: bool,
    /// How many threads may work.
    pub threads: usize,
}

/// A part that `--unpack=always` could not unpack.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part} cannot be unpacked before the jump: {why}")]
pub struct NotUnpacked {
    /// The part, for people.
    pub part: String,
    /// What keeps it.
    pub why: String,
}

/// Unpacks the initrd that is made of these pieces, as far as the rules say. What comes out
/// is to be put one behind the other as the pieces were.
///
/// # Errors
/// With [`UnpackChoice::Always`], for the first part that stays compressed.
pub fn unpack(
    pieces: &[Piece],
    rules: &UnpackRules,
) -> Result<(Vec<Piece>, InitrdUnpacked), NotUnpacked> {
    unpack_with(pieces, rules, &|| ())
}

/// The same; now and then, `meanwhile` is called.
///
/// # Errors
/// As [`unpack`].
pub fn unpack_with(
    pieces: &[Piece],
    rules: &UnpackRules,
    meanwhile: Meanwhile<'_>,
) -> Result<(Vec<Piece>, InitrdUnpacked), NotUnpacked> {
    let as_it_is = |note| (pieces.to_vec(), InitrdUnpacked::nothing(note));
    if rules.choice == UnpackChoice::Never || pieces.iter().all(Piece::is_empty_initrd) {
        return Ok(as_it_is(None));
    }
    let unpacked = match rules.forbidden.clone().map_or_else(|| config(pieces), Err) {
        Ok(config) => replaced(pieces, config, rules, meanwhile),
        Err(why) if is_packed(pieces) => Ok(as_it_is(Some(why))),
        Err(_) => Ok(as_it_is(None)),
    };
    let (handed, report) = unpacked.unwrap_or_else(|why| as_it_is(Some(why)));
    match (rules.choice, report.first_packed()) {
        (UnpackChoice::Always, Some(kept)) => Err(kept),
        _ => Ok((handed, report)),
    }
}

/// Whether something in it is compressed, as far as that is seen without unpacking.
fn is_packed(pieces: &[Piece]) -> bool {
    pieces.iter().any(|piece| split::first_packed(&piece.bytes))
}

/// The boot configuration at the very end, where kernels look for it.
fn config(pieces: &[Piece]) -> Result<Option<Bytes>, String> {
    const MAGIC: &[u8] = b"#BOOTCONFIG\n";
    let Some(last) = pieces.last() else {
        return Ok(None);
    };
    let ends_with_one = |bytes: &[u8]| {
        let zeros = bytes.iter().rev().take(3).take_while(|b| **b == 0).count();
        (0..=zeros).any(|zeros| {
            let end = bytes.len().saturating_sub(zeros);
            bytes.get(..end).is_some_and(|bytes| bytes.ends_with(MAGIC))
        })
    };
    if !ends_with_one(&last.bytes) {
        return Ok(None);
    }
    let archives = without_bootconfig(&last.bytes).len();
    if archives == last.bytes.len() {
        return Err("the boot configuration at its end is damaged".to_owned());
    }
    if ends_with_one(last.bytes.get(..archives).unwrap_or_default()) {
        return Err("it ends with two boot configurations".to_owned());
    }
    Ok(Some(last.bytes.slice(archives..)))
}

/// Bytes of a whole initrd.
fn length(pieces: &[Piece]) -> u64 {
    let lengths = pieces.iter().map(|p| p.len.saturating_add(p.padding));
    Size::of(lengths.fold(0, usize::saturating_add)).0
}

fn replaced(
    pieces: &[Piece],
    config: Option<Bytes>,
    rules: &UnpackRules,
    meanwhile: Meanwhile<'_>,
) -> Result<(Vec<Piece>, InitrdUnpacked), String> {
    let room = match &rules.room {
        Ok(room) => room,
        Err(why) if is_packed(pieces) => return Err(why.clone()),
        Err(_) => return Ok((pieces.to_vec(), InitrdUnpacked::nothing(None))),
    };
    let config_len = config.as_ref().map_or(0, Bytes::len);
    let mut budget = Budget {
        room,
        others: length(pieces),
    };
    let mut split = Split::new(pieces, config_len, rules.threads, meanwhile);
    let mut parts = Vec::new();
    while let Some(mut part) = split.next_part(room) {
        if let Found::Packed(_) = part.found {
            choose(&mut part, rules, &mut budget);
        }
        parts.push(part);
    }
    early::keep_inactive(&mut parts);
    let changed = parts.iter().any(Part::is_replaced);
    let report = InitrdUnpacked::of(pieces, &parts);
    if !changed {
        return Ok((pieces.to_vec(), report));
    }
    let rest = parts.iter().find(|part| part.is_rest());
    if let Some(rest) = rest.filter(|rest| rest.is_fixed() && !rest.at_all.is_multiple_of(4)) {
        return Err(format!(
            "what cannot be unpacked begins at byte {}, which is no multiple of 4, and has to stay \
             there",
            rest.at_all
        ));
    }
    let mut joined = Joined::new(pieces);
    for part in &parts {
        joined.add(part);
    }
    let had_none = config.is_none();
    let joined = joined.finish(config);
    let last = joined.last().map(|piece| &piece.bytes);
    if had_none && last.is_some_and(|last| without_bootconfig(last).len() < last.len()) {
        return Err("unpacked, its end would be a boot configuration".to_owned());
    }
    Ok((joined, report))
}

/// How much may still be unpacked.
struct Budget<'a> {
    room: &'a Room,
    /// Bytes of everything but the part that is looked at, in the form that was chosen, or
    /// packed.
    others: u64,
}

impl Budget<'_> {
    /// Whether the initrd with a part of this many bytes is not too large; then it is
    /// counted like that.
    fn takes(&mut self, packed: u64, handed: u64) -> bool {
        let whole = self.others.saturating_sub(packed).saturating_add(handed);
        // Padding comes on top.
        let fits = whole.saturating_add(4096) <= self.room.most;
        if fits {
            self.others = whole;
        }
        fits
    }
}

/// Chooses the form of a part that was unpacked.
fn choose(part: &mut Part, rules: &UnpackRules, budget: &mut Budget<'_>) {
    let Found::Packed(packed) = &mut part.found else {
        return;
    };
    let mut sizes = PartSizes {
        codec: packed.codec,
        packed: Size::of(packed.used).0,
        unpacked: Size::of(packed.content.len()).0,
        lz4: None,
    };
    if rules.choice == UnpackChoice::Auto {
        let (mut form, mut costs) = cheapest(rules.hashing, &sizes);
        let slow = costs.lz4.is_none() && rules.reads_lz4 && packed.codec != "lz4";
        if slow && !kexec_plan::unpack::cost::is_always_cheapest_raw(rules.hashing, packed.codec) {
            let lz4 = compress_lz4(&packed.content, sizes.unpacked, rules.threads);
            sizes.lz4 = lz4.as_ref().map(|bytes| Size::of(bytes.len()).0);
            (form, costs) = cheapest(rules.hashing, &sizes);
            if let (PartForm::Lz4, Some(bytes)) = (form, lz4) {
                packed.content = bytes.into();
            }
        }
        packed.form = form;
        packed.why = report::cheapest(rules.hashing, form, packed.codec, &costs);
    } else {
        packed.form = PartForm::Raw;
        let setting = rules.setting.clone();
        packed.why = setting.unwrap_or_else(|| "--unpack=always".to_owned());
    }
    let handed = Size::of(packed.content.len()).0;
    if packed.form != PartForm::Packed && !budget.takes(sizes.packed, handed) {
        packed.keep(split::no_room(
            &Size(sizes.unpacked).to_string(),
            budget.room,
        ));
    }
    if packed.form == PartForm::Packed {
        packed.content = Bytes::new();
    }
}

//! What became of the parts of an initrd, for people and programs.

use std::fmt;

use kexec_plan::Piece;
use kexec_plan::unpack::cost::{Hashing, PartCosts, PartForm};
use serde::{Deserialize, Serialize};

use super::NotUnpacked;
use super::split::{Found, Part};
use kexec_plan::size::Memory as Size;

/// What was unpacked of an initrd before the jump, and why.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InitrdUnpacked {
    /// Its compressed parts, in order.
    pub parts: Vec<UnpackedPart>,
    /// Why nothing was unpacked, where that is not a matter of its parts.
    pub note: Option<String>,
    /// For each piece of the initrd: it is complete, and nothing in it is compressed any
    /// more.
    #[serde(skip)]
    pub(crate) all_raw: Vec<bool>,
}

/// What became of a compressed part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UnpackedPart {
    /// The file or section that it is in.
    pub origin: String,
    /// Where it begins in that.
    pub at: usize,
    /// What it is compressed with, where that is known.
    pub codec: Option<String>,
    /// Bytes in the file.
    pub packed: usize,
    /// Bytes that it unpacks to, where it was unpacked to see.
    pub unpacked: Option<usize>,
    /// The form in which it is handed over.
    pub form: PartForm,
    /// Bytes that are handed over.
    pub handed: usize,
    /// Why in that form.
    pub why: String,
}

impl InitrdUnpacked {
    /// Nothing was unpacked.
    pub(crate) fn nothing(note: Option<String>) -> InitrdUnpacked {
        InitrdUnpacked {
            note,
            ..InitrdUnpacked::default()
        }
    }

    pub(super) fn of(pieces: &[Piece], parts: &[Part]) -> InitrdUnpacked {
        let mut all_raw = vec![true; pieces.len()];
        let mut rows = Vec::new();
        for part in parts {
            let raw = match &part.found {
                Found::Raw { .. } => true,
                Found::Packed(packed) => packed.form == PartForm::Raw,
                Found::Rest(_) => false,
            };
            if let (false, Some(all)) = (raw, all_raw.get_mut(part.piece)) {
                *all = false;
            }
            let origin = pieces.get(part.piece).map(|piece| piece.origin.clone());
            rows.extend(UnpackedPart::of(origin.unwrap_or_default(), part));
        }
        InitrdUnpacked {
            parts: rows,
            note: None,
            all_raw,
        }
    }

    /// Whether that piece of the initrd was walked through to its end, and nothing in it
    /// is compressed any more.
    pub(crate) fn is_raw(&self, piece: usize) -> bool {
        self.all_raw.get(piece).is_some_and(|all| *all)
    }

    /// Whether somebody walked through the initrd: then every compressed part is in the list.
    pub(crate) fn is_walked(&self) -> bool {
        !self.all_raw.is_empty()
    }

    /// Whether something is handed over in another form.
    pub fn is_changed(&self) -> bool {
        self.parts.iter().any(|part| part.form != PartForm::Packed)
    }

    /// The first part that stays compressed, or why nothing was unpacked.
    pub(super) fn first_packed(&self) -> Option<NotUnpacked> {
        if let Some(note) = &self.note {
            return Some(NotUnpacked {
                part: "the initrd".to_owned(),
                why: note.clone(),
            });
        }
        let kept = self
            .parts
            .iter()
            .find(|part| part.form == PartForm::Packed)?;
        Some(NotUnpacked {
            part: format!(
                "initrd {}: the part that begins at byte {}",
                kept.origin, kept.at
            ),
            why: kept.why.clone(),
        })
    }

    /// A line for each compressed part, or one with the reason why nothing was unpacked.
    pub fn lines(&self) -> Vec<String> {
        let note = self.note.iter().map(|why| format!("not unpacked: {why}"));
        note.chain(self.parts.iter().map(ToString::to_string))
            .collect()
    }
}

impl UnpackedPart {
    fn of(origin: String, part: &Part) -> Option<UnpackedPart> {
        let row = |codec: Option<&str>, packed, why: &str| UnpackedPart {
            origin,
            at: part.at,
            codec: codec.map(str::to_owned),
            packed,
            unpacked: None,
            form: PartForm::Packed,
            handed: packed,
            why: why.to_owned(),
        };
        match &part.found {
            Found::Raw { .. } => None,
            Found::Packed(packed) => {
                let row = row(Some(packed.codec), packed.used, &packed.why);
                let form = packed.form;
                Some(UnpackedPart {
                    unpacked: Some(packed.unpacked),
                    form,
                    handed: match form {
                        PartForm::Packed => packed.used,
                        PartForm::Raw | PartForm::Lz4 => packed.content.len(),
                    },
                    ..row
                })
            }
            Found::Rest(rest) => {
                // What kernels do not read is not compressed, as far as anybody knows.
                let named = rest.codec.is_some() || rest.is_read;
                named.then(|| row(rest.codec, part.bytes.len(), &rest.why))
            }
        }
    }
}

impl fmt::Display for UnpackedPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let packed = Size::of(self.packed);
        let codec = self.codec.as_deref().unwrap_or("an unknown format");
        match self.form {
            PartForm::Raw => write!(f, "unpacked before the jump: {packed} of {codec}"),
            PartForm::Lz4 => write!(f, "packed again as lz4: {packed} of {codec}"),
            PartForm::Packed => write!(f, "stays packed: {packed} of {codec}"),
        }?;
        if self.form != PartForm::Packed {
            write!(f, ", now {}", Size::of(self.handed))?;
        }
        write!(f, " ({})", self.why)
    }
}

/// Why a form is the cheapest.
pub(super) fn cheapest(hashing: Hashing, form: PartForm, codec: &str, costs: &PartCosts) -> String {
    let name = |form| match form {
        PartForm::Packed => codec,
        PartForm::Raw => "unpacked",
        PartForm::Lz4 => "lz4",
    };
    let all = [
        (PartForm::Packed, costs.packed),
        (PartForm::Raw, Some(costs.raw)),
        (PartForm::Lz4, costs.lz4),
    ];
    let all = all
        .iter()
        .filter_map(|(form, cost)| Some(format!("{} {}", name(*form), (*cost)?)));
    format!(
        "{} is cheapest for the next kernel where it is {}, in million instructions: {}",
        name(form),
        hashing.words(),
        all.collect::<Vec<_>>().join(", ")
    )
}

//! Putting segments into memory, whatever the architecture: places, sizes,
//! the limits of the system call.

use kexec_image::Arch;

use super::{
    CheckRegion, ClassicError, ClassicRequest, Exit, Integrity, LoadPlan, Part, PurgatorySpec,
    SEGMENT_MAX, Segment, SegmentKind,
};
use crate::crash::{CrashRegions, MemoryCopy};
use crate::memory::limits::Limits;
use crate::memory::range::{align_down, align_up};
use crate::memory::{
    Destinations, MapEntry, PlaceRequest, Placer, Range, RangeSet, Resource, Search,
};
use crate::{Cmdline, Piece};
use kexec_image::fields::len_u64;

/// A segment to be.
#[derive(Debug)]
pub struct Draft {
    /// What it is, for people.
    pub name: String,
    /// What it is.
    pub kind: SegmentKind,
    /// Bytes in memory.
    pub size: u64,
    /// Its content, one piece behind the other.
    pub content: Vec<Piece>,
    /// How many bytes are checked.
    pub check_len: u64,
}

/// A plan in the making.
#[derive(Debug)]
pub struct Builder<'a> {
    request: &'a ClassicRequest<'a>,
    page: u64,
    placer: Placer,
    destinations: Destinations,
    window: Range,
    /// What the next kernel may use of a machine whose memory is preserved;
    /// all of it becomes segments.
    reach: Option<RangeSet>,
    segments: Vec<Segment>,
    notes: Vec<String>,
    /// The command line with what the plan adds to it; the request's where that is nothing.
    cmdline: Option<Cmdline>,
    copy: Option<MemoryCopy>,
}

impl<'a> Builder<'a> {
    /// Finds out what is free. `arch_window` is what the architecture allows
    /// at all, `page` the size of its pages, `linux` whether `mem=` on the
    /// command line means something, `keep` what must not be touched either.
    ///
    /// # Errors
    /// When nothing is.
    pub fn new(
        request: &'a ClassicRequest<'a>,
        arch_window: Range,
        page: u64,
        linux: bool,
        keep: Vec<Resource>,
    ) -> Result<Builder<'a>, ClassicError> {
        let options = request.options;
        let lowest = options.mem_min.unwrap_or(0);
        // Nothing is placed below the window, but Linux uses what is there: for
        // the other processors, for instance. The first page is never memory.
        let floor = if options.preserve_context && linux {
            lowest.max(page).min(arch_window.start)
        } else {
            arch_window.start
        };
        let mut destinations = match request.crash {
            None => request.memory.destinations(floor, page)?,
            // The running kernel takes a segment nowhere else, and gives this memory to
            // nobody else.
            Some(_) => {
                let window = CrashRegions::of(request.memory)?.window;
                Destinations {
                    free: RangeSet::from(window).aligned_inward(page),
                    kept: Vec::new(),
                }
            }
        };
        destinations.keep(keep, page);
        let last = options.mem_max.unwrap_or(u64::MAX);
        let window = Range::new(
            arch_window.start.max(lowest),
            arch_window.end.min(last.saturating_add(1)),
        );
        let mut builder = Builder {
            request,
            page,
            placer: Placer::new(RangeSet::new(), &RangeSet::new()),
            destinations,
            window,
            reach: None,
            segments: Vec::new(),
            notes: Vec::new(),
            cmdline: None,
            copy: None,
        };
        let mut free = builder.destinations.free.clone();
        if linux {
            let limits = Limits::of(request.cmdline);
            if !limits.is_none() {
                free = limits.apply(&free).aligned_inward(page);
                builder.note(
                    "nothing is placed where mem= and memmap= of the command line leave no memory",
                );
            }
        }
        if options.preserve_context {
            let within = Range::new(floor.max(lowest), window.end);
            // The caller need not think in pages.
            let reach = free.intersect(&within.into()).aligned_inward(page);
            builder.note(format!(
                "{} bytes of memory are kept for the next kernel; the rest belongs to this \
                 kernel, for the jump back",
                reach.total()
            ));
            builder.reach = Some(reach);
        }
        builder.placer = Placer::new(free, &request.memory.free);
        Ok(builder)
    }

    /// What the next kernel may use, if this one's memory is preserved.
    pub fn reach(&self) -> Option<&RangeSet> {
        self.reach.as_ref()
    }

    /// Something that people should know.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// The next kernel gets this command line instead of the request's.
    pub fn set_cmdline(&mut self, cmdline: Cmdline) {
        self.cmdline = Some(cmdline);
    }

    /// The purgatory copies this before it jumps; there is a segment for the copy.
    pub fn set_copy(&mut self, copy: MemoryCopy) {
        self.copy = Some(copy);
    }

    /// Finds a place within `within` and the window.
    ///
    /// # Errors
    /// When there is none.
    pub fn place(&mut self, draft: Draft, align: u64, within: Range) -> Result<u64, ClassicError> {
        let search = self.request.options.search;
        self.place_from(search, draft, align, within)
    }

    /// The same from a given end of memory.
    ///
    /// # Errors
    /// When there is no place.
    pub fn place_from(
        &mut self,
        search: Search,
        draft: Draft,
        align: u64,
        within: Range,
    ) -> Result<u64, ClassicError> {
        let both = self.window.intersect(within).unwrap_or_default();
        let size = self.whole_pages(&draft.name, draft.size)?;
        let range = self.placer.place(&PlaceRequest {
            what: &draft.name,
            size,
            align: align.max(self.page),
            within: both,
            search,
        })?;
        self.push(draft, range);
        Ok(range.start)
    }

    /// Puts it at `at`, which need not be the start of a page.
    ///
    /// # Errors
    /// When that is not free.
    pub fn put(&mut self, mut draft: Draft, at: u64) -> Result<(), ClassicError> {
        if draft.size == 0 {
            return Err(ClassicError::Layout {
                format: "segment",
                reason: format!("{} at {at:#x} has no bytes", draft.name),
            });
        }
        let start = align_down(at, self.page);
        let lead = at.saturating_sub(start);
        let end = at
            .checked_add(draft.size)
            .and_then(|end| align_up(end, self.page));
        let range = Range::new(start, end.unwrap_or(u64::MAX));
        if !self.fits(range) {
            return Err(ClassicError::Occupied {
                owner: self.owner(range),
                what: draft.name,
                range,
            });
        }
        self.placer.take(&draft.name, range)?;
        if lead > 0 && !draft.content.is_empty() {
            let padding = usize::try_from(lead).unwrap_or(0);
            let zeros = Piece {
                origin: "zeros up to its start".into(),
                len: 0,
                padding,
                bytes: bytes::Bytes::new(),
            };
            draft.content.insert(0, zeros);
        }
        draft.check_len = draft.check_len.saturating_add(lead);
        self.push(draft, range);
        Ok(())
    }

    /// What is free within the window.
    pub fn free(&self) -> RangeSet {
        self.placer.free().intersect(&self.window.into())
    }

    /// How many bytes of `range` the running kernel is likely to hand out while it makes
    /// room for the image.
    pub fn handed_out(&self, range: Range) -> u64 {
        self.placer.avoided(range)
    }

    /// Whether `range` is free and within the window.
    pub fn fits(&self, range: Range) -> bool {
        self.window.covers(range) && self.placer.free().covers(range)
    }

    /// Finds a place for the purgatory, below `end`.
    ///
    /// # Errors
    /// When there is none.
    pub fn place_purgatory(&mut self, end: u64) -> Result<u64, ClassicError> {
        let shape = self.request.purgatory;
        let draft = Draft {
            name: "purgatory".into(),
            kind: SegmentKind::Purgatory,
            size: shape.size,
            content: Vec::new(),
            check_len: 0,
        };
        self.place(draft, shape.align, Range::new(0, end))
    }

    /// Fills in what a segment that has its place already will hold: for
    /// content that knows its own address.
    pub fn set_content(&mut self, kind: SegmentKind, content: Vec<Piece>, parts: Vec<Part>) {
        if let Some(segment) = self.segments.iter_mut().find(|s| s.kind == kind) {
            segment.content = content;
            segment.parts = parts;
        }
    }

    /// Memory between `--mem-min` and `--mem-max` that no segment uses, as
    /// segments without content: the running kernel saves it there, to be
    /// jumped back to.
    ///
    /// # Errors
    /// Without `--mem-max`.
    pub fn preserve(&mut self) -> Result<(), ClassicError> {
        let Some(reach) = self.reach.clone() else {
            return Ok(());
        };
        if self.request.options.mem_max.is_none() {
            return Err(ClassicError::Option {
                option: "--load-preserve-context",
                reason: "it needs the memory that the next kernel may use".into(),
                hint: "use --mem-max, and --mem-min if low memory must not be saved",
            });
        }
        let left = self.placer.free().intersect(&reach);
        for range in left.iter() {
            self.placer.take("backup", range)?;
            let draft = Draft {
                name: format!("backup of {range}"),
                kind: SegmentKind::Backup,
                size: range.len(),
                content: Vec::new(),
                check_len: 0,
            };
            self.push(draft, range);
        }
        Ok(())
    }

    /// Checks what the system call will check, and makes the plan.
    ///
    /// # Errors
    /// When there are too many segments, or too much of them.
    pub fn finish(
        mut self,
        arch: Arch,
        method: String,
        memory_map: Vec<MapEntry>,
        exit: Exit,
        jump_back: Option<Range>,
    ) -> Result<LoadPlan, ClassicError> {
        let request = self.request;
        let options = request.options;
        self.preserve()?;
        let mut segments = self.segments;
        segments.sort_by_key(|s| s.memory);
        if segments.len() > SEGMENT_MAX {
            return Err(ClassicError::TooManySegments {
                count: segments.len(),
            });
        }
        // The kernel counts in pages and rounds its half down.
        let limit = align_down(request.memory.total / 2, self.page);
        let total = segments
            .iter()
            .fold(0, |sum: u64, s| sum.saturating_add(s.memory.len()));
        if total > limit {
            let part = |s: &Segment| format!("{} {}", s.name, s.memory.len());
            return Err(ClassicError::HalfOfMemory {
                needed: total,
                limit,
                memory: request.memory.total,
                parts: segments.iter().map(part).collect::<Vec<_>>().join(", "),
            });
        }
        let index = segments
            .iter()
            .position(|s| s.kind == SegmentKind::Purgatory);
        let index = index.unwrap_or(usize::MAX);
        let base = segments.get(index).map_or(0, |s| s.memory.start);
        let checks = match options.integrity {
            Integrity::None => Vec::new(),
            Integrity::Crc32c | Integrity::Sha256 => checks(&segments),
        };
        let mut exit = exit;
        if let Some(entry) = options.entry {
            self.notes.push(format!(
                "--entry: jumps to {entry:#x} instead of {:#x}",
                exit.rip
            ));
            exit.rip = entry;
        }
        Ok(LoadPlan {
            arch,
            method,
            format: request.image.describe(),
            path: request.path.to_owned(),
            cmdline: self.cmdline.unwrap_or_else(|| request.cmdline.clone()),
            segments,
            entry: base.saturating_add(request.purgatory.entry_offset),
            purgatory: PurgatorySpec {
                segment: index,
                base,
                size: request.purgatory.size,
                integrity: options.integrity,
                checks,
                exit,
                jump_back: jump_back.filter(|_| options.preserve_context),
                copy: self.copy,
            },
            memory_map,
            destinations: self.destinations,
            total,
            limit,
            preserve_context: options.preserve_context,
            crash: request.crash.is_some(),
            hotplug: request
                .crash
                .is_some_and(|facts| facts.hotplug_size.is_some()),
            notes: self.notes,
        })
    }

    fn whole_pages(&self, name: &str, size: u64) -> Result<u64, ClassicError> {
        align_up(size.max(1), self.page).ok_or_else(|| ClassicError::Layout {
            format: "segment",
            reason: format!("{name} has {size:#x} bytes"),
        })
    }

    fn push(&mut self, draft: Draft, memory: Range) {
        let mut parts = Vec::new();
        let mut from = memory.start;
        for piece in &draft.content {
            let end = from.saturating_add(len_u64(piece.len));
            if draft.content.len() > 1 && piece.len > 0 {
                parts.push(Part {
                    name: piece.origin.clone(),
                    range: Range::new(from, end),
                });
            }
            from = end.saturating_add(len_u64(piece.padding));
        }
        self.segments.push(Segment {
            name: draft.name,
            kind: draft.kind,
            memory,
            check_len: draft.check_len.min(memory.len()),
            content: draft.content,
            parts,
        });
    }

    /// What is in `range` that is not free, for people.
    fn owner(&self, range: Range) -> String {
        if !self.window.covers(range) {
            return format!("segments may lie within {}", self.window);
        }
        let mine = self.segments.iter().find(|s| s.memory.overlaps(range));
        if let Some(segment) = mine {
            return format!("{} is at {}", segment.name, segment.memory);
        }
        let kept = self
            .destinations
            .kept
            .iter()
            .find(|k| k.range.overlaps(range));
        if let Some(kept) = kept {
            return format!("{} is at {}", kept.name, kept.range);
        }
        let map = self.request.memory.firmware_map();
        let other = map
            .entries()
            .iter()
            .find(|e| e.kind != crate::memory::MemoryKind::Ram && e.range.overlaps(range));
        match other {
            Some(entry) => format!("{} is at {}", entry.kind.name(), entry.range),
            None => format!(
                "of it, {} bytes are",
                self.placer.free().intersect(&range.into()).total()
            ),
        }
    }
}

fn checks(segments: &[Segment]) -> Vec<CheckRegion> {
    let checked = segments.iter().enumerate().filter(|(_, s)| s.check_len > 0);
    let region = |(segment, s): (usize, &Segment)| CheckRegion {
        name: s.name.clone(),
        segment,
        start: s.memory.start,
        len: s.check_len,
    };
    checked.map(region).collect()
}

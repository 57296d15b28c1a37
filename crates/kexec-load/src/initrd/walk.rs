//! The way through archives that kernels take (init/initramfs.c), over bytes that are
//! shown piece by piece.

use kexec_image::cpio::{self, HEAD_LEN, Head};

/// Where a walk through archives is.
#[derive(Debug, Default)]
pub(super) enum WalkPosition {
    /// Between members, where zeros are skipped.
    #[default]
    Between,
    /// In a head.
    Head,
    /// In a name, of a member of this size.
    Name(u64),
    /// In what follows the name: so many bytes, of which the last ones are padding.
    Content { left: u64, padding: u64 },
}

/// A walk through archives that are shown piece by piece.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub(super) place: WalkPosition,
    /// Bytes that are still to be collected for a head or a name.
    need: usize,
    collected: Vec<u8>,
    /// Bytes that were walked over: members begin at multiples of four.
    count: u64,
    /// Where the member that is walked over begins, as `count` counts.
    pub(super) begin: usize,
    /// It came to something that is no archive.
    pub(super) stopped: bool,
    /// There was an archive.
    pub(super) archive: bool,
    /// What it came to is not where kernels look for it.
    pub(super) misaligned: bool,
}

impl Walk {
    /// A walk that begins at this byte, behind a compressed part.
    pub(super) fn behind(at: usize) -> Walk {
        Walk {
            count: u64::try_from(at).unwrap_or(u64::MAX),
            ..Walk::default()
        }
    }

    /// Why kernels do not unpack the stream of this codec that is walked through.
    pub(super) fn why_stopped(&self, codec: &str) -> String {
        let at = self.count;
        match self.misaligned {
            true => format!(
                "in what {codec} unpacks to, byte {at} is behind an archive and not 0, but no \
                 multiple of 4, where kernels look for the next archive"
            ),
            false => format!("what {codec} unpacks to is no cpio archive from byte {at} on"),
        }
    }

    /// Walks on over `bytes`, up to their end or to something that is no archive; gives
    /// how many they were.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<usize, String> {
        self.take_with(bytes, &mut |_| {})
    }

    /// The same, and shows `visit` the name of each member, but not of the trailers.
    pub(super) fn take_with(
        &mut self,
        bytes: &[u8],
        visit: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, String> {
        let mut rest = bytes;
        while let Some(first) = rest.first() {
            let used = match &mut self.place {
                WalkPosition::Between if *first == 0 => 1,
                WalkPosition::Between if *first == b'0' && self.count.is_multiple_of(4) => {
                    self.begin = usize::try_from(self.count).unwrap_or(usize::MAX);
                    self.place = WalkPosition::Head;
                    self.need = HEAD_LEN;
                    self.collected.clear();
                    0
                }
                WalkPosition::Between => {
                    self.stopped = true;
                    // Behind a compressed part, only an archive has to be aligned.
                    self.misaligned =
                        !self.count.is_multiple_of(4) && (self.archive || *first == b'0');
                    break;
                }
                WalkPosition::Head | WalkPosition::Name(_) => {
                    let used = self.need.min(rest.len());
                    self.collected
                        .extend_from_slice(rest.get(..used).unwrap_or_default());
                    self.need -= used;
                    used
                }
                WalkPosition::Content { left, .. } => {
                    let len = u64::try_from(rest.len()).unwrap_or(u64::MAX);
                    let used = (*left).min(len);
                    *left -= used;
                    usize::try_from(used).unwrap_or(rest.len())
                }
            };
            self.count = self.count.saturating_add(u64::try_from(used).unwrap_or(0));
            rest = rest.get(used..).unwrap_or_default();
            self.turn(visit)?;
        }
        Ok(bytes.len() - rest.len())
    }

    /// What comes behind something that is complete.
    fn turn(&mut self, visit: &mut dyn FnMut(&[u8])) -> Result<(), String> {
        match self.place {
            WalkPosition::Head if self.need == 0 => {
                let head = Head::parse(&self.collected).map_err(|e| e.to_string())?;
                self.collected.clear();
                self.archive = true;
                if head.is_skipped() {
                    let len = u64::try_from(head.name_len).unwrap_or(u64::MAX);
                    self.skip_to(self.count.saturating_add(len), head.size);
                } else {
                    self.place = WalkPosition::Name(head.size);
                    self.need = head.name_len;
                }
            }
            // Kernels collect a name with its padding, that of the last member, too.
            WalkPosition::Name(size) if self.need == 0 => {
                self.skip_to(self.count, size);
                let name = cpio::name(&self.collected);
                if !cpio::is_trailer(name) {
                    visit(name);
                }
            }
            _ => {}
        }
        if let WalkPosition::Content { left: 0, .. } = self.place {
            self.place = WalkPosition::Between;
        }
        Ok(())
    }

    /// The content of this size follows, behind a name that ends at `name_end`.
    fn skip_to(&mut self, name_end: u64, size: u64) {
        // Where there is no content, only the padding of the name follows.
        let end = match size {
            0 => name_end,
            size => cpio::aligned(name_end).saturating_add(size),
        };
        let padded = cpio::aligned(end);
        self.place = WalkPosition::Content {
            left: padded.saturating_sub(self.count),
            padding: padded.saturating_sub(end),
        };
    }

    /// Whether it may end here.
    pub(super) fn end(&self) -> Result<(), String> {
        match self.place {
            WalkPosition::Between => Ok(()),
            WalkPosition::Content { left, padding } if left <= padding => Ok(()),
            WalkPosition::Content { left, padding } => Err(format!(
                "the archive ends {} bytes before the end of a file",
                left.saturating_sub(padding)
            )),
            WalkPosition::Head | WalkPosition::Name(_) => {
                Err("the archive ends in the header of a file".into())
            }
        }
    }
}

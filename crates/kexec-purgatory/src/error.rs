//! Why there is no image.

/// Why there is no image of the purgatory for these parameters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PurgatoryError {
    /// None was built.
    #[error("there is no purgatory in this program: {0}")]
    NotBuilt(&'static str),
    /// The address is not one where it can run.
    #[error(
        "the purgatory cannot be placed at {base:#x}: a multiple of {align:#x} above 0 and below {limit:#x} is needed",
        align = crate::ALIGN
    )]
    Place {
        /// The address asked for.
        base: u64,
        /// The end of what it can use, its own length subtracted.
        limit: u64,
    },
    /// More than there is room for.
    #[error("the purgatory takes at most {max} {what}, and {found} were given")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        max: usize,
    },
    /// A piece of memory is at address 0, or wraps around, or is empty.
    #[error("{what} at {start:#x}, {len:#x} bytes, is not a piece of memory the purgatory can use")]
    Memory {
        /// What it is.
        what: String,
        /// The address where it begins.
        start: u64,
        /// How many bytes it has.
        len: u64,
    },
    /// A piece of memory holds the purgatory itself, which changes as it runs.
    #[error("{what} at {start:#x}, {len:#x} bytes, overlaps the purgatory at {base:#x}, {size:#x} bytes", size = crate::SIZE)]
    Overlap {
        /// What it is.
        what: String,
        /// The address where it begins.
        start: u64,
        /// How many bytes it has.
        len: u64,
        /// Where the purgatory is.
        base: u64,
    },
    /// A register that a 32-bit entry cannot have.
    #[error("{register} = {value:#x} does not fit the 32-bit entry: it has to be below 4 GiB")]
    Not32Bit {
        /// Its 32-bit name, or `r8` to `r15`.
        register: &'static str,
        /// What it should be.
        value: u64,
    },
    /// The stack of the 64-bit caller is of no use in 32-bit mode.
    #[error(
        "a 32-bit entry cannot have the caller's stack: give it an address below 4 GiB, or the purgatory's own"
    )]
    CallerStack32,
    /// A speed of zero.
    #[error(
        "the serial console at port {io_base:#x} has the divisor 0: 1 (115200 baud) to 65535 is needed"
    )]
    Divisor {
        /// The first port of the serial console.
        io_base: u16,
    },
    /// A time that nobody would wait.
    #[error("{what} is {found}: at most {max} is believed")]
    Time {
        /// Which of the times it is.
        what: &'static str,
        /// What it is.
        found: u64,
        /// What it may be.
        max: u64,
    },
}

//! Verdicts in words, for people.

use std::fmt;

use super::{Attachment, Because, Bus, Doubt, Verdict};

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Believed(because) => because.fmt(f),
            Verdict::Doubted(doubt) => doubt.fmt(f),
        }
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Because::Attached(Attachment::Internal) => f.write_str("it is on an internal disk"),
            Because::Attached(Attachment::Virtio) => {
                f.write_str("it is on a disk that the hypervisor attached")
            }
            Because::Attached(Attachment::Network) => {
                f.write_str("it is on a network disk, which only root can attach")
            }
            Because::Attached(Attachment::Unknown) => {
                f.write_str("its disk is not known to be removable")
            }
            Because::RunsFrom(point) => {
                write!(f, "the running system has its own {point} on that disk")
            }
            Because::Configured { file, word } => write!(f, "{file} names the device as {word}"),
            Because::MadeOf(below) => write!(
                f,
                "it is made of {}, which can all be a boot source",
                below.join(", ")
            ),
            Because::Mounted => f.write_str("the system mounted it, and it has no block device"),
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doubt::Software(kind) => write!(f, "it is a {kind}, which users can set up"),
            Doubt::Plugged(bus) => {
                let place = match bus {
                    Bus::Usb => "it is attached by USB",
                    Bus::Firewire => "it is attached by FireWire",
                    Bus::Thunderbolt => "it is attached to a Thunderbolt or other external port",
                    Bus::CardReader => "it is in a card reader",
                    Bus::Drive => "it is a medium in a drive",
                };
                write!(f, "{place}, where any user can plug in another")
            }
            Doubt::Below { device, why } => write!(f, "{device} is below it: {why}"),
            Doubt::Snapshot => f.write_str("it is an LVM snapshot, which no boot loader reads"),
            Doubt::User(how) => write!(f, "it is a user's file system: {how}"),
        }
    }
}

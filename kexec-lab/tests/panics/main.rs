//! Real panics: the crash kernel comes up, the dump leaves the machine and others can read it,
//! the log has everything up to the panic, and the machine comes back.

mod trial;

use anyhow::Result;
use trial::{Cause::*, Crash, Reservation::*};

macro_rules! crashes {
    ($($(#[$attribute:meta])* $name:ident: $kernel:literal $method:literal $cause:ident $reservation:ident $packing:literal;)*) => {
        $(
            #[test]
            $(#[$attribute])*
            fn $name() -> Result<()> {
                Crash {
                    kernel: $kernel,
                    method: $method,
                    cause: $cause,
                    reservation: $reservation,
                    packing: $packing,
                }
                .run()
            }
        )*
    };
}

// Each value of each column with each system call.
crashes! {
    file_6_1_sysrq_plain: "6.1" "-s" Sysrq Plain "-c";
    file_6_12_null_pointer_high: "6.12" "-s" NullPointer High "-l";
    file_7_under_load_cma: "7.x" "-s" UnderLoad Cma "-z";
    file_6_12_nmi_plain: "6.12" "-s" Nmi Plain "-p";
}

//! Real panics: the crash kernel comes up, the dump leaves the machine and others can read it,
//! the log has everything up to the panic, and the machine comes back.

mod refused;
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

// Each value of each column with each system call; all of them take minutes.
crashes! {
    file_6_1_sysrq_plain: "6.1" "-s" Sysrq Plain "-c";
    file_6_12_null_pointer_high: "6.12" "-s" NullPointer High "-l";
    file_7_under_load_cma: "7.x" "-s" UnderLoad Cma "-l";
    file_6_12_nmi_plain: "6.12" "-s" Nmi Plain "-z";

    classic_6_1_under_load_high: "6.1" "-c" UnderLoad High "-l";
    classic_6_12_null_pointer_plain: "6.12" "-c" NullPointer Plain "-c";
    classic_7_sysrq_cma: "7.x" "-c" Sysrq Cma "-z";
    classic_7_nmi_plain: "7.x" "-c" Nmi Plain "-l";
}

// Each pair of values but those of the NULL pointer, whose module is one for 6.12.
crashes! {
    #[ignore = "seven more machines: cargo xtask test --all"]
    file_6_1_nmi_high: "6.1" "-s" Nmi High "-l";
    #[ignore = "seven more machines: cargo xtask test --all"]
    file_7_nmi_high: "7.x" "-s" Nmi High "-l";
    #[ignore = "seven more machines: cargo xtask test --all"]
    file_6_12_under_load_plain: "6.12" "-s" UnderLoad Plain "-l";
    #[ignore = "seven more machines: cargo xtask test --all"]
    file_7_sysrq_high: "7.x" "-s" Sysrq High "-l";
    #[ignore = "seven more machines: cargo xtask test --all"]
    classic_6_1_nmi_plain: "6.1" "-c" Nmi Plain "-l";
    #[ignore = "seven more machines: cargo xtask test --all"]
    classic_6_12_sysrq_high: "6.12" "-c" Sysrq High "-l";
    #[ignore = "seven more machines: cargo xtask test --all"]
    classic_7_under_load_cma: "7.x" "-c" UnderLoad Cma "-l";
}

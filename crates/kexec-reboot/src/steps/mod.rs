//! The steps of a load and of a reboot, in their order. Each takes what the one before
//! it returned:
//!
//! ```text
//! Selection ──choose──▶ ChosenLoad ──read──▶ Inputs ──prepare──▶ Ready ──load──▶ LoadDone ──depart──▶ init, or the jump
//!                                                                        remember ──▶ Attempt, for the next boot
//! ```
//!
//! The machine is read once, before the first of them. Until `load` nothing is changed.

mod built;
mod choose;
mod jump;
mod load;
mod preload;
mod prepare;
mod read;
mod reboot;
mod reload;
pub mod remember;
mod request;
mod unload;

pub use built::can_kexec;
pub use choose::{ChosenEntry, ChosenLoad, Selection, unnamed};
pub use jump::{jump, jump_back, shutdown};
pub(crate) use load::put_right;
use load::{LoadDone, LoadOptions};
pub use load::{load, load_checked};
pub use preload::{PreloadOptions, PreloadPlan, is_preloaded, kexecs_since_cold, preload_moment};
pub use prepare::{ArrivalOptions, Ready, prepare_for};
pub use reboot::{ColdReason, Departure, Journey, Shutdown, through_firmware};
use request::request_of;
pub use unload::unload;
pub(crate) use unload::unload_held;

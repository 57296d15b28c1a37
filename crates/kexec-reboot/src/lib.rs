//! The journey from one kernel into the next: what has to hold so that a reboot arrives
//! ([`arrival`]), how init is asked for it ([`handover`]), what is remembered of it
//! ([`record`]), and what is loaded ahead of it ([`preload`], [`enable`]). Read [`steps`]
//! first: the walk from what was typed to the jump, one file per step.
#![forbid(unsafe_code)]

pub mod arrival;
pub mod conf;
pub mod downtime;
pub mod enable;
pub mod handover;
pub mod needs_reboot;
pub mod parallel_shutdown;
pub mod preload;
pub mod record;
pub mod steps;
pub mod world;

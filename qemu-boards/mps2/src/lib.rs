//! What the emulated MPS2 boards share.
//!
//! A board is a [`board::Board`]: the addresses of its devices and its memory map. Everything else - NOR flash, watchdog, consoles, reset marker,
//! hand-off, jump, and the loader's main - is here once. Unsafe operations stand in [`board`], [`memory`], [`registers`], `jump`, `log`, `routines`
//! and `vectors` only, each with the argument why it is sound.
//!
//! On a host the crate holds what does not need the hardware, with its tests, and the boards' [`build`] step.
#![cfg_attr(target_os = "none", no_std)]

pub mod board;
#[cfg(not(target_os = "none"))]
pub mod build;
pub mod devices;
pub mod flash;
#[cfg(target_os = "none")]
mod jump;
pub mod layout;
#[cfg(target_os = "none")]
pub mod loader;
#[cfg(target_os = "none")]
pub mod log;
pub mod marker;
pub mod memory;
pub mod nor;
pub mod registers;
#[cfg(target_os = "none")]
mod routines;
#[cfg(target_os = "none")]
mod vectors;

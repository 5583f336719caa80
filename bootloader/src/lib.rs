//! Twinslot's verifier.
//!
//! This crate owns every format that decides whether a host boots: the slot image and its bundle, the boot-state journal, and the hand-off. The
//! loader, the agent and the host tool all link it, so there is never a second implementation inside the product.
//!
//! * [`image`] turns bytes into a [`image::Header`], which exists only for signatures that hold.
//! * [`journal`] keeps the boot state in two mirrored logs that survive a power cut at any instant.
//! * [`decide`](mod@decide) is the slot decision: one pure, total function.
//! * [`load`] places and hashes parts and yields the only value a board can jump with.
//! * [`boot`] runs the decision step by step against real storage.
//! * [`evidence`] carries the verdict as a value beside the branches, so that a skipped instruction starts nothing.
//! * [`install`] is the only writer of slots and journal outside the loader.
//! * [`verity`] says how a root file system lies behind dm-verity: for whoever packs and whoever mounts it, not for the loader.
//! * [`handoff`] is what the loader tells whatever it booted.
//!
//! The crate uses no allocator, no hardware and no `unsafe`. Storage, crypto, memory and the machine are ports.
//!
//! Loaders are small: what is large is read where it stays and passed by reference, and `#[inline(never)]` stands on stages that never run together,
//! so that they share the stack, and on what is called more than once.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::arithmetic_side_effects))]

#[cfg(test)]
extern crate std;

pub mod anchor;
pub mod boot;
mod codec;
pub mod crypto;
pub mod decide;
pub mod evidence;
pub mod handoff;
pub mod image;
pub mod install;
pub mod journal;
pub mod load;
pub mod reason;
pub mod rejection;
pub mod slot;
pub mod storage;
pub mod verity;

/// Version of this loader library, compared with a manifest's `min_loader`. Raised whenever a loader learns something an image may need.
pub const LOADER_VERSION: u16 = 1;

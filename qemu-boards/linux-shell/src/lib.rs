//! What the boards that boot Linux share.
//!
//! A board is a [`machine::Machine`] with a watchdog, a provider of cryptography and the place of its disk. Everything else is here once: the disk as
//! NOR flash ([`disk`], [`nor`], [`storage`], [`virtio`]), where images may lie ([`memory`]), the device tree that Linux gets ([`boot_tree`],
//! [`device_tree`], [`handoff`]), and the loader's main ([`loader`]) with its lines on the [`console`]. Unsafe operations stand in [`memory`] and
//! [`virtio`] only, each with the argument why it is sound.
//!
//! On a host the crate holds what does not need the hardware, with its tests, and the boards' [`build`] step.
#![cfg_attr(target_os = "none", no_std)]

pub mod boot_tree;
#[cfg(not(target_os = "none"))]
pub mod build;
pub mod console;
pub mod device_tree;
pub mod disk;
pub mod handoff;
pub mod layout;
pub mod loader;
pub mod machine;
pub mod memory;
pub mod nor;
pub mod power;
pub mod storage;
pub mod virtio;

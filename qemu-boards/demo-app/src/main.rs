//! The demonstration application.
//!
//! One source for every board and place. What distinguishes one build from another - variant and version - stands in the section
//! `.twinslot.variant`, which tools fill in: five words, little-endian: variant (0 healthy, 1 hangs, 2 crashes, 3 silent), major, minor, patch,
//! build.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod firmware;

/// Firmware has nothing to do on a host.
#[cfg(not(target_os = "none"))]
fn main() {}

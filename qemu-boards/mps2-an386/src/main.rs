//! The loader of mps2-an386. Everything but this description is shared: see the crate `mps2`.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod firmware;

/// Firmware has nothing to do on a host.
#[cfg(not(target_os = "none"))]
fn main() {}

//! The loader of virt-riscv64. What does not depend on the machine is shared: see the crate `linux-shell`.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod firmware;

/// Firmware has nothing to do on a host.
#[cfg(not(target_os = "none"))]
fn main() {}

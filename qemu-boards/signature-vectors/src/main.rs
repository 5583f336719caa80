//! Runs signature and hash vectors through the verifier's own code, on the processor that it verifies on.
//!
//! The curve arithmetic of a Cortex-M is assembly, and the hash is compiled for small code: neither is what tests on a host run. The program stands in
//! the loader's place, prints one line for each group of vectors and then `vectors: done`; `cargo xtask qemu` judges the lines.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod firmware;

/// Firmware has nothing to do on a host.
#[cfg(not(target_os = "none"))]
fn main() {}

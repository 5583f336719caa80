//! Simulators and drivers that Twinslot's cross-crate tests stand on.
//!
//! Everything here is deterministic: the same seed, the same bytes, the same cut.

pub mod board;
pub mod crypto;
pub mod edwards;
pub mod flash;
pub mod fuzzing;
pub mod geometry;
pub mod host;
pub mod image;
pub mod model;
pub mod random;
pub mod storage;

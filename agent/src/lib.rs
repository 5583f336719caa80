//! The Linux side of Twinslot: storage on a block device or a file, and what its journal says.
//!
//! * [`storage`] adapts a block device or a regular file to the verifier's storage port.
//! * [`status`](mod@status) reads the boot state and puts it into words.
#![forbid(unsafe_code)]

pub mod status;
pub mod storage;

pub use status::{Status, status};
pub use storage::{FileStorage, OpenError};

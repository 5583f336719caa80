//! The Linux side of Twinslot: storage on a block device or a file, what its journal says, and what an initramfs needs.
//!
//! * [`storage`] adapts a block device or a regular file to the verifier's storage port.
//! * [`status`](mod@status) reads the boot state and puts it into words.
//! * [`handoff`] reads what the loader handed over.
//! * [`root`] finds the root file system of the running image, [`device_mapper`] puts it behind dm-verity.
//! * [`verdict`] condemns or reverts the running image.
//!
//! The only `unsafe` is in `device_mapper::control`.

pub mod device_mapper;
pub mod handoff;
pub mod root;
pub mod status;
pub mod storage;
pub mod verdict;

pub use root::{RootFs, root_fs};
pub use status::{Status, status};
pub use storage::{FileStorage, OpenError};

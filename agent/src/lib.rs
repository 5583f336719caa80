//! The Linux side of Twinslot: storage on a block device or a file, what its journal says, and what an initramfs needs.
//!
//! * [`storage`] adapts a block device or a regular file to the verifier's storage port.
//! * [`status`](mod@status) reads the boot state and puts it into words.
//! * [`handoff`] reads what the loader handed over.
//! * [`root`] finds the root file system of the running image, [`device_mapper`] puts it behind dm-verity.
//! * [`bundle`] reads what is shipped, [`install`](mod@install) streams it into the slot that does not run and arms the trial.
//! * [`verdict`] confirms, condemns or reverts the running image.
//!
//! The only `unsafe` is in `device_mapper::control`.

pub mod bundle;
pub mod device_mapper;
pub mod handoff;
pub mod install;
mod open;
pub mod root;
pub mod status;
pub mod storage;
pub mod verdict;

pub use bundle::Bundle;
pub use install::install;
pub use root::{RootFs, root_fs};
pub use status::{Status, status};
pub use storage::{FileStorage, OpenError};

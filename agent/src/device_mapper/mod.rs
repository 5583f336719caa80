//! A root file system behind dm-verity, through the kernel's device mapper: one linear device over the part, one verity device over that.
//!
//! Guarantee: both are read-only, and when the second one can not be made the first one is gone again.

mod control;
mod partition;
mod request;

use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Dev, major, minor};
use twinslot_bootloader::crypto::Digest;
use twinslot_bootloader::verity::BLOCK_SIZE;

use crate::root::RootFs;
use control::Control;
use partition::{DEVICES, Place, place};
use request::Target;

/// Bytes of the sectors that the device mapper counts in.
const SECTOR: u64 = 512;

/// The names of the two devices.
const PART: &str = "twinslot-part";
const ROOT: &str = "twinslot-root";

/// Maps a root file system on the block device `storage`, and gives the path of the device to mount.
///
/// # Errors
/// The storage is no block device, or the kernel refuses.
pub fn map(storage: &Path, root: &RootFs) -> Result<PathBuf, MapError> {
    let metadata = storage.metadata().map_err(|source| MapError::Storage { path: storage.to_owned(), source })?;
    if !metadata.file_type().is_block_device() {
        return Err(MapError::NotABlockDevice { path: storage.to_owned() });
    }
    let control = Control::open().map_err(|source| MapError::NoDeviceMapper { source })?;
    let part = make(&control, PART, &linear(place(Path::new(DEVICES), metadata.rdev(), root), root))?;
    make(&control, ROOT, &verity(part, root)).map(node).inspect_err(|_| drop(control.remove(PART)))
}

/// A device with one target, ready for use.
fn make(control: &Control, name: &'static str, target: &Target) -> Result<Dev, MapError> {
    let refused = |step| move |source| MapError::Refused { step, name, source };
    let device = control.create(name).map_err(refused("create"))?;
    let loaded = control.load(name, target).map_err(refused("load the table of"));
    let ready = loaded.and_then(|()| control.resume(name).map_err(refused("start")));
    ready.inspect_err(|_| drop(control.remove(name)))?;
    Ok(device)
}

/// Source: Linux, `Documentation/admin-guide/device-mapper/linear.rst`.
fn linear(Place { device, start }: Place, root: &RootFs) -> Target {
    Target { kind: "linear", sectors: root.len / SECTOR, parameters: format!("{}:{} {start}", major(device), minor(device)) }
}

/// Source: Linux, `Documentation/admin-guide/device-mapper/verity.rst`. Data and hash tree are on the same device, so the tree's first block has the
/// number of the blocks of data.
fn verity(part: Dev, root: &RootFs) -> Target {
    let device = format!("{}:{}", major(part), minor(part));
    let blocks = root.verity.data_blocks;
    let (root_hash, salt) = (hex(&root.verity.root_hash), hex(&root.verity.salt));
    let parameters = format!("1 {device} {device} {BLOCK_SIZE} {BLOCK_SIZE} {blocks} {blocks} sha256 {root_hash} {salt}");
    Target { kind: "verity", sectors: blocks * (BLOCK_SIZE / SECTOR), parameters }
}

fn hex(digest: &Digest) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where devtmpfs has it.
fn node(device: Dev) -> PathBuf {
    PathBuf::from(format!("/dev/dm-{}", minor(device)))
}

/// Why a root file system can not be mapped.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// The storage can not be looked at.
    #[error("{}: {source}", path.display())]
    Storage {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The storage is a file.
    #[error("{}: is no block device, and only those can be mapped", path.display())]
    NotABlockDevice {
        /// The path.
        path: PathBuf,
    },
    /// There is no device mapper.
    #[error("{path}: {source}; load the modules dm-mod and dm-verity first", path = control::PATH)]
    NoDeviceMapper {
        /// Why.
        source: io::Error,
    },
    /// The kernel refused a step.
    #[error("the kernel does not {step} the device {name}: {source}; its log says more")]
    Refused {
        /// Which step.
        step: &'static str,
        /// Of which device.
        name: &'static str,
        /// Why.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use twinslot_bootloader::verity::Verity;

    use super::*;

    const ROOT_FS: RootFs =
        RootFs { offset: 0x20_1000, len: (300 + 4) * 4096, verity: Verity { data_blocks: 300, salt: [0xa5; 32], root_hash: [0x0f; 32] } };

    #[test]
    fn the_part_is_mapped_from_its_first_sector_to_its_last() {
        let table = linear(Place { device: rustix::fs::makedev(253, 300), start: 4104 }, &ROOT_FS);
        assert_eq!((table.kind, table.sectors, table.parameters.as_str()), ("linear", 304 * 8, "253:300 4104"));
    }

    #[test]
    fn the_table_has_what_the_kernel_documents() {
        let table = verity(rustix::fs::makedev(252, 0), &ROOT_FS);
        let expected = format!("1 252:0 252:0 4096 4096 300 300 sha256 {} {}", "0f".repeat(32), "a5".repeat(32));
        assert_eq!((table.kind, table.sectors, table.parameters), ("verity", 2400, expected));
    }

    #[test]
    fn a_file_is_not_mapped() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let error = map(file.path(), &ROOT_FS).expect_err("a refusal").to_string();
        assert!(error.contains("is no block device"), "{error}");
        let error = map(Path::new("/no/such/device"), &ROOT_FS).expect_err("a refusal").to_string();
        assert!(error.starts_with("/no/such/device: No such file"), "{error}");
    }
}

//! The partition that a root file system lies in.
//!
//! The kernel lets nobody mount a partition of a disk that the device mapper holds as a whole, so what is mapped is the partition, where there is one.
//! Source: Linux, `block/bdev.c`, `bd_may_claim`.

use std::path::Path;

use rustix::fs::{Dev, major, makedev, minor};

use super::SECTOR;
use crate::root::RootFs;

/// Where Linux shows block devices by their numbers.
pub(super) const DEVICES: &str = "/sys/dev/block";

/// A device, and where on it the root file system begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) device: Dev,
    /// Counted in sectors of 512 bytes.
    pub(super) start: u64,
}

/// The partition of `disk` that holds all of `root`, as `devices` shows it; the disk itself when there is none.
pub(super) fn place(devices: &Path, disk: Dev, root: &RootFs) -> Place {
    let (start, sectors) = (root.offset / SECTOR, root.len / SECTOR);
    let entries = std::fs::read_dir(devices.join(format!("{}:{}", major(disk), minor(disk))));
    let partitions = entries.into_iter().flatten().filter_map(|entry| Partition::read(&entry.ok()?.path()));
    let around = |partition: &Partition| partition.start <= start && start + sectors <= partition.start + partition.sectors;
    let found = partitions.filter(around).map(|partition| Place { device: partition.device, start: start - partition.start });
    found.min_by_key(|place| place.start).unwrap_or(Place { device: disk, start })
}

struct Partition {
    device: Dev,
    start: u64,
    sectors: u64,
}

impl Partition {
    /// `None` for what is no partition.
    fn read(folder: &Path) -> Option<Self> {
        let text = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
        let number = |name: &str| text(name)?.trim().parse::<u64>().ok();
        number("partition")?;
        let device = text("dev")?;
        let (major, minor) = device.trim().split_once(':')?;
        let device = makedev(major.parse().ok()?, minor.parse().ok()?);
        Some(Self { device, start: number("start")?, sectors: number("size")? })
    }
}

#[cfg(test)]
mod tests {
    use twinslot_bootloader::verity::Verity;

    use super::*;

    /// What Linux shows of a disk with two partitions, and of a queue, which is none.
    fn disk() -> tempfile::TempDir {
        let devices = tempfile::tempdir().expect("a folder");
        for (name, start, size, dev) in [("vda1", "2048\n", "1000\n", "254:1\n"), ("vda2", "4096\n", "131072\n", "254:2\n")] {
            let folder = devices.path().join("254:0").join(name);
            std::fs::create_dir_all(&folder).expect("a folder");
            for (file, text) in [("partition", "1\n"), ("start", start), ("size", size), ("dev", dev)] {
                std::fs::write(folder.join(file), text).expect("a file");
            }
        }
        std::fs::create_dir_all(devices.path().join("254:0/queue")).expect("a folder");
        devices
    }

    fn root(start: u64, sectors: u64) -> RootFs {
        RootFs { offset: start * 512, len: sectors * 512, verity: Verity { data_blocks: 1, salt: [0; 32], root_hash: [0; 32] } }
    }

    #[test]
    fn it_is_the_partition_that_holds_all_of_it() {
        let devices = disk();
        let on = |start, sectors| place(devices.path(), makedev(254, 0), &root(start, sectors));
        let second = |start| Place { device: makedev(254, 2), start };
        assert_eq!(on(4096, 131_072), second(0));
        assert_eq!(on(70_000, 8), second(65_904));
    }

    #[test]
    fn it_is_the_disk_when_no_partition_holds_it() {
        let devices = disk();
        let on = |start, sectors| place(devices.path(), makedev(254, 0), &root(start, sectors));
        let whole = |start| Place { device: makedev(254, 0), start };
        assert_eq!(on(3000, 64), whole(3000), "it begins inside the first one and ends behind it");
        assert_eq!(on(4095, 8), whole(4095));
        assert_eq!(on(4096, 131_073), whole(4096));
        assert_eq!(place(devices.path(), makedev(8, 0), &root(4096, 8)), Place { device: makedev(8, 0), start: 4096 });
    }
}

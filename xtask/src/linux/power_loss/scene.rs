//! What is done to a disk while its writes are logged, and what must come of a power cut in it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use twinslot_bootloader::decide::Why;
use twinslot_bootloader::handoff::Handoff;
use twinslot_bootloader::image::SIGNED_SIZE;
use twinslot_bootloader::journal::{RECORD_SIZE, Record};
use twinslot_config::Layout;

use super::judge::{Fate, boot};
use crate::linux::disk::Slot;
use crate::linux::forge;
use crate::linux::probe::{self, RUNS};
use crate::linux::supply::Supply;
use crate::scenario::Sequence;

/// Bytes of an image's initrd: three chunks, and more requests than one.
const INITRD_SIZE: usize = 600_000;

/// A run of the agent on a disk of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene {
    /// At most 20 bytes: the disk's serial number.
    pub(super) name: &'static str,
    pub(super) verb: Verb,
    pub(super) journal: Room,
    /// The largest request that the kernel makes, in KiB, where it is not the kernel's own choice.
    pub(super) request: Option<u32>,
}

/// What the agent is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Install,
    Confirm,
}

/// Room in the journal's logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Ample,
    /// For so many of the scene's records. Then each log is erased.
    Records(u64),
}

/// All of them. An install commits two records, a confirm one.
pub(super) const SCENES: [Scene; 5] = [
    Scene { name: "install", verb: Verb::Install, journal: Room::Ample, request: None },
    Scene { name: "install-4k", verb: Verb::Install, journal: Room::Ample, request: Some(4) },
    Scene { name: "install-full-logs", verb: Verb::Install, journal: Room::Records(1), request: Some(64) },
    Scene { name: "confirm", verb: Verb::Confirm, journal: Room::Ample, request: None },
    Scene { name: "confirm-full-logs", verb: Verb::Confirm, journal: Room::Records(0), request: Some(64) },
];

/// An image whose kernel is a probe that says which one it is.
pub(super) struct Image {
    pub(super) version: &'static str,
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
}

impl Image {
    fn new(supply: &Supply, version: &'static str) -> Result<Self> {
        let kernel = probe::kernel(supply.board(), &says(version), |len| filler(version, len));
        let parts = [("kernel", kernel), ("initrd", filler(version, INITRD_SIZE)), ("command-line", b"console=none".to_vec())];
        let path = supply.pack(version, &parts)?;
        Ok(Self { version, bytes: std::fs::read(&path)?, path })
    }

    /// What its kernel says.
    pub(super) fn says(&self) -> String {
        says(self.version)
    }

    /// Its header digest. Source: `docs/format.md`.
    pub(super) fn digest(&self) -> [u8; 32] {
        forge::digest(&self.bytes[..SIGNED_SIZE])
    }
}

fn says(version: &str) -> String {
    format!("{RUNS} {version}")
}

/// Bytes that no two images have in common at the same place.
fn filler(version: &str, len: usize) -> Vec<u8> {
    let seed = version.bytes().fold(0, |seed: u64, byte| seed << 8 | u64::from(byte));
    let mut random = Sequence::new(seed);
    let mut bytes: Vec<u8> = std::iter::repeat_with(|| random.up_to(u64::MAX).to_le_bytes()).take(len.div_ceil(8)).flatten().collect();
    bytes.truncate(len);
    bytes
}

/// What a loader must start.
pub(super) struct Expected<'a> {
    pub(super) slot: Slot,
    pub(super) why: Why,
    pub(super) image: &'a Image,
}

/// What all scenes are made of.
pub(super) struct Stage {
    pub(super) supply: Supply,
    /// Runs, in slot A.
    old: Image,
    /// Lies in slot B, confirmed too, until the install.
    older: Image,
    pub(super) new: Image,
    pub(super) bundle: PathBuf,
}

impl Stage {
    pub(super) fn new(supply: Supply) -> Result<Self> {
        let [old, older, new] = ["1.0.0", "0.9.0", "2.0.0"].map(|version| Image::new(&supply, version));
        let new = new?;
        Ok(Self { bundle: supply.bundle(&new.path)?, old: old?, older: older?, new, supply })
    }

    pub(super) const fn layout(&self) -> &Layout {
        self.supply.layout()
    }

    /// The folder of a scene.
    pub(super) fn folder(&self, scene: &Scene) -> Result<PathBuf> {
        let folder = self.supply.folder().join(scene.name);
        std::fs::create_dir_all(&folder).with_context(|| format!("can not make the folder {}", folder.display()))?;
        Ok(folder)
    }

    /// The disk as a scene begins, and what the loader handed over to the image that it started from it.
    pub(super) fn begin(&self, scene: &Scene, disk: &Path) -> Result<Handoff> {
        match scene.verb {
            Verb::Install => self.supply.assemble(disk, [&self.old.path, &self.older.path], &["--confirmed", "a", "--confirmed", "b"])?,
            Verb::Confirm => self.supply.assemble(disk, [&self.old.path, &self.new.path], &["--confirmed", "a", "--trial", "b"])?,
        }
        // The boot into the trial commits a record too.
        let started = if scene.verb == Verb::Install { 0 } else { 1 };
        if let Room::Records(room) = scene.journal {
            fill_logs(disk, self.layout(), room + started)?;
        }
        let shown = boot(&self.supply, disk, self.supply.folder(), Fate::Kept)?;
        if let Some(complaint) = shown.complaint(&self.before(scene)) {
            bail!("the boot before scene {}: {complaint}", scene.name);
        }
        shown.handoff.context("the boot left no hand-off")
    }

    /// The flushes that an agent must have made, each with something to flush: for a record in each log, for each log's erase, for parts and header.
    pub(super) const fn least_flushes(scene: &Scene) -> usize {
        let erases = match scene.journal {
            Room::Ample => 0,
            Room::Records(_) => 2,
        };
        let own = match scene.verb {
            Verb::Install => 2 * 2 + 2,
            Verb::Confirm => 2,
        };
        own + erases
    }

    /// What starts before the scene's last record is there.
    pub(super) const fn before(&self, scene: &Scene) -> Expected<'_> {
        match scene.verb {
            Verb::Install => Expected { slot: Slot::A, why: Why::Confirmed, image: &self.old },
            Verb::Confirm => Expected { slot: Slot::B, why: Why::Trial, image: &self.new },
        }
    }

    /// What starts once it is.
    pub(super) const fn after(&self, scene: &Scene) -> Expected<'_> {
        let why = match scene.verb {
            Verb::Install => Why::Trial,
            Verb::Confirm => Why::Confirmed,
        };
        Expected { slot: Slot::B, why, image: &self.new }
    }
}

/// Writes the disk's one record again and again, each time with the next sequence, until both logs have room for so many more.
fn fill_logs(disk: &Path, layout: &Layout, room: u64) -> Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(disk).with_context(|| format!("can not open {}", disk.display()))?;
    let stride = layout.flash.tear_size;
    for log in layout.logs() {
        let first = record_at(&file, log.offset, layout)?;
        let places = log.size / stride;
        ensure!(room < places, "a log has {places} places, no room for {room} more in it");
        for place in 1..places - room {
            let record = Record { sequence: first.sequence + place, state: first.state };
            let bytes = record.encode().context("a record that does not fit")?;
            let mut unit = vec![0xff; usize::try_from(layout.flash.write_size)?];
            unit[..RECORD_SIZE].copy_from_slice(&bytes);
            file.write_all_at(&unit, log.offset + place * stride)?;
        }
    }
    Ok(())
}

fn record_at(file: &File, at: u64, layout: &Layout) -> Result<Record> {
    let mut bytes = [0; RECORD_SIZE];
    file.read_exact_at(&mut bytes, at)?;
    Record::decode(&bytes, &layout.policy).context("the log does not begin with a record")
}

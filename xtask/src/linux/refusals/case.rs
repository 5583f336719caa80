//! One case: what is changed, by the seed and the case's number alone.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use twinslot_bootloader::image::manifest::{Check, Encoding, Kind as PartKind, Manifest, Part, Place};
use twinslot_bootloader::image::{HEADER_SIZE, HeaderBytes, SIGNED_SIZE};
use twinslot_config::layout::Span;

use crate::linux::board::Board;
use crate::linux::disk::Slot;
use crate::linux::forge;
use crate::linux::machine::{Company, Hardware};
use crate::linux::supply::Supply;
use crate::linux::table::ORDINARY;
use crate::scenario::Sequence;

/// Bytes at the front of a slot that an image without Linux takes.
const IMAGE: usize = 192 * 1024;

/// How many bytes of the machine's device tree are worth damaging.
const TREE_SIZE: u64 = 0x2200;
const TREE_HEADER: u64 = 40;

/// What a part begins at a multiple of.
const ALIGNMENT: u64 = 4096;

/// A host with a good image in both slots.
pub(super) struct Host {
    pub(super) board: Board,
    pub(super) loader: PathBuf,
    /// The whole disk, as it was assembled.
    disk: PathBuf,
    journal: (Span, Vec<u8>),
    slots: [(Span, Vec<u8>); 2],
    /// A device tree to sign.
    tree: Vec<u8>,
    key: PathBuf,
}

impl Host {
    pub(super) fn new(supply: &Supply) -> Result<Self> {
        let disk = supply.probe_disk()?;
        let file = File::open(&disk).with_context(|| format!("can not open {}", disk.display()))?;
        let layout = supply.layout();
        let read = |span: Span, len: usize| -> Result<(Span, Vec<u8>)> {
            let mut bytes = vec![0; len];
            file.read_exact_at(&mut bytes, span.offset)?;
            Ok((span, bytes))
        };
        let journal = read(layout.journal, usize::try_from(layout.journal.size)?)?;
        let slots = [read(layout.slot_a, IMAGE)?, read(layout.slot_b, IMAGE)?];
        let tree = std::fs::read(supply.signed_tree()?)?;
        Ok(Self { board: supply.board(), loader: supply.loader().to_owned(), disk: disk.clone(), journal, slots, tree, key: supply.owners_key() })
    }

    /// The disk as it was, in a file that other cases have used.
    fn restore(&self, path: &Path) -> Result<File> {
        if !path.is_file() {
            crate::process::output_of(std::process::Command::new("cp").arg("--sparse=always").arg(&self.disk).arg(path))?;
        }
        let file = OpenOptions::new().read(true).write(true).open(path).with_context(|| format!("can not open {}", path.display()))?;
        file.set_len(self.disk.metadata()?.len())?;
        for (span, bytes) in self.slots.iter().chain([&self.journal]) {
            file.write_all_at(bytes, span.offset)?;
        }
        Ok(file)
    }
}

/// What a case is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Bytes of a header.
    Header,
    /// Bytes of what is signed, with a CRC that is right again.
    Unsigned,
    /// The same with a signature that is right again.
    Signed,
    /// Numbers of a manifest, signed.
    Manifest,
    /// The head of a kernel, with a digest that is right again, signed.
    Kernel,
    /// A device tree of the image's own with damage in it, signed.
    SignedTree,
    /// Bytes of parts.
    Part,
    /// Bytes of the journal.
    Journal,
    /// Bytes of the machine's device tree.
    Tree,
    /// A disk that is too small, can not be read everywhere, or is not alone.
    Disk,
    /// Less memory.
    Memory,
}

const KINDS: [Kind; 11] = [
    Kind::Header,
    Kind::Unsigned,
    Kind::Signed,
    Kind::Manifest,
    Kind::Kernel,
    Kind::SignedTree,
    Kind::Part,
    Kind::Journal,
    Kind::Disk,
    Kind::Memory,
    Kind::Tree,
];

/// What a board's loader is tried with. On riscv64 OpenSBI reads the machine's device tree first, and ends without a word about damage that it does not
/// survive.
fn kinds(board: Board) -> &'static [Kind] {
    match board {
        Board::Aarch64 => &KINDS,
        Board::Riscv64 => &KINDS[..KINDS.len() - 1],
    }
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Unsigned => "header, sealed",
            Self::Signed => "header, signed",
            Self::Manifest => "manifest, signed",
            Self::Kernel => "kernel's head, signed",
            Self::SignedTree => "device tree, signed",
            Self::Part => "parts",
            Self::Journal => "journal",
            Self::Tree => "device tree",
            Self::Disk => "disk",
            Self::Memory => "memory",
        }
    }
}

/// A case, by its number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    pub(super) seed: u64,
    pub(super) number: u64,
}

/// What was changed.
pub(super) struct Changed {
    pub(super) kind: Kind,
    pub(super) hardware: Hardware,
    pub(super) has_disk: bool,
    /// Bytes that stand in memory before the first instruction.
    pub(super) memory: Option<(u64, Vec<u8>)>,
    /// Slots that no longer hold what was signed.
    pub(super) refused: Vec<Slot>,
}

impl Case {
    /// Changes a disk, or says what else is to be changed.
    pub(super) fn apply(self, host: &Host, path: &Path) -> Result<Changed> {
        let kinds = kinds(host.board);
        let kind = kinds[(self.number % kinds.len() as u64) as usize];
        let file = host.restore(path)?;
        let mut random = Sequence::new(self.seed ^ self.number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut changed = Changed { kind, hardware: ORDINARY, has_disk: true, memory: None, refused: vec![] };
        match kind {
            Kind::Header | Kind::Unsigned | Kind::Signed | Kind::Manifest | Kind::Kernel | Kind::SignedTree | Kind::Part => {
                // Both slots in every second case: nothing good is left then. A tree is edited only where no image is left as the journal knows it.
                let both = random.up_to(2) == 1 || kind == Kind::SignedTree;
                let slots = if both { &[Slot::A, Slot::B][..] } else { &[Slot::A] };
                for slot in slots {
                    let (span, bytes) = &host.slots[*slot as usize];
                    let mut image = bytes.clone();
                    if change_image(kind, &mut image, &mut random, host)? {
                        changed.refused.push(*slot);
                    }
                    file.write_all_at(&image, span.offset)?;
                }
            }
            Kind::Journal => {
                let (span, mut bytes) = host.journal.clone();
                let record = bytes.len() / 2;
                for start in [0, record] {
                    damage(&mut bytes[start..start + 512], &mut random, 40);
                }
                file.write_all_at(&bytes, span.offset)?;
            }
            Kind::Tree => {
                let reach = if random.up_to(2) == 1 { TREE_HEADER } else { TREE_SIZE };
                let mut bytes = vec![0; random.up_to(8) as usize];
                bytes.fill_with(|| random.up_to(256) as u8);
                changed.memory = Some((host.board.machine_tree() + random.up_to(reach) - 1, bytes));
            }
            Kind::Disk => change_disk(&file, host, &mut random, &mut changed)?,
            Kind::Memory => changed.hardware.memory = host.board.least_memory() + random.up_to(64) as u32,
        }
        Ok(changed)
    }
}

/// Whether the image is no longer one that may start.
fn change_image(kind: Kind, image: &mut [u8], random: &mut Sequence, host: &Host) -> Result<bool> {
    let key = &host.key;
    let before = image.to_vec();
    match kind {
        Kind::Header => damage(&mut image[..HEADER_SIZE], random, 8),
        Kind::Part => {
            let manifest = manifest(image)?;
            let part = &manifest.parts[random.up_to(manifest.parts.len() as u64) as usize - 1];
            let (start, len) = (part.offset as usize, part.len as usize);
            damage(&mut image[start..start + len], random, 8);
        }
        Kind::Unsigned => {
            damage(&mut image[..SIGNED_SIZE], random, 4);
            seal(image);
        }
        Kind::Signed => {
            damage(&mut image[16..SIGNED_SIZE], random, 4);
            sign(image, key)?;
        }
        Kind::Manifest => {
            let mut manifest = manifest(image)?;
            change_manifest(&mut manifest, random, host.board.ram());
            image[..HEADER_SIZE].copy_from_slice(&forge::signed(&manifest, key)?);
        }
        Kind::SignedTree => add_tree(image, random, host)?,
        _ => {
            let mut manifest = manifest(image)?;
            let start = manifest.parts[0].offset as usize;
            damage(&mut image[start..start + 64], random, 6);
            manifest.parts[0].sha256 = forge::digest(&image[start..start + manifest.parts[0].len as usize]);
            image[..HEADER_SIZE].copy_from_slice(&forge::signed(&manifest, key)?);
        }
    }
    // What the owner has signed may start, whatever it is; so may a header in which only bytes have changed that nothing is said of.
    let is_owners = matches!(kind, Kind::Signed | Kind::Manifest | Kind::Kernel | Kind::SignedTree);
    Ok(!is_owners && before != image)
}

/// Adds a device tree behind the last part, damaged in its header, anywhere, or in the name that the loader looks for.
fn add_tree(image: &mut [u8], random: &mut Sequence, host: &Host) -> Result<()> {
    let mut tree = host.tree.clone();
    match random.up_to(3) {
        1 => damage(&mut tree[..TREE_HEADER as usize], random, 2),
        2 => damage(&mut tree, random, 8),
        _ => {
            let name = b"chosen\0";
            let at = tree.windows(name.len()).position(|window| window == name).context("a tree without /chosen")?;
            damage(&mut tree[at..at + name.len() - 1], random, 1);
        }
    }
    let mut manifest = manifest(image)?;
    let end = manifest.parts.last().and_then(Part::end).context("an image without parts")?;
    let (offset, len) = (end.next_multiple_of(ALIGNMENT), tree.len() as u64);
    let part = Part {
        kind: PartKind::DeviceTree,
        offset,
        len,
        mem: len,
        place: Place::Auto,
        entry: 0,
        encoding: Encoding::Plain,
        sha256: forge::digest(&tree),
        check: Check::AtBoot,
    };
    manifest.parts.push(part).map_err(|_| anyhow::anyhow!("an image has too many parts"))?;
    let place = image.get_mut(offset as usize..(offset + len) as usize).context("the tree does not fit")?;
    place.copy_from_slice(&tree);
    image[..HEADER_SIZE].copy_from_slice(&forge::signed(&manifest, &host.key)?);
    Ok(())
}

/// Writes up to `most` random bytes to random places.
fn damage(bytes: &mut [u8], random: &mut Sequence, most: u64) {
    for _ in 0..random.up_to(most) {
        let at = random.up_to(bytes.len() as u64) as usize - 1;
        bytes[at] = random.up_to(256) as u8;
    }
}

fn manifest(image: &[u8]) -> Result<Manifest> {
    let header = image.first_chunk::<HEADER_SIZE>().context("an image without a header")?;
    HeaderBytes::parse(header).and_then(|header| header.unverified_manifest()).context("the host's own image")
}

/// Numbers that lie at the edges of something, and any number.
fn number(random: &mut Sequence, ram: u64) -> u64 {
    let edges = [0, 1, 512, 4096, 0xf_ffff, 0x20_0000, 0x400_0000, ram, ram + 0x20_0000, 0xffff_f000, u64::from(u32::MAX) + 1, (1 << 48) - 1];
    match random.up_to(3) {
        1 => edges[random.up_to(edges.len() as u64) as usize - 1],
        2 => ram + random.up_to(0x4000_0000),
        _ => random.up_to(1 << 48) - 1,
    }
}

fn change_manifest(manifest: &mut Manifest, random: &mut Sequence, ram: u64) {
    for _ in 0..random.up_to(3) {
        let value = number(random, ram);
        let at = random.up_to(manifest.parts.len() as u64) as usize - 1;
        let part = &mut manifest.parts[at];
        match random.up_to(7) {
            1 => part.offset = value,
            2 => part.len = value,
            3 => part.mem = value,
            4 => part.entry = value,
            5 => part.place = Place::At(value),
            6 => part.place = Place::InPlace,
            _ => manifest.security_counter = value as u32,
        }
    }
}

fn change_disk(file: &File, host: &Host, random: &mut Sequence, changed: &mut Changed) -> Result<()> {
    let [(first, _), (second, _)] = &host.slots;
    match random.up_to(4) {
        1 => {
            let end = random.up_to(second.offset + IMAGE as u64);
            file.set_len(end)?;
            let cut = [(Slot::A, first), (Slot::B, second)].into_iter().filter(|(_, slot)| end < slot.offset + HEADER_SIZE as u64);
            changed.refused = cut.map(|(slot, _)| slot).collect();
        }
        2 => {
            let places = [host.journal.0.offset, host.journal.0.offset + host.journal.0.size / 2, first.offset, second.offset];
            let sectors = (places[random.up_to(4) as usize - 1] + random.up_to(IMAGE as u64)) / 512;
            changed.hardware.bad_sector = Some(sectors);
        }
        3 => changed.hardware.company = if random.up_to(2) == 1 { Company::Named } else { Company::Nameless },
        _ => changed.has_disk = false,
    }
    Ok(())
}

/// Makes the CRC right.
fn seal(image: &mut [u8]) {
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&image[..HEADER_SIZE - 4]);
    image[HEADER_SIZE - 4..HEADER_SIZE].copy_from_slice(&crc.to_le_bytes());
}

/// Makes the first signature and the CRC right.
fn sign(image: &mut [u8], key: &Path) -> Result<()> {
    let signature = forge::signature_of(&image[..SIGNED_SIZE], key)?;
    image[SIGNED_SIZE + 8..SIGNED_SIZE + 72].copy_from_slice(&signature);
    seal(image);
    Ok(())
}

//! Hosts and the manifests that fit them, in every shape that the format allows.

use twinslot_bootloader::anchor::KeyId;
use twinslot_bootloader::crypto::{Builtin, PublicKey};
use twinslot_bootloader::image::manifest::{Check, Encoding, Extra, Kind, Manifest, Part, Place, SlotRule, Version};
use twinslot_bootloader::image::{HEADER_SIZE, SlotUse};
use twinslot_bootloader::slot::Slot;
use twinslot_tests::image::Signer;
use twinslot_tests::random::Random;

use crate::case::World;

/// Keys that worlds trust, and one more that none does.
pub(crate) struct Keys {
    /// All of them, the stranger last.
    all: Vec<(Signer, PublicKey, KeyId)>,
}

impl Keys {
    pub(crate) fn new() -> Self {
        let signers = (1..=9).map(Signer::ed25519);
        Self { all: signers.map(|signer| (signer.clone(), signer.public(), signer.id(&mut Builtin))).collect() }
    }

    pub(crate) fn signer(&self, public: &PublicKey) -> (&Signer, KeyId) {
        let (signer, _, id) = self.all.iter().find(|(_, known, _)| known == public).expect("one of these keys");
        (signer, *id)
    }

    pub(crate) fn id(&self, public: &PublicKey) -> KeyId {
        self.signer(public).1
    }

    pub(crate) fn stranger(&self) -> PublicKey {
        self.all[8].1
    }

    fn some(&self, count: usize, random: &mut Random) -> Vec<PublicKey> {
        let first = random.below(8) as usize;
        (0..count).map(|number| self.all[(first + number) % 8].1).collect()
    }
}

/// One of a few, by chance.
pub(crate) fn pick<T: Copy>(random: &mut Random, choices: &[T]) -> T {
    choices[random.below(choices.len() as u64) as usize]
}

/// Whether a chance of one in so many comes up.
pub(crate) const fn one_in(random: &mut Random, many: u64) -> bool {
    random.below(many) == 0
}

/// A host with 1 to 8 keys of which 1 to 3 must sign.
pub(crate) fn world(keys: &Keys, random: &mut Random) -> World {
    let count = pick(random, &[1, 1, 2, 3, 3, 4, 5, 8]);
    let threshold = 1 + random.below(count.min(3) as u64) as u8;
    World {
        keys: keys.some(count, random),
        threshold,
        trust_floor: pick(random, &[0, 0, 1, 5]),
        product: pick(random, &["sim", "a", "~!", "gateway-x1", "abcdefghijklmnopqrstuvwxyz-01234"]).to_owned(),
        hardware: pick(random, &[0, 1, 2, 7, 31]),
        slot_use: pick(random, &[SlotUse::Slot(Slot::A), SlotUse::Slot(Slot::B), SlotUse::Golden]),
        slot_size: 1 << 47,
        write_size: pick(random, &[1, 2, 4, 8, 16, 32, 256, 512, 4096]),
        floor: pick(random, &[0, 0, 3, 300]),
        revoked: if one_in(random, 4) { vec![[0xaa; 8]] } else { Vec::new() },
    }
}

/// A manifest that the world accepts. It shrinks the world's slot to the image, often to its very end.
pub(crate) fn manifest(world: &mut World, random: &mut Random) -> Manifest {
    let slots = match world.slot_use {
        SlotUse::Golden => [SlotRule::Any; 2],
        SlotUse::Slot(Slot::A) => [SlotRule::Any, SlotRule::A],
        SlotUse::Slot(Slot::B) => [SlotRule::Any, SlotRule::B],
    };
    let parts = parts(world, random);
    let end = parts.last().and_then(Part::end).unwrap_or_default();
    world.slot_size = end + pick(random, &[0, 1, 4096, 1 << 40]);
    Manifest {
        product: world.product.as_str().try_into().expect("a world's product is printable"),
        hw: pick(random, &[0, 1 << world.hardware, u32::MAX, 1 << world.hardware | 4]),
        version: Version { major: random.word() as u16, minor: random.below(300) as u16, patch: random.below(3) as u16, build: random.word() as u32 },
        security_counter: world.floor.max(world.trust_floor) + pick(random, &[0, 1, 1000]),
        slot: pick(random, &slots),
        revoke: (0..random.below(5)).map(|number| [0xa8 + number as u8; 8]).collect(),
        created: pick(random, &[0, 1_700_000_000, (1 << 48) - 1]),
        build: [random.byte(); 32],
        chunks: [random.byte(); 32],
        min_loader: random.below(2) as u16,
        requires: 0,
        parts: parts.into_iter().collect(),
        extra: (0..random.below(4)).map(|_| extra(random)).collect(),
    }
}

fn extra(random: &mut Random) -> Extra {
    let length = pick(random, &[0, 1, 31, 32]);
    Extra { tag: random.word() as u16, data: random.bytes(length).into_iter().collect() }
}

fn parts(world: &World, random: &mut Random) -> Vec<Part> {
    let kinds = if one_in(random, 2) { firmware_kinds(random) } else { kernel_kinds(random) };
    let step = world.write_size.max(1024);
    let mut at = HEADER_SIZE as u64;
    let mut parts = Vec::new();
    for kind in kinds {
        let offset = at.next_multiple_of(step) + step * pick(random, &[0, 0, 1, 9]);
        let part = part(kind, offset, random);
        at = part.offset + part.len;
        parts.push(part);
    }
    parts
}

fn firmware_kinds(random: &mut Random) -> Vec<Kind> {
    let mut kinds = vec![Kind::Firmware];
    kinds.extend((0..random.below(6) as u8).map(|number| Kind::Aux(number * 50)));
    rotate(kinds, random)
}

fn kernel_kinds(random: &mut Random) -> Vec<Kind> {
    let mut kinds = vec![Kind::Kernel];
    for kind in [Kind::Initrd, Kind::DeviceTree, Kind::CommandLine, Kind::RootFs, Kind::Aux(255)] {
        let alone = kind == Kind::RootFs && !kinds.contains(&Kind::CommandLine);
        if !alone && one_in(random, 2) {
            kinds.push(kind);
        }
    }
    rotate(kinds, random)
}

fn rotate(mut kinds: Vec<Kind>, random: &mut Random) -> Vec<Kind> {
    let by = random.below(kinds.len() as u64) as usize;
    kinds.rotate_left(by);
    kinds
}

fn part(kind: Kind, offset: u64, random: &mut Random) -> Part {
    let at = Place::At(pick(random, &[0, 0x2000_0000, (1 << 48) - 1]));
    let places = match kind {
        Kind::RootFs => [Place::InPlace; 3],
        Kind::Firmware | Kind::Aux(_) => [Place::InPlace, at, at],
        Kind::CommandLine => [Place::InPlace, at, Place::Auto],
        _ => [at, Place::Auto, Place::Auto],
    };
    let len = pick(random, &[1, 100, 1024, 5_000, 300_000, 1 << 40]);
    Part {
        kind,
        offset,
        len,
        mem: len + pick(random, &[0, 0, 1, 70_000]),
        place: pick(random, &places),
        entry: if kind == Kind::Firmware { 0 } else { pick(random, &[0, len / 2, len - 1]) },
        encoding: Encoding::Plain,
        sha256: [random.byte(); 32],
        check: if kind == Kind::RootFs { Check::ByOs } else { Check::AtBoot },
    }
}

//! Changes that an owner or an attacker could make to what is otherwise valid. Each returns its name.

use twinslot_bootloader::image::manifest::{Check, Encoding, Kind, Manifest, Part, Place, SlotRule};
use twinslot_bootloader::image::{HEADER_SIZE, SIGNED_SIZE, SlotUse};
use twinslot_bootloader::slot::Slot;
use twinslot_tests::edwards::add_order;
use twinslot_tests::random::Random;

use crate::case::World;
use crate::headers::ENTRY;
use crate::shapes::{Keys, pick};

/// Changes one thing in the manifest, so that it is well-formed and often against a rule.
pub(crate) fn change_manifest(manifest: &mut Manifest, world: &World, keys: &Keys, random: &mut Random) -> String {
    let count = manifest.parts.len();
    let number = random.below(count as u64) as usize;
    let name = match random.below(11) {
        0 => change_policy(manifest, world, random),
        1 => {
            let revoked: Vec<_> = world.keys.iter().map(|key| keys.id(key)).collect();
            let many = 1 + random.below(revoked.len().min(4) as u64) as usize;
            manifest.revoke = revoked[..many].iter().copied().collect();
            "own keys revoked"
        }
        2 => {
            manifest.parts.swap(0, number);
            "parts in another order"
        }
        3 => {
            manifest.parts.remove(number);
            "a part less"
        }
        4 => {
            let part = Part { offset: manifest.parts[count - 1].offset + (1 << 42), ..manifest.parts[number] };
            manifest.parts.push(part).map_or("no room for one part more", |()| "a part twice")
        }
        _ => change_part(&mut manifest.parts[number], world, random),
    };
    format!("{name}; ")
}

fn change_policy(manifest: &mut Manifest, world: &World, random: &mut Random) -> &'static str {
    match random.below(6) {
        0 => {
            manifest.product = "another".try_into().expect("a printable name");
            "another product"
        }
        1 => {
            manifest.hw = !(1 << world.hardware);
            "all other hardware"
        }
        2 => {
            manifest.slot = pick(random, &[SlotRule::Any, SlotRule::A, SlotRule::B]);
            "any slot rule"
        }
        3 => {
            manifest.security_counter = random.below(u64::from(world.floor.max(world.trust_floor)) + 2) as u32;
            "a counter about the floor"
        }
        4 => {
            manifest.min_loader = pick(random, &[2, u16::MAX]);
            "a newer loader"
        }
        _ => {
            manifest.requires = 1 << random.below(32);
            "a required feature"
        }
    }
}

fn change_part(part: &mut Part, world: &World, random: &mut Random) -> &'static str {
    let aux = Kind::Aux(random.byte());
    let other = pick(random, &[Kind::Firmware, Kind::Kernel, Kind::Initrd, Kind::DeviceTree, Kind::CommandLine, Kind::RootFs, aux, Kind::Loader]);
    match random.below(10) {
        0 => part.kind = other,
        1 => {
            part.kind = other;
            part.check = if other == Kind::RootFs { Check::ByOs } else { Check::AtBoot };
            part.place = if other == Kind::RootFs { Place::InPlace } else { part.place };
            part.entry = 0;
        }
        2 => {
            let offsets = [0, 512, 1024, 1025, 2048, part.offset + 1, part.offset + 1024, part.offset + world.write_size, (1 << 48) - 1024];
            part.offset = pick(random, &offsets);
        }
        3 => part.len = pick(random, &[0, 1, part.len + 1, (1 << 48) - 1, part.mem + 1]),
        4 => part.mem = pick(random, &[0, part.len - 1, part.len, (1 << 48) - 1]),
        5 => part.place = pick(random, &[Place::InPlace, Place::At(1 << 20), Place::Auto]),
        6 => part.entry = pick(random, &[1, part.len - 1, part.len, (1 << 48) - 1]),
        7 => part.encoding = pick(random, &[Encoding::Lz4, Encoding::Zstd, Encoding::Aes]),
        8 => part.check = pick(random, &[Check::AtBoot, Check::ByOs]),
        _ => {
            part.len = world.slot_size - part.offset;
            part.mem = part.len + 1;
        }
    }
    "one value of a part"
}

/// Puts the host beside what the manifest was made for.
pub(crate) fn change_world(world: &mut World, manifest: &Manifest, keys: &Keys, random: &mut Random) -> String {
    let end = manifest.image_len().unwrap_or(1 << 20);
    let id = keys.id(&pick(random, &world.keys));
    match random.below(10) {
        0 => world.product.push('x'),
        1 => world.hardware = random.below(32) as u8,
        2 => world.slot_use = pick(random, &[SlotUse::Golden, SlotUse::Slot(Slot::A), SlotUse::Slot(Slot::B)]),
        3 => world.slot_size = pick(random, &[end - 1, end, 0, 1024]),
        4 => world.write_size = pick(random, &[1, 1024, 2048, 4096, 1 << 16]),
        5 => world.floor = manifest.security_counter.saturating_add(pick(random, &[0, 1, 100])),
        6 => world.trust_floor = manifest.security_counter.saturating_add(pick(random, &[0, 1, 100])),
        7 => world.threshold = 1 + random.below(world.keys.len() as u64) as u8,
        8 => world.revoked.extend(world.keys.iter().take(2).map(|key| keys.id(key))),
        _ => world.revoked.push(id),
    }
    "another host; ".to_owned()
}

/// Changes the frame before it is signed.
pub(crate) fn change_frame(header: &mut [u8; HEADER_SIZE], random: &mut Random) -> String {
    let length = u32::from_le_bytes([header[12], header[13], header[14], header[15]]);
    let at = match random.below(4) {
        0 => random.below(12) as usize,
        1 => 16 + random.below(u64::from(length)) as usize,
        2 => SIGNED_SIZE - 1 - random.below(40) as usize,
        _ => {
            let lengths = [0, 1, length + 1, length - 1, length + 5, 716, 717, 1 << 16, u32::MAX];
            header[12..16].copy_from_slice(&pick(random, &lengths).to_le_bytes());
            return "another body length".to_owned();
        }
    };
    header[at] = pick(random, &[0, 1, 2, 0xff, header[at] ^ 1]);
    format!("byte {at} before signing")
}

/// Changes the signature list.
pub(crate) fn change_signatures(header: &mut [u8; HEADER_SIZE], keys: &Keys, random: &mut Random) -> String {
    let (signed, list) = header.split_at_mut(SIGNED_SIZE);
    let [one, other] = [(); 2].map(|()| random.below(4) as usize * ENTRY);
    let name = match random.below(12) {
        0 => {
            list.copy_within(one..one + ENTRY, other);
            "an entry copied"
        }
        1 => {
            list.copy_within(one..one + 8, other);
            "a key id copied"
        }
        2 => {
            list[one..one + ENTRY].fill(0);
            "an entry blank"
        }
        3 => {
            list[one + 8..one + ENTRY].fill(0);
            "a signature of zeros"
        }
        4 => {
            list[one..one + 8].fill(0);
            "a key id of zeros"
        }
        5 => {
            list[4 * ENTRY - 1 - random.below(72) as usize] ^= 1 << random.below(8);
            "a bit of the last entry"
        }
        6 => {
            add_order(&mut list[one + 40..one + ENTRY]);
            "S raised by the order"
        }
        7 => {
            list[one + 8..one + 40].copy_from_slice(&pick(random, &weak_points()));
            "a weak R"
        }
        8 => {
            let (signer, id) = keys.signer(&keys.stranger());
            list[one..one + 8].copy_from_slice(&id);
            list[one + 8..one + ENTRY].copy_from_slice(&signer.sign(&signed[1..]));
            "a stranger's bad signature"
        }
        9 => {
            list.rotate_right(ENTRY);
            "entries in another order"
        }
        _ => {
            list[one + random.below(72) as usize] ^= 1 << random.below(8);
            "a bit of an entry"
        }
    };
    format!("{name} ({one}, {other})")
}

/// Encodings of points of small order, canonical or not, and some of none. Source: Chalkias, Garillot, Nikolaenko, "Taming the many EdDSAs" (2020).
pub(crate) fn weak_points() -> [[u8; 32]; 12] {
    let prime = |low: u8, high: u8| {
        let mut bytes = [0xff; 32];
        (bytes[0], bytes[31]) = (low, high);
        bytes
    };
    let small = |low: u8, high: u8| {
        let mut bytes = [0; 32];
        (bytes[0], bytes[31]) = (low, high);
        bytes
    };
    let eighth = [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc,
        0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ];
    let mut negative_eighth = eighth;
    negative_eighth[31] |= 0x80;
    [
        small(0, 0),
        small(0, 0x80),
        small(1, 0),
        small(1, 0x80),
        prime(0xec, 0x7f),
        prime(0xec, 0xff),
        prime(0xed, 0x7f),
        prime(0xee, 0x7f),
        prime(0xee, 0xff),
        prime(0xff, 0x7f),
        eighth,
        negative_eighth,
    ]
}

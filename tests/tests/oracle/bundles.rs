//! Bundles, their indexes, and trust anchors.

use twinslot_bootloader::crypto::{Builtin, PublicKey};
use twinslot_bootloader::image::HEADER_SIZE;
use twinslot_bootloader::image::bundle::index_entry;
use twinslot_bootloader::image::chunks::{self, CHUNK_SIZE};
use twinslot_bootloader::image::manifest::{Kind, Place};
use twinslot_tests::image::{Image, ImageBuilder, PRODUCT, PartDraft, Signer};
use twinslot_tests::random::Random;

use crate::case::{Case, Input, World};
use crate::forge::weak_points;
use crate::shapes::{self, Keys, one_in, pick};

/// Where the chunk table of a bundle lies.
const TABLE_AT: usize = 8 + HEADER_SIZE;

/// Whether the header pins the chunk table that is shipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TableIs {
    Pinned,
    Another,
}

/// An image with this many bytes of firmware and a world that accepts its header.
fn image(keys: &Keys, len: usize, table: TableIs, random: &mut Random) -> (World, Image) {
    let mut world = shapes::world(keys, random);
    world.product = PRODUCT.to_owned();
    (world.floor, world.trust_floor, world.write_size) = (0, 0, 4);
    world.revoked.clear();
    let firmware = PartDraft::new(Kind::Firmware, Place::InPlace, random.bytes(len));
    let forged = random.bytes(32);
    let mut builder = ImageBuilder::new(random.byte().into()).parts(vec![firmware]).align(1024).forge(move |manifest| {
        if table == TableIs::Another {
            manifest.chunks.copy_from_slice(&forged);
        }
    });
    for key in world.keys.iter().take(world.threshold.into()) {
        builder = builder.signer(keys.signer(key).0.clone());
    }
    (world, builder.build(&mut Builtin))
}

/// Every byte that ends a field of a bundle: cut there, one before and one behind; and each field with a bit changed.
pub(crate) fn systematic(keys: &Keys) -> Vec<Case> {
    let mut random = Random::new(3);
    let (world, image) = image(keys, 3_000, TableIs::Pinned, &mut random);
    let whole = image.bundle();
    let case = |label: String, bytes: Vec<u8>| Case { label, input: Input::Bundle(world.clone(), bytes) };
    let ends = [0, 1, 7, 8, 9, 12, TABLE_AT - 1, TABLE_AT, TABLE_AT + 31, TABLE_AT + 32, TABLE_AT + 35, TABLE_AT + 36, whole.len() - 1, whole.len()];
    let mut cases: Vec<Case> = ends.iter().map(|end| case(format!("a bundle cut at {end}"), whole[..*end].to_vec())).collect();
    cases.push(case("a byte more".to_owned(), [&whole[..], &[0]].concat()));
    for at in [0, 7, 8, 20, 8 + 740, TABLE_AT, TABLE_AT + 31, TABLE_AT + 32, TABLE_AT + 35, TABLE_AT + 36, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x80;
        cases.push(case(format!("byte {at} of a bundle"), bytes));
    }
    cases
}

/// A bundle with up to a few changes.
pub(crate) fn random_case(keys: &Keys, random: &mut Random) -> Case {
    let big = one_in(random, 40);
    let chunk = CHUNK_SIZE as usize;
    let len = if big { pick(random, &[chunk - 1, chunk, chunk + 1]) } else { 16 + random.below(3_000) as usize };
    let table = if one_in(random, 20) { TableIs::Another } else { TableIs::Pinned };
    let (world, image) = image(keys, len, table, random);
    let mut bytes = image.bundle();
    for _ in 0..pick(random, &[0, 1, 1, 2]) {
        change(&mut bytes, image.chunk_count() as usize, random);
    }
    Case { label: format!("a bundle of {len} bytes"), input: Input::Bundle(world, bytes) }
}

fn change(bytes: &mut Vec<u8>, chunks: usize, random: &mut Random) {
    let index_at = TABLE_AT + 32 * chunks;
    let at = random.below(bytes.len().max(1) as u64) as usize;
    let inside = |range: std::ops::Range<usize>, random: &mut Random| range.start + random.below(range.len() as u64) as usize;
    let at = match random.below(8) {
        0 => return bytes.truncate(at),
        1 => return bytes.push(0),
        2 => inside(0..8, random),
        3 => inside(8..TABLE_AT, random),
        4 => inside(TABLE_AT..index_at, random),
        5 => inside(index_at..index_at + 4 * chunks, random),
        6 => return mark_compressed(bytes, index_at),
        _ => at,
    };
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << random.below(8);
    }
}

/// Says of the first chunk that it is stored as a zstd frame.
fn mark_compressed(bytes: &mut [u8], index_at: usize) {
    if let Some(byte) = bytes.get_mut(index_at + 3) {
        *byte |= 0x80;
    }
}

/// An index for an image of up to a few chunks, or for one that no index fits.
pub(crate) fn random_index(random: &mut Random) -> Case {
    let step = CHUNK_SIZE;
    let span = pick(random, &[0, 1, step - 1, step, step + 1, 3 * step, 5 * step + 77, 40 * step, 1 << 47]);
    let image_len = (HEADER_SIZE as u64 + span) - pick(random, &[0, 0, 0, 1, 1024]);
    let count = chunks::count(image_len);
    let mut bytes = Vec::new();
    let mut bundle_len = TABLE_AT as u64 + 36 * count;
    for number in 0..count.min(60) {
        let range = chunks::range(number, image_len);
        let plain = (range.end - range.start) as u32;
        let zstd = pick(random, &[1, 100, 2 * step as u32 - 1, 2 * step as u32]);
        let (stored, compressed) = if one_in(random, 2) { (plain, false) } else { (zstd, true) };
        bundle_len += u64::from(stored);
        let wrong = pick(random, &[0, plain + 1, 2 * step as u32 + 1, (1 << 31) - 1]);
        let stored = if one_in(random, 60) { wrong } else { stored };
        bytes.extend_from_slice(&index_entry(stored, compressed));
    }
    if one_in(random, 6) {
        bytes.truncate(random.below(bytes.len() as u64 + 1) as usize);
    }
    bundle_len = bundle_len.saturating_add_signed(pick(random, &[0, 0, 0, 0, 1, -1]));
    Case { label: format!("an index for an image of {image_len} bytes"), input: Input::Index { image_len, bundle_len, bytes } }
}

/// Keys of which some may never be trusted, and any threshold.
pub(crate) fn random_anchor(random: &mut Random) -> Case {
    let count = pick(random, &[0, 1, 1, 2, 3, 8, 9]);
    let mut keys: Vec<PublicKey> = (0..count).map(|number| Signer::ed25519(number + 1).public()).collect();
    if one_in(random, 2) && !keys.is_empty() {
        let at = random.below(keys.len() as u64) as usize;
        let noise: PublicKey = random.bytes(32).try_into().expect("32 bytes");
        let weak = pick(random, &weak_points());
        keys[at] = pick(random, &[keys[0], noise, weak, weak, weak]);
    }
    let threshold = pick(random, &[0, 1, 1, 1, 2, 8, 9, 255]);
    Case { label: format!("an anchor of {count} keys"), input: Input::Anchor { keys, threshold } }
}

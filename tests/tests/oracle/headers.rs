//! Headers: valid ones, each field changed in turn, and several changes at once by chance.

use twinslot_bootloader::crypto::PublicKey;
use twinslot_bootloader::image::{HEADER_SIZE, MAX_BODY, SIGNED_SIZE};
use twinslot_tests::random::Random;

use crate::case::{Case, Input, World};
use crate::forge::{change_frame, change_manifest, change_signatures, change_world};
use crate::shapes::{self, Keys, one_in, pick};
use crate::wire::{self, Field, variations};

/// Bytes of one signature entry.
pub(crate) const ENTRY: usize = 72;

/// A header in the making.
pub(crate) struct Draft {
    pub(crate) label: String,
    pub(crate) world: World,
    pub(crate) fields: Vec<Field>,
    pub(crate) signers: Vec<PublicKey>,
}

impl Draft {
    /// A valid one.
    pub(crate) fn valid(keys: &Keys, random: &mut Random) -> Self {
        let mut world = shapes::world(keys, random);
        let manifest = shapes::manifest(&mut world, random);
        let signers = signers(keys, &world, random);
        Self { label: "valid".to_owned(), world, fields: wire::manifest(&manifest), signers }
    }

    /// Notes a change.
    pub(crate) fn note(&mut self, change: &str) {
        self.label = format!("{}; {change}", self.label);
    }

    fn vary(&mut self, number: usize, random: &mut Random) {
        let all = variations(&self.fields[number].value);
        let (change, value) = all[random.below(all.len() as u64) as usize].clone();
        let name = format!("{} {change}", self.fields[number].name);
        self.note(&name);
        self.fields[number].value = value;
    }

    /// Framed, signed and sealed.
    pub(crate) fn finish(self, keys: &Keys) -> Case {
        let header = framed(&wire::encode(&self.fields));
        self.finish_frame(keys, header)
    }

    /// Signs and seals these bytes instead of the fields.
    pub(crate) fn finish_frame(self, keys: &Keys, mut header: Box<[u8; HEADER_SIZE]>) -> Case {
        sign(&mut header, keys, &self.signers);
        seal(&mut header[..]);
        Case { label: self.label, input: Input::Header(self.world, header) }
    }
}

/// Enough keys of the anchor, in any order, with a stranger among them at times.
fn signers(keys: &Keys, world: &World, random: &mut Random) -> Vec<PublicKey> {
    let threshold = usize::from(world.threshold);
    let most = world.keys.len().min(4);
    let count = threshold + random.below((most - threshold) as u64 + 1) as usize;
    let mut signers = world.keys.clone();
    signers.rotate_left(random.below(world.keys.len() as u64) as usize);
    signers.truncate(count);
    if count < 4 && one_in(random, 4) {
        signers.insert(random.below(count as u64 + 1) as usize, keys.stranger());
    }
    signers
}

/// An unsigned header around a body, which is cut to what fits.
pub(crate) fn framed(body: &[u8]) -> Box<[u8; HEADER_SIZE]> {
    let body = &body[..body.len().min(MAX_BODY)];
    let mut header = Box::new([0; HEADER_SIZE]);
    header[..12].copy_from_slice(b"TWINSLOT\x01\x00\x01\x00");
    header[12..16].copy_from_slice(&(body.len() as u32).to_le_bytes());
    header[16..16 + body.len()].copy_from_slice(body);
    header
}

/// Writes the signatures of these keys from the front.
pub(crate) fn sign(header: &mut [u8; HEADER_SIZE], keys: &Keys, signers: &[PublicKey]) {
    let (signed, entries) = header.split_at_mut(SIGNED_SIZE);
    for (entry, public) in entries.chunks_exact_mut(ENTRY).zip(signers) {
        let (signer, id) = keys.signer(public);
        entry[..8].copy_from_slice(&id);
        entry[8..].copy_from_slice(&signer.sign(signed));
    }
}

/// Makes the CRC right.
pub(crate) fn seal(bytes: &mut [u8]) {
    let (content, crc) = bytes.split_last_chunk_mut::<4>().expect("bytes with a CRC");
    *crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(content).to_le_bytes();
}

/// Each field of a few shapes, with each of its variations; each byte of the frame; each length of the body.
pub(crate) fn systematic(keys: &Keys, seed: u64) -> Vec<Case> {
    let base = || Draft::valid(keys, &mut Random::new(seed));
    let mut cases = vec![base().finish(keys)];
    for (number, field) in base().fields.iter().enumerate() {
        for (change, value) in variations(&field.value) {
            let mut draft = base();
            draft.note(&format!("shape {seed}, {} {change}", field.name));
            draft.fields[number].value = value;
            cases.push(draft.finish(keys));
        }
    }
    cases.extend((0..16).flat_map(|at| [0, 1, 2, 4, 0xff].map(|byte| with_byte(base(), at, byte, keys))));
    let body = wire::encode(&base().fields);
    cases.extend((0..body.len()).step_by(3).map(|length| cut(base(), &body[..length], keys)));
    cases.extend((1..=8).map(|more| cut(base(), &[&body[..], &vec![0; more][..]].concat(), keys)));
    cases
}

fn with_byte(mut draft: Draft, at: usize, byte: u8, keys: &Keys) -> Case {
    draft.note(&format!("byte {at} of the frame = {byte:#04x}"));
    let mut header = framed(&wire::encode(&draft.fields));
    header[at] = byte;
    draft.finish_frame(keys, header)
}

fn cut(mut draft: Draft, body: &[u8], keys: &Keys) -> Case {
    draft.note(&format!("a body of {} bytes", body.len()));
    draft.finish_frame(keys, framed(body))
}

/// A header with up to a few changes, anywhere.
pub(crate) fn random_case(keys: &Keys, random: &mut Random) -> Case {
    let mut world = shapes::world(keys, random);
    let mut manifest = shapes::manifest(&mut world, random);
    let mut notes = Vec::new();
    if one_in(random, 2) {
        notes.push(change_manifest(&mut manifest, &world, keys, random));
    }
    let signers = signers(keys, &world, random);
    if one_in(random, 4) {
        notes.push(change_world(&mut world, &manifest, keys, random));
    }
    let fields = wire::manifest(&manifest);
    let mut draft = Draft { label: notes.concat(), world, fields, signers };
    for _ in 0..pick(random, &[0, 0, 0, 1, 1, 2, 3]) {
        let number = random.below(draft.fields.len() as u64) as usize;
        draft.vary(number, random);
    }
    let mut body = wire::encode(&draft.fields);
    if one_in(random, 12) {
        scramble(&mut body, random);
        draft.note("bytes of the body");
    }
    finish_random(draft, framed(&body), keys, random)
}

fn scramble(body: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(3) {
        let at = random.below(body.len() as u64) as usize;
        match random.below(4) {
            0 => body[at] ^= 1 << random.below(8),
            1 => body[at] = random.byte(),
            2 => body.insert(at, pick(random, &[0, 1, 0x7f, 0x80, 0xff])),
            _ => body.truncate(at + 1),
        }
    }
}

/// Changes before signing, after signing and after the CRC, each at times.
fn finish_random(mut draft: Draft, mut header: Box<[u8; HEADER_SIZE]>, keys: &Keys, random: &mut Random) -> Case {
    if one_in(random, 12) {
        draft.note(&change_frame(&mut header, random));
    }
    sign(&mut header, keys, &draft.signers);
    if one_in(random, 5) {
        draft.note(&change_signatures(&mut header, keys, random));
    }
    if one_in(random, 25) {
        let at = random.below(SIGNED_SIZE as u64) as usize;
        header[at] ^= 1 << random.below(8);
        draft.note(&format!("byte {at} after signing"));
    }
    if one_in(random, 40) {
        draft.note("CRC not made right");
    } else {
        seal(&mut header[..]);
    }
    if one_in(random, 40) {
        header[..].fill_with(|| random.byte());
        draft.note("all random");
    }
    Case { label: draft.label, input: Input::Header(draft.world, header) }
}

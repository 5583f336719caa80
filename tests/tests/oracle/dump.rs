//! Decoded values in the spelling of the oracle.

use twinslot_bootloader::image::bundle::StoredChunk;
use twinslot_bootloader::image::manifest::{Extra, Manifest, Part};
use twinslot_bootloader::journal::{Record, SlotState};

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

fn joined(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(",")
}

pub(crate) fn manifest(manifest: &Manifest) -> String {
    let Manifest { product, hw, version, security_counter, slot, revoke, created, build, chunks, min_loader, requires, parts, extra } = manifest;
    let version = format!("{}.{}.{}.{}", version.major, version.minor, version.patch, version.build);
    let revoke = joined(revoke.iter().map(|id| hex(id)));
    let head = format!("{} hw={hw} v={version} counter={security_counter} slot={slot:?} revoke={revoke}", product.as_str());
    let middle = format!("created={created} build={} chunks={} loader={min_loader} requires={requires}", hex(build), hex(chunks));
    format!("{head} {middle} parts={} extra={}", joined(parts.iter().map(part)), joined(extra.iter().map(one_extra)))
}

fn part(part: &Part) -> String {
    let Part { kind, offset, len, mem, place, entry, encoding, sha256, check } = part;
    format!("{kind:?}@{offset}+{len}/{mem}:{place:?}:{entry}:{encoding:?}:{}:{check:?}", hex(sha256))
}

fn one_extra(extra: &Extra) -> String {
    format!("{}:{}", extra.tag, hex(&extra.data))
}

pub(crate) fn chunks(chunks: &[StoredChunk]) -> String {
    joined(chunks.iter().map(|chunk| format!("{}+{}{}", chunk.offset, chunk.len, if chunk.compressed { "z" } else { "" })))
}

pub(crate) fn record(record: &Record) -> String {
    let state = &record.state;
    let flying = state.in_flight.map_or("-".to_owned(), |slot| format!("{slot:?}"));
    let revoked = joined(state.revoked.iter().map(|id| hex(id)));
    let revert = state.last_revert.map_or("-".to_owned(), |revert| format!("{:?}:{}:{}", revert.slot, revert.reason.code(), revert.sequence));
    let slots = format!("a={} b={}", slot(&state.slots.a), slot(&state.slots.b));
    format!("{} preferred={:?} {slots} flying={flying} floor={} revoked={revoked} revert={revert}", record.sequence, state.preferred, state.floor)
}

fn slot(slot: &SlotState) -> String {
    format!("{:?}:{}:{}:{}:{}", slot.phase, slot.attempts_left, slot.boots_left, hex(&slot.digest), slot.reason.code())
}

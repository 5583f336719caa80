//! The hand-off: what the loader tells whatever it booted, and whoever looks when nothing boots.
//!
//! Bytes: magic `TWHANDOF`, version u16, length u16 of the postcard body, the body, zero padding, CRC-32 last; 512 bytes, little-endian.

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::LOADER_VERSION;
use crate::anchor::{KeyId, MAX_KEYS, TrustAnchor};
use crate::codec::{Reader, Writer};
use crate::crypto::Digest;
use crate::decide::{Knowledge, Why};
use crate::image::{CRC32, FORMAT_VERSION};
use crate::journal::{LAYOUT_VERSION, Phase, Revert};
use crate::reason::{Reason, ResetCause};
use crate::slot::{BySlot, Slot};

/// Bytes of an encoded hand-off.
pub const HANDOFF_SIZE: usize = 512;

/// Version of the hand-off's encoding.
pub const HANDOFF_VERSION: u16 = 1;

const MAGIC: [u8; 8] = *b"TWHANDOF";
const BODY_AT: usize = 12;
const CRC_AT: usize = 508;

/// What the loader tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handoff {
    /// Version of the loader library.
    pub loader_version: u16,
    /// What this loader reads; a writer refuses images that it can not read.
    pub reads: Reads,
    /// What was booted.
    pub booted: Booted,
    /// The booted slot's phase; `Empty` for golden and for nothing.
    pub phase: Phase,
    /// Failed attempts that a trial has left, this boot included.
    pub attempts_left: u8,
    /// Why this was booted.
    pub why: Why,
    /// What this boot learned about each slot.
    pub verdicts: BySlot<Verdict>,
    /// The last slot that was given up, and why.
    pub last_revert: Option<Revert>,
    /// Why the machine started.
    pub reset_cause: ResetCause,
    /// Why nothing was booted, when nothing was.
    pub halt_reason: Reason,
    /// Header digest of the booted image; zero when there is none.
    pub digest: Digest,
    /// Digest of the layout that the loader was built with.
    pub layout: Digest,
    /// Timing marks in the board's ticks: start, header verified, image verified, jump.
    pub marks: [u32; 4],
}

/// What a loader reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reads {
    /// Header format version.
    pub header: u16,
    /// Journal layout version.
    pub journal: u16,
    /// Ids of the keys in its trust anchor.
    pub keys: Vec<KeyId, MAX_KEYS>,
}

impl Reads {
    /// What this build reads, with this anchor.
    #[must_use]
    pub fn of_this_build(anchor: &TrustAnchor) -> Self {
        let keys = anchor.keys().iter().map(|key| key.id).collect();
        Self { header: FORMAT_VERSION, journal: LAYOUT_VERSION, keys }
    }
}

/// What was booted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Booted {
    /// The image in a slot.
    Slot(Slot),
    /// The golden image.
    Golden,
    /// Nothing.
    Nothing,
}

/// What a boot learned about a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Verdict {
    /// It was not needed.
    NotExamined,
    /// Header and parts verified.
    Verified,
    /// Refused, with the refusal's code as a reason.
    Refused(Reason),
    /// It could not be read.
    ReadError,
}

impl From<Knowledge> for Verdict {
    fn from(knowledge: Knowledge) -> Self {
        match knowledge {
            Knowledge::NotRead => Self::NotExamined,
            Knowledge::Verified(_) => Self::Verified,
            Knowledge::Refused(rejection) => Self::Refused(Reason::Refused(rejection)),
            Knowledge::ReadError => Self::ReadError,
        }
    }
}

/// Why bytes are no hand-off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandoffError {
    /// They do not begin with the magic.
    WrongMagic,
    /// Another version of the encoding.
    WrongVersion(u16),
    /// The CRC does not match.
    CrcMismatch,
    /// Length, padding or body are not those of a hand-off.
    Malformed,
}

impl core::fmt::Display for HandoffError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::WrongMagic => f.write_str("not a hand-off: it does not begin with TWHANDOF"),
            Self::WrongVersion(version) => write!(f, "the hand-off has version {version}, this program reads version {HANDOFF_VERSION}"),
            Self::CrcMismatch => f.write_str("the hand-off's CRC does not match: torn or overwritten"),
            Self::Malformed => f.write_str("the hand-off's body is malformed"),
        }
    }
}

impl core::error::Error for HandoffError {}

impl Handoff {
    /// A hand-off of a boot that has not decided anything yet.
    #[must_use]
    pub fn new(anchor: &TrustAnchor, layout: Digest, reset_cause: ResetCause) -> Self {
        Self {
            loader_version: LOADER_VERSION,
            reads: Reads::of_this_build(anchor),
            booted: Booted::Nothing,
            phase: Phase::Empty,
            attempts_left: 0,
            why: Why::Nothing,
            verdicts: BySlot { a: Verdict::NotExamined, b: Verdict::NotExamined },
            last_revert: None,
            reset_cause,
            halt_reason: Reason::None,
            digest: [0; 32],
            layout,
            marks: [0; 4],
        }
    }

    /// The hand-off's bytes, into `target`. A hand-off always fits; were it not to, the bytes would be zero, which nothing accepts.
    pub fn encode(&self, target: &mut [u8; HANDOFF_SIZE]) {
        if self.try_encode(target).is_none() {
            target.fill(0);
        }
    }

    fn try_encode(&self, target: &mut [u8; HANDOFF_SIZE]) -> Option<()> {
        target.fill(0);
        let body = target.get_mut(BODY_AT..CRC_AT)?;
        let room = body.len();
        let mut writer = Writer::new(body);
        self.write(&mut writer);
        let used = room.checked_sub(writer.unused()?)?;
        target.get_mut(..8)?.copy_from_slice(&MAGIC);
        target.get_mut(8..10)?.copy_from_slice(&HANDOFF_VERSION.to_le_bytes());
        target.get_mut(10..BODY_AT)?.copy_from_slice(&u16::try_from(used).ok()?.to_le_bytes());
        let crc = CRC32.checksum(target.get(..CRC_AT)?);
        target.get_mut(CRC_AT..)?.copy_from_slice(&crc.to_le_bytes());
        Some(())
    }

    /// The hand-off in these bytes.
    ///
    /// # Errors
    /// The first thing that is wrong with them.
    pub fn decode(bytes: &[u8; HANDOFF_SIZE]) -> Result<Self, HandoffError> {
        let (content, crc) = bytes.split_last_chunk::<4>().ok_or(HandoffError::Malformed)?;
        let [m0, m1, m2, m3, m4, m5, m6, m7, v0, v1, l0, l1, ..] = *bytes;
        if [m0, m1, m2, m3, m4, m5, m6, m7] != MAGIC {
            return Err(HandoffError::WrongMagic);
        }
        if CRC32.checksum(content) != u32::from_le_bytes(*crc) {
            return Err(HandoffError::CrcMismatch);
        }
        let version = u16::from_le_bytes([v0, v1]);
        if version != HANDOFF_VERSION {
            return Err(HandoffError::WrongVersion(version));
        }
        let body_end = BODY_AT.saturating_add(usize::from(u16::from_le_bytes([l0, l1])));
        let body = content.get(BODY_AT..body_end).ok_or(HandoffError::Malformed)?;
        let mut reader = Reader::new(body);
        let handoff = Self::read(&mut reader);
        let rest = reader.finish().map_err(|_| HandoffError::Malformed)?;
        let padding = content.get(body_end..).unwrap_or_default();
        if rest.is_empty() && padding.iter().all(|byte| *byte == 0) { Ok(handoff) } else { Err(HandoffError::Malformed) }
    }

    fn write(&self, writer: &mut Writer<'_>) {
        for number in [self.loader_version, self.reads.header, self.reads.journal] {
            writer.varint(u64::from(number));
        }
        writer.list(&self.reads.keys, |id, writer| writer.bytes(id));
        match self.booted {
            Booted::Slot(slot) => writer.bytes(&[0, slot as u8]),
            Booted::Golden => writer.byte(1),
            Booted::Nothing => writer.byte(2),
        }
        writer.bytes(&[self.phase as u8, self.attempts_left, self.why as u8]);
        self.verdicts.a.write(writer);
        self.verdicts.b.write(writer);
        writer.option(self.last_revert, Revert::write);
        writer.bytes(&[self.reset_cause as u8, self.halt_reason.code()]);
        writer.bytes(&self.digest);
        writer.bytes(&self.layout);
        for mark in self.marks {
            writer.varint(u64::from(mark));
        }
    }

    fn read(reader: &mut Reader<'_>) -> Self {
        let loader_version = reader.u16();
        let mut reads = Reads { header: reader.u16(), journal: reader.u16(), keys: Vec::new() };
        reader.key_ids(&mut reads.keys);
        Self {
            loader_version,
            reads,
            booted: Booted::read(reader),
            phase: Phase::read(reader),
            attempts_left: reader.byte(),
            why: Why::read(reader),
            verdicts: BySlot { a: Verdict::read(reader), b: Verdict::read(reader) },
            last_revert: reader.option(Revert::read),
            reset_cause: ResetCause::read(reader),
            halt_reason: Reason::read(reader),
            digest: reader.bytes(),
            layout: reader.bytes(),
            marks: [reader.u32(), reader.u32(), reader.u32(), reader.u32()],
        }
    }
}

impl Booted {
    fn read(reader: &mut Reader<'_>) -> Self {
        match reader.below(3) {
            0 => Self::Slot(Slot::read(reader)),
            1 => Self::Golden,
            _ => Self::Nothing,
        }
    }
}

impl Verdict {
    #[inline(never)]
    fn write(self, writer: &mut Writer<'_>) {
        match self {
            Self::NotExamined => writer.byte(0),
            Self::Verified => writer.byte(1),
            Self::Refused(reason) => writer.bytes(&[2, reason.code()]),
            Self::ReadError => writer.byte(3),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Self {
        match reader.below(4) {
            0 => Self::NotExamined,
            1 => Self::Verified,
            2 => Self::Refused(Reason::read(reader)),
            _ => Self::ReadError,
        }
    }
}

impl Why {
    fn read(reader: &mut Reader<'_>) -> Self {
        match reader.below(6) {
            0 => Self::Confirmed,
            1 => Self::Fallback,
            2 => Self::Trial,
            3 => Self::LastResort,
            4 => Self::Golden,
            _ => Self::Nothing,
        }
    }
}

impl ResetCause {
    fn read(reader: &mut Reader<'_>) -> Self {
        match reader.below(5) {
            0 => Self::PowerOn,
            1 => Self::Watchdog,
            2 => Self::Software,
            3 => Self::Fault,
            _ => Self::Unknown,
        }
    }
}

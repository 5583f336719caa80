//! The slot image, format version 1 (`docs/format.md`): a signed header of 1 KiB, then parts.
//!
//! Guarantee: a [`Header`] exists only for bytes whose signatures met the trust anchor's threshold and whose manifest holds every rule of the format
//! and fits this host. Nothing that a length in the header drives is done before the signatures hold.

pub mod bundle;
pub mod chunks;
pub mod command_line;
pub mod draft;
mod header;
pub mod kernel;
pub mod manifest;
mod product;
mod rules;

pub use header::{Expectations, Header, HeaderBytes, HeaderDigest, Identity, SignatureEntry, SlotUse, short_digest};
pub use product::{InvalidProduct, MAX_PRODUCT, Product};
pub use rules::{MIN_PART_ALIGN, check_format};

/// Size of the header in bytes.
pub const HEADER_SIZE: usize = 1024;

/// The same size, for offsets.
pub const HEADER_SIZE_U64: u64 = 1024;

/// What a slot image begins with.
pub const MAGIC: [u8; 8] = *b"TWINSLOT";

/// The format version that this crate reads and writes.
pub const FORMAT_VERSION: u16 = 1;

/// Most bytes of an encoded manifest.
pub const MAX_BODY: usize = 716;

/// How many bytes the signatures cover, from the start of the header.
pub const SIGNED_SIZE: usize = 732;

/// Most signatures in a header.
pub const MAX_SIGNATURES: usize = 4;

/// Bytes before the body.
pub(crate) const PREFIX: usize = 16;

/// Bytes of one signature entry: key id, signature.
pub(crate) const ENTRY_SIZE: usize = 72;

/// Where the CRC stands.
pub(crate) const CRC_AT: usize = 1020;

/// CRC-32 (ISO-HDLC), as header, journal and hand-off use it. It tells torn from forged; trust never rests on it.
pub(crate) const CRC32: crc::Crc<u32, CrcTable> = crc::Crc::<u32, CrcTable>::new(&crc::CRC_32_ISO_HDLC);

/// No table: a loader checks a few records and one header, which is not worth a kilobyte.
#[cfg(target_os = "none")]
type CrcTable = crc::NoTable;

/// Hosts have the room, and check many more.
#[cfg(not(target_os = "none"))]
type CrcTable = crc::Table<16>;

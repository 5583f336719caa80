//! A root file system behind dm-verity: how its hash tree lies behind its data, and the argument of the signed command line that describes both.
//!
//! What can differ is on the command line. Everything else is fixed: hash format 1, SHA-256, blocks of 4096 bytes for data and hashes, a salt of 32
//! bytes, no superblock. Source: Linux, `Documentation/admin-guide/device-mapper/verity.rst`.

use core::fmt;

use crate::crypto::Digest;

/// Bytes of a block, of data as of hashes.
pub const BLOCK_SIZE: u64 = 4096;

/// Digests in a hash block.
pub const DIGESTS_IN_BLOCK: u64 = 128;

/// What the argument on the command line begins with.
pub const ARGUMENT: &str = "rootfs.verity=";

/// Most blocks of data: all numbers of an image are below 2^48.
const MAX_DATA_BLOCKS: u64 = 1 << 36;

/// What is hashed before each block.
pub type Salt = [u8; 32];

/// What dm-verity must know of a root file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verity {
    /// Blocks of the file system. The hash tree follows them.
    pub data_blocks: u64,
    /// What is hashed before each block.
    pub salt: Salt,
    /// The digest that all blocks hang on; the signed header has it too.
    pub root_hash: Digest,
}

impl Verity {
    /// Reads the argument on a command line.
    ///
    /// # Errors
    /// There is none, there are several, or it is not `rootfs.verity=BLOCKS,SALT,ROOTHASH` in the one way to write it.
    pub fn on_line(line: &[u8]) -> Result<Self, VerityError> {
        let mut values = line.split(u8::is_ascii_whitespace).filter_map(|token| token.strip_prefix(ARGUMENT.as_bytes()));
        let value = values.next().ok_or(VerityError::Missing)?;
        if values.next().is_some() {
            return Err(VerityError::Repeated);
        }
        parse(value).ok_or(VerityError::Malformed)
    }

    /// Bytes of data and hash tree together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.data_blocks.saturating_add(hash_blocks(self.data_blocks)).saturating_mul(BLOCK_SIZE)
    }
}

/// As the argument stands on the command line: the blocks in decimal, salt and root hash in lower-case hexadecimal.
impl fmt::Display for Verity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ARGUMENT}{},{},{}", self.data_blocks, Hex(&self.salt), Hex(&self.root_hash))
    }
}

/// The blocks of each level of the hash tree, the one over the data first. The last one has one block, which the root hash is the digest of. A single
/// block of data has no tree. On the disk the levels lie the other way round.
pub fn levels(data_blocks: u64) -> impl Iterator<Item = u64> {
    let above = |blocks: &u64| (*blocks > 1).then(|| blocks.div_ceil(DIGESTS_IN_BLOCK));
    core::iter::successors(above(&data_blocks), above)
}

/// All blocks of the hash tree.
#[must_use]
pub fn hash_blocks(data_blocks: u64) -> u64 {
    levels(data_blocks).fold(0, u64::saturating_add)
}

/// Why a command line does not describe a root file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerityError {
    /// No argument of that name.
    Missing,
    /// More than one.
    Repeated,
    /// It is not written as it must be.
    Malformed,
}

impl fmt::Display for VerityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "the command line has no rootfs.verity=: pack the image with --verity",
            Self::Repeated => "the command line has rootfs.verity= more than once: leave all but one out",
            Self::Malformed => "rootfs.verity= on the command line is not BLOCKS,SALT,ROOTHASH: pack the image with --verity",
        })
    }
}

impl core::error::Error for VerityError {}

fn parse(value: &[u8]) -> Option<Verity> {
    let mut fields = value.split(|byte| *byte == b',');
    let (blocks, salt, root_hash) = (fields.next()?, fields.next()?, fields.next()?);
    if fields.next().is_some() {
        return None;
    }
    Some(Verity { data_blocks: count(blocks)?, salt: digest(salt)?, root_hash: digest(root_hash)? })
}

/// A number of blocks, without sign or leading zeros.
fn count(digits: &[u8]) -> Option<u64> {
    let leads_well = matches!(digits.first(), Some(b'1'..=b'9'));
    let value = digits.iter().try_fold(0_u64, |value, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })?;
    (leads_well && value <= MAX_DATA_BLOCKS).then_some(value)
}

fn digest(digits: &[u8]) -> Option<[u8; 32]> {
    let (pairs, rest) = digits.as_chunks::<2>();
    let mut bytes = [0; 32];
    if pairs.len() != bytes.len() || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = (nibble(*high)? << 4) | nibble(*low)?;
    }
    Some(bytes)
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => digit.checked_sub(b'0'),
        b'a'..=b'f' => digit.checked_sub(b'a' - 10),
        _ => None,
    }
}

/// Bytes in lower-case hexadecimal.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::ToOwned as _;
    use std::format;
    use std::string::{String, ToString as _};
    use std::vec::Vec;

    fn some() -> Verity {
        Verity { data_blocks: 1200, salt: [0xa5; 32], root_hash: [0x0f; 32] }
    }

    /// The kernel's own count: `while (bits * levels < 64 && (data_blocks - 1) >> (bits * levels)) levels++`. Source: Linux,
    /// `drivers/md/dm-verity-target.c`, `verity_ctr`.
    #[test]
    fn there_are_as_many_levels_as_the_kernel_counts() {
        for data_blocks in (1..40_000).chain([128_u64.pow(3), 128_u64.pow(3) + 1, MAX_DATA_BLOCKS]) {
            let kernel = (0..).find(|level| 7 * level >= 64 || (data_blocks - 1) >> (7 * level) == 0);
            assert_eq!(Some(levels(data_blocks).count()), kernel, "{data_blocks}");
        }
    }

    /// Worked out by hand: 128 digests of 32 bytes fill a block.
    #[test]
    fn each_level_has_a_block_for_128_of_the_one_below() {
        let cases: [(u64, &[u64]); 7] = [(0, &[]), (1, &[]), (2, &[1]), (128, &[1]), (129, &[2, 1]), (16_384, &[128, 1]), (16_385, &[129, 2, 1])];
        for (data_blocks, blocks) in cases {
            assert_eq!(levels(data_blocks).collect::<Vec<_>>(), blocks, "{data_blocks}");
            assert_eq!(hash_blocks(data_blocks), blocks.iter().sum::<u64>());
        }
        assert_eq!(Verity { data_blocks: 129, ..some() }.bytes(), (129 + 3) * 4096);
    }

    #[test]
    fn the_argument_is_read_as_it_is_written() {
        let argument = format!("rootfs.verity=1200,{},{}", "a5".repeat(32), "0f".repeat(32));
        assert_eq!(some().to_string(), argument);
        for line in [argument.clone(), format!("quiet {argument}\trootfs.verity twinslot.slot=a"), format!("xrootfs.verity=1 {argument}")] {
            assert_eq!(Verity::on_line(line.as_bytes()), Ok(some()), "{line}");
        }
        let most = Verity { data_blocks: MAX_DATA_BLOCKS, ..some() };
        assert_eq!(Verity::on_line(most.to_string().as_bytes()), Ok(most));
    }

    #[test]
    fn anything_else_is_refused_by_its_name() {
        let (salt, hash) = ("a5".repeat(32), "0f".repeat(32));
        let malformed = [
            String::new(),
            "1200".to_owned(),
            format!("1200,{salt}"),
            format!("1200,{salt},{hash},"),
            format!(",{salt},{hash}"),
            format!("0,{salt},{hash}"),
            format!("01200,{salt},{hash}"),
            format!("+1200,{salt},{hash}"),
            format!("12:0,{salt},{hash}"),
            format!("12/0,{salt},{hash}"),
            format!("{},{salt},{hash}", MAX_DATA_BLOCKS + 1),
            format!("18446744073709551616,{salt},{hash}"),
            format!("184467440737095516160,{salt},{hash}"),
            format!("1200,{salt}a,{hash}"),
            format!("1200,{salt}a5,{hash}"),
            format!("1200,{salt},{}", &hash[2..]),
            format!("1200,{},{hash}", "A5".repeat(32)),
            format!("1200,{},{hash}", "g0".repeat(32)),
            format!("1200,{},{hash}", "0`".repeat(32)),
        ];
        for value in malformed {
            assert_eq!(Verity::on_line(format!("quiet rootfs.verity={value}").as_bytes()), Err(VerityError::Malformed), "{value}");
        }
        assert_eq!(Verity::on_line(b"quiet root=/dev/vda"), Err(VerityError::Missing));
        assert_eq!(Verity::on_line(format!("{0} {0}", some()).as_bytes()), Err(VerityError::Repeated));
        let words = [
            (VerityError::Missing, "has no rootfs.verity="),
            (VerityError::Repeated, "more than once"),
            (VerityError::Malformed, "is not BLOCKS,SALT,ROOTHASH"),
        ];
        for (error, words) in words {
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}

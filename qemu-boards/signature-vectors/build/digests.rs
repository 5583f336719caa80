//! Known SHA-256 digests.

use std::error::Error;

use sha2::{Digest as _, Sha256};

use super::published::bytes;

/// A piece of a message, how often it comes, and the digest of all of it.
pub(crate) struct Hashed {
    pub(crate) piece: Vec<u8>,
    pub(crate) times: u32,
    pub(crate) digest: [u8; 32],
}

/// Digests that stand for one thing.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) vectors: Vec<Hashed>,
}

/// Lengths from empty to past the second block: all places where padding can begin.
const LENGTHS: std::ops::Range<usize> = 0..137;

/// Source: NIST, "Examples with Intermediate Values", SHA-256, and FIPS 180-2 appendix B.3 for the million letters.
const PUBLISHED: [(&[u8], u32, &str); 5] = [
    (b"", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    (b"abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"),
    (
        b"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
        1,
        "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1",
    ),
    (b"aaaaaaaaaa", 100_000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
];

pub(crate) fn groups() -> Result<Vec<Group>, Box<dyn Error>> {
    let published = |(piece, times, digest): &(&[u8], u32, &str)| -> Result<Hashed, Box<dyn Error>> {
        Ok(Hashed { piece: piece.to_vec(), times: *times, digest: bytes(digest)?[..].try_into()? })
    };
    let wrong_on_purpose = Hashed { digest: [0; 32], ..of_length(3) };
    Ok(vec![
        Group { name: "sha256-published", vectors: PUBLISHED.iter().map(published).collect::<Result<_, _>>()? },
        Group { name: "sha256-lengths", vectors: LENGTHS.map(of_length).collect() },
        Group { name: "sha256-wrong-on-purpose", vectors: vec![wrong_on_purpose] },
    ])
}

/// Judged by sha2 for this host, which is other code than sha2 for the boards.
fn of_length(length: usize) -> Hashed {
    let piece: Vec<u8> = (0..length).map(|index| (index * 7 % 251) as u8).collect();
    let digest = Sha256::digest(&piece).into();
    Hashed { piece, times: 1, digest }
}

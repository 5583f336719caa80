//! Published vectors, and every length and split against another implementation.

use super::*;
use sha2::Digest as _;

fn hash(pieces: &[&[u8]]) -> Digest {
    let mut hasher = Hasher::default();
    for piece in pieces {
        hasher.update(piece);
    }
    hasher.finish()
}

fn hex(text: &str) -> Digest {
    let digits: Vec<u8> = text.bytes().map(|digit| u8::try_from(char::from(digit).to_digit(16).expect("a hex digit")).expect("small")).collect();
    let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte * 16 + digit)).collect();
    bytes.try_into().expect("32 bytes")
}

/// NIST, "Descriptions of SHA-256": one block, two blocks; and the empty message and a million times `a` of FIPS 180-2, appendix B.
#[test]
fn the_published_examples_hold() {
    let million = vec![b'a'; 1_000_000];
    let examples: [(&[u8], &str); 4] = [
        (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"),
        (&million, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
    ];
    for (message, digest) in examples {
        assert_eq!(hash(&[message]), hex(digest));
    }
}

#[test]
fn every_length_up_to_five_blocks_agrees_with_sha2() {
    let message: Vec<u8> = (0..320_u32).map(|index| index.wrapping_mul(167).to_le_bytes()[0]).collect();
    for len in 0..=message.len() {
        let (message, _) = message.split_at(len);
        assert_eq!(hash(&[message]), <[u8; 32]>::from(sha2::Sha256::digest(message)), "{len} bytes");
    }
}

#[test]
fn where_the_message_is_split_does_not_matter() {
    let message: Vec<u8> = (0..200_u32).map(|index| index.wrapping_mul(59).to_le_bytes()[0]).collect();
    let whole = hash(&[&message]);
    for first in 0..=message.len() {
        for second in (first..=message.len()).step_by(7) {
            let pieces = [&message[..first], &message[first..second], &message[second..]];
            assert_eq!(hash(&pieces), whole, "split at {first} and {second}");
        }
    }
}

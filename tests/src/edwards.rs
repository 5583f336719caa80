//! Numbers and vectors of Ed25519 that several tests judge with.

use serde::Deserialize;

/// The order L of the base point, little-endian. Source: RFC 8032, section 5.1.
pub const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// Adds L to a little-endian integer of up to 32 bytes; whether it overflows.
pub fn add_order(bytes: &mut [u8]) -> bool {
    let mut carry = 0_u16;
    for (byte, order) in bytes.iter_mut().zip(ORDER) {
        carry += u16::from(*byte) + u16::from(order);
        *byte = carry as u8;
        carry >>= 8;
    }
    carry != 0
}

/// One of the twelve published edge cases. Source: Chalkias, Garillot, Nikolaenko, "Taming the many EdDSAs" (2020).
#[derive(Debug)]
pub struct EdgeCase {
    /// The message.
    pub message: Vec<u8>,
    /// The public key.
    pub key: [u8; 32],
    /// R and S.
    pub signature: [u8; 64],
}

#[derive(Deserialize)]
struct Published {
    message: String,
    pub_key: String,
    signature: String,
}

/// The published edge cases, in their order.
///
/// # Panics
/// When the committed file is no list of them.
#[must_use]
pub fn edge_cases() -> Vec<EdgeCase> {
    let published: Vec<Published> = serde_json::from_str(include_str!("../tests/vectors/ed25519-edge-cases.json")).expect("the vectors");
    let case = |case: Published| EdgeCase {
        message: unhex(&case.message),
        key: unhex(&case.pub_key).try_into().expect("32 bytes"),
        signature: unhex(&case.signature).try_into().expect("64 bytes"),
    };
    published.into_iter().map(case).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(digits).collect()
}

//! Points of the curve for attacks.

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::Identity as _;
use sha2::{Digest as _, Sha512};

/// The order L of the base point, little-endian. Source: RFC 8032 section 5.1.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// The encoding of a multiple of the base point.
pub(crate) fn times_base(scalar: &Scalar) -> [u8; 32] {
    EdwardsPoint::mul_base(scalar).compress().0
}

/// The scalar that binds a signature to its key and message.
pub(crate) fn challenge(r: &[u8; 32], key: &[u8; 32], message: &[u8]) -> Scalar {
    let hash = Sha512::new().chain_update(r).chain_update(key).chain_update(message).finalize();
    Scalar::from_bytes_mod_order_wide(&hash.into())
}

/// R, then S.
pub(crate) fn signature(r: &[u8; 32], s: &[u8; 32]) -> [u8; 64] {
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(r);
    signature[32..].copy_from_slice(s);
    signature
}

/// S + L, or `None` when that has more than 256 bits.
pub(crate) fn plus_order(s: &[u8; 32]) -> Option<[u8; 32]> {
    let mut carry = 0_u16;
    let sum = std::array::from_fn(|index| {
        carry += u16::from(s[index]) + u16::from(ORDER[index]);
        let byte = carry.to_le_bytes()[0];
        carry >>= 8;
        byte
    });
    (carry == 0).then_some(sum)
}

/// The eight points whose order divides 8: multiples of L times a point outside the group of prime order.
pub(crate) fn small_order() -> Vec<EdwardsPoint> {
    let generator = (2_u8..).find_map(generator_of_small_order).expect("every second y is on the curve, and every second of those is of full order");
    std::iter::successors(Some(EdwardsPoint::identity()), |point| Some(point + generator)).take(8).collect()
}

/// L times the point of this y, when there is one and that has order 8.
fn generator_of_small_order(y: u8) -> Option<EdwardsPoint> {
    let mut encoded = [0; 32];
    encoded[0] = y;
    let point = CompressedEdwardsY(encoded).decompress()?;
    let times_order = point * -Scalar::ONE + point;
    let four_times = times_order + times_order + times_order + times_order;
    (four_times != EdwardsPoint::identity()).then_some(times_order)
}

/// Encodings whose y is p or more, with either sign.
pub(crate) fn not_canonical() -> impl Iterator<Item = [u8; 32]> {
    let encoding = |low, high| {
        let mut point = [0xff; 32];
        (point[0], point[31]) = (low, high);
        point
    };
    (0xed..=0xff_u8).flat_map(move |low| [encoding(low, 0x7f), encoding(low, 0xff)])
}

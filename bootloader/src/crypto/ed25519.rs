//! Strict Ed25519 over salty's curve arithmetic.
//!
//! salty's own `verify` accepts far more than RFC 8032 asks for (S + kL, small-order points). This one asks for canonical S, A and R, refuses points
//! of small order, and checks the cofactorless equation by recomputing R. Everything here is public, so nothing needs constant time: the two
//! multiplications share their doublings (Straus), which more than halves the work, and the hash is reduced bit by bit.

use salty::{CompressedY, EdwardsPoint};

use super::{PublicKey, Signature, sha512};

/// An integer below 2^256, least significant word first.
type Scalar = [u32; 8];

/// L = 2^252 + 27742317777372353535851937790883648493. Source: RFC 8032 section 5.1.
const ORDER: Scalar = [0x5cf5_d3ed, 0x5812_631a, 0xa2f7_9cd6, 0x14de_f9de, 0, 0, 0, 0x1000_0000];

/// p = 2^255 - 19. Source: RFC 8032 section 5.1.
const FIELD_PRIME: Scalar = [0xffff_ffed, u32::MAX, u32::MAX, u32::MAX, u32::MAX, u32::MAX, u32::MAX, 0x7fff_ffff];

/// p - 1, the y coordinate of the point of order 2.
const MINUS_ONE: Scalar = [0xffff_ffec, u32::MAX, u32::MAX, u32::MAX, u32::MAX, u32::MAX, u32::MAX, 0x7fff_ffff];

/// The y coordinates of the points of order 8: one, and p minus it.
const ORDER_EIGHT: [Scalar; 2] = [
    [0x8f95_e826, 0xb027_b2c2, 0x89f4_c345, 0xf098_eff2, 0x05ac_dfd5, 0x3933_c6d3, 0x8802_38b1, 0x05fc_536d],
    [0x706a_17c7, 0x4fd8_4d3d, 0x760b_3cba, 0x0f67_100d, 0xfa53_202a, 0xc6cc_392c, 0x77fd_c74e, 0x7a03_ac92],
];

/// Whether a public key may stand in a trust anchor: canonical and not of small order, which includes the all-zero key.
#[must_use]
pub fn is_strong_key(key: &PublicKey) -> bool {
    is_strong_point(key)
}

/// Whether a public key is a point of the curve at all. Costly; a key that is not one can never accept a signature, so tools ask and loaders need
/// not.
#[must_use]
pub fn is_on_curve(key: &PublicKey) -> bool {
    CompressedY(*key).decompressed().is_ok()
}

/// Ed25519 by the strict rules of [`super::Crypto::verify_ed25519`].
#[must_use]
pub fn verify_strict(key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
    let (Some(r), Some(s)) = (signature.first_chunk::<32>(), signature.last_chunk::<32>()) else {
        return false;
    };
    let s = words(s);
    if !is_below(&s, &ORDER) || !is_strong_point(r) || !is_strong_point(key) {
        return false;
    }
    let Ok(public) = CompressedY(*key).decompressed() else {
        return false;
    };
    let k = reduce(&sha512::digest(&[r, key, message]));
    let recomputed = combine(&s, &k, &core::ops::Neg::neg(&public));
    recomputed.compressed().0 == *r
}

/// Canonical (y < p) and not one of the eight small-order points. Says nothing about being on the curve.
fn is_strong_point(point: &[u8; 32]) -> bool {
    let mut y = words(point);
    let [low @ .., high] = &mut y;
    *high &= 0x7fff_ffff;
    let is_zero_or_one = *high == 0 && matches!(low, [0 | 1, 0, 0, 0, 0, 0, 0]);
    is_below(&y, &FIELD_PRIME) && !is_zero_or_one && y != MINUS_ONE && !ORDER_EIGHT.contains(&y)
}

fn words(bytes: &[u8; 32]) -> Scalar {
    let mut words = [0; 8];
    for (word, chunk) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*chunk);
    }
    words
}

fn is_below(a: &Scalar, b: &Scalar) -> bool {
    subtract(a, b).1
}

/// a - b modulo 2^256, and whether that borrowed.
fn subtract(a: &Scalar, b: &Scalar) -> (Scalar, bool) {
    let mut difference = *a;
    let mut borrow = false;
    for (word, subtrahend) in difference.iter_mut().zip(b) {
        let (partial, first) = word.overflowing_sub(*subtrahend);
        let (result, second) = partial.overflowing_sub(u32::from(borrow));
        *word = result;
        borrow = first || second;
    }
    (difference, borrow)
}

/// A 512-bit little-endian integer modulo L, by 512 doublings.
fn reduce(wide: &[u8; 64]) -> Scalar {
    let mut rest: Scalar = [0; 8];
    for byte in wide.iter().rev() {
        for bit in (0..8).rev() {
            let mut carry = u32::from(byte >> bit) & 1;
            for word in &mut rest {
                let next = *word >> 31;
                *word = *word << 1 | carry;
                carry = next;
            }
            let (reduced, borrowed) = subtract(&rest, &ORDER);
            if !borrowed {
                rest = reduced;
            }
        }
    }
    rest
}

/// s B + k P for the base point B, both scalars below 2^253.
#[expect(clippy::arithmetic_side_effects, reason = "the addition of points has no side effects")]
fn combine(s: &Scalar, k: &Scalar, point: &EdwardsPoint) -> EdwardsPoint {
    let base = EdwardsPoint::basepoint();
    let both = &base + point;
    let mut sum = EdwardsPoint::neutral_element();
    for (s_word, k_word) in s.iter().zip(k).rev() {
        for bit in (0..32).rev() {
            sum = &sum + &sum;
            let term = match ((s_word >> bit) & 1, (k_word >> bit) & 1) {
                (0, 0) => continue,
                (1, 0) => &base,
                (0, _) => point,
                _ => &both,
            };
            sum = &sum + term;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_are_those_of_rfc_8032() {
        let order = subtract(&FIELD_PRIME, &[1, 0, 0, 0, 0, 0, 0, 0]).0;
        assert_eq!(order, MINUS_ONE);
        assert_eq!(subtract(&FIELD_PRIME, &ORDER_EIGHT[0]).0, ORDER_EIGHT[1]);
        let mut wide = [0; 64];
        for (target, word) in wide.chunks_mut(4).zip(ORDER) {
            target.copy_from_slice(&word.to_le_bytes());
        }
        assert_eq!(reduce(&wide), [0; 8]);
    }

    #[test]
    fn a_signature_of_another_library_holds_and_its_changes_do_not() {
        use ed25519_dalek::{Signer, SigningKey};
        for seed in 0..8 {
            let key = SigningKey::from_bytes(&[seed; 32]);
            let message = [seed; 732];
            let signature = key.sign(&message).to_bytes();
            let public = key.verifying_key().to_bytes();
            assert!(verify_strict(&public, &message, &signature));
            for bit in [0, 7, 255, 256, 300, 504] {
                let mut changed = signature;
                changed[bit / 8] ^= 1 << (bit % 8);
                assert!(!verify_strict(&public, &message, &changed));
            }
        }
    }
}

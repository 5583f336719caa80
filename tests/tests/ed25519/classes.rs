//! The sorts of signatures that the verifier is compared on: honest ones, and each way of changing one that is known to fool some library.

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::Identity;
use twinslot_tests::edwards::add_order;
use twinslot_tests::random::Random;

use crate::{challenge, small_order_points};

/// A signature to be judged.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    pub(crate) key: [u8; 32],
    pub(crate) message: Vec<u8>,
    pub(crate) signature: [u8; 64],
}

/// One sort of signatures.
pub(crate) struct Class {
    pub(crate) name: &'static str,
    make: fn(&mut Maker) -> Signed,
    pub(crate) accepted: Accepted,
}

/// How many signatures of a class hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accepted {
    All,
    None,
    /// Those whose challenge happens to be a multiple of the added point's order: so many in an ordinary run and in a full one, by the seed.
    Some([usize; 2]),
}

impl Class {
    /// So many signatures of the class, the same ones every time.
    pub(crate) fn signatures(&self, count: usize) -> impl Iterator<Item = Signed> + use<'_> {
        let seed = self.name.bytes().fold(0xed25519, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
        let mut maker = Maker { random: Random::new(seed), small: small_order_points() };
        (0..count).map(move |_| (self.make)(&mut maker))
    }
}

const fn class(name: &'static str, accepted: Accepted, make: fn(&mut Maker) -> Signed) -> Class {
    Class { name, make, accepted }
}

/// Every class. In each the verifier and ed25519-dalek's `verify_strict` must give the same verdict. They have one rule that differs: the verifier
/// refuses a key whose y is p or more, which `verify_strict` reduces modulo p. Nobody knows a secret key of one of the points concerned, so that no
/// signature shows the difference; `a_key_that_is_not_canonical_is_one_for_dalek_and_none_for_the_verifier` does.
pub(crate) const CLASSES: [Class; 25] = [
    class("honest", Accepted::All, Maker::honest),
    class("honest, of an empty message", Accepted::All, |maker| maker.honest_of(0)),
    class("honest, of 1 KiB", Accepted::All, |maker| maker.honest_of(1024)),
    class("a bit of R", Accepted::None, |maker| maker.flipped(|signed| &mut signed.signature[..32])),
    class("a bit of S", Accepted::None, |maker| maker.flipped(|signed| &mut signed.signature[32..])),
    class("a bit of A", Accepted::None, |maker| maker.flipped(|signed| &mut signed.key)),
    class("a bit of the message", Accepted::None, |maker| maker.flipped(|signed| &mut signed.message)),
    class("a byte less of the message", Accepted::None, Maker::cut),
    class("S + L", Accepted::None, Maker::s_plus_order),
    class("S = 0", Accepted::None, |maker| maker.with_s([0; 32])),
    class("S = 2^256 - 1", Accepted::None, |maker| maker.with_s([0xff; 32])),
    class("-S", Accepted::None, Maker::negated_s),
    class("-R", Accepted::None, |maker| maker.honest_with(|signed, _| signed.signature[31] ^= 0x80)),
    class("-A", Accepted::None, |maker| maker.honest_with(|signed, _| signed.key[31] ^= 0x80)),
    class("halves swapped", Accepted::None, |maker| maker.honest_with(|signed, _| signed.signature.rotate_left(32))),
    class("rotated", Accepted::None, |maker| maker.honest_with(|signed, random| signed.signature.rotate_left(1 + random.below(63) as usize))),
    class("another key's", Accepted::None, |maker| maker.honest_with(|signed, random| signed.key = public(&scalar(random)))),
    class("random", Accepted::None, Maker::random),
    class("R not canonical", Accepted::None, |maker| maker.with_r(not_canonical)),
    class("A not canonical", Accepted::None, |maker| maker.with_key(not_canonical)),
    class("R of small order", Accepted::None, |maker| maker.with_r(small_order)),
    class("A of small order, made to fit", Accepted::None, Maker::under_small_order),
    class("R + a point of small order, S made to fit", Accepted::None, |maker| maker.mixed(Mixed::R)),
    class("A + a point of small order, S made to fit", Accepted::Some([12, 857]), |maker| maker.mixed(Mixed::A)),
    class("A and R + points of small order, S made to fit", Accepted::Some([7, 478]), |maker| maker.mixed(Mixed::Both)),
];

/// What a point of small order is added to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mixed {
    R,
    A,
    Both,
}

/// Makes signatures from chance.
struct Maker {
    random: Random,
    small: Vec<EdwardsPoint>,
}

impl Maker {
    fn honest(&mut self) -> Signed {
        let len = 1 + self.random.below(200) as usize;
        self.honest_of(len)
    }

    /// A signature of a message of so many bytes. Secret and nonce are chance, which verifies as well as what RFC 8032 derives them from.
    fn honest_of(&mut self, len: usize) -> Signed {
        let message = self.random.bytes(len);
        let (secret, nonce) = (scalar(&mut self.random), scalar(&mut self.random));
        signed(&secret, &nonce, public(&secret), public(&nonce), message)
    }

    fn honest_with(&mut self, change: impl FnOnce(&mut Signed, &mut Random)) -> Signed {
        let mut signed = self.honest();
        change(&mut signed, &mut self.random);
        signed
    }

    fn flipped(&mut self, part: impl FnOnce(&mut Signed) -> &mut [u8]) -> Signed {
        self.honest_with(|signed, random| {
            let bytes = part(signed);
            let bit = random.below(bytes.len() as u64 * 8) as usize;
            bytes[bit / 8] ^= 1 << (bit % 8);
        })
    }

    fn cut(&mut self) -> Signed {
        self.honest_with(|signed, _| signed.message.truncate(signed.message.len() - 1))
    }

    fn with_s(&mut self, s: [u8; 32]) -> Signed {
        self.honest_with(|signed, _| signed.signature[32..].copy_from_slice(&s))
    }

    /// S + k L for as many k as fit in 256 bits.
    fn s_plus_order(&mut self) -> Signed {
        self.honest_with(|signed, random| {
            for _ in 0..=random.below(14) {
                add_order(&mut signed.signature[32..]);
            }
        })
    }

    fn negated_s(&mut self) -> Signed {
        self.honest_with(|signed, _| {
            let s: [u8; 32] = *signed.signature.last_chunk().expect("half a signature");
            signed.signature[32..].copy_from_slice((-Scalar::from_bytes_mod_order(s)).as_bytes());
        })
    }

    fn random(&mut self) -> Signed {
        let mut signed = self.honest();
        signed.signature.fill_with(|| self.random.byte());
        // Below L more often than not, so that it is the equation that refuses.
        signed.signature[63] &= 0x1f;
        signed
    }

    fn with_r(&mut self, point: fn(&mut Self) -> [u8; 32]) -> Signed {
        let mut signed = self.honest();
        signed.signature[..32].copy_from_slice(&point(self));
        signed
    }

    fn with_key(&mut self, point: fn(&mut Self) -> [u8; 32]) -> Signed {
        let signed = self.honest();
        Signed { key: point(self), ..signed }
    }

    /// The equation S B = R + k A without the small order: R = S B under a key that k may cancel.
    fn under_small_order(&mut self) -> Signed {
        let nonce = scalar(&mut self.random);
        let key = self.small_point().compress().0;
        let message = self.random.bytes(20);
        signed(&Scalar::ZERO, &nonce, key, public(&nonce), message)
    }

    fn mixed(&mut self, mixed: Mixed) -> Signed {
        let (secret, nonce) = (scalar(&mut self.random), scalar(&mut self.random));
        let with = |scalar: &Scalar, torsion: EdwardsPoint| (EdwardsPoint::mul_base(scalar) + torsion).compress().0;
        let [to_key, to_r] = [mixed != Mixed::R, mixed != Mixed::A].map(|added| if added { self.torsion() } else { EdwardsPoint::identity() });
        let message = self.random.bytes(20);
        signed(&secret, &nonce, with(&secret, to_key), with(&nonce, to_r), message)
    }

    /// A point of small order but the identity.
    fn torsion(&mut self) -> EdwardsPoint {
        self.small[1 + self.random.below(7) as usize]
    }

    fn small_point(&mut self) -> EdwardsPoint {
        self.small[self.random.below(8) as usize]
    }
}

/// k A + nonce, for the secret that A has but for points of small order.
fn signed(secret: &Scalar, nonce: &Scalar, key: [u8; 32], r: [u8; 32], message: Vec<u8>) -> Signed {
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&r);
    signature[32..].copy_from_slice((nonce + challenge(&r, &key, &message) * secret).as_bytes());
    Signed { key, message, signature }
}

fn scalar(random: &mut Random) -> Scalar {
    Scalar::from_bytes_mod_order(core::array::from_fn(|_| random.byte()))
}

fn public(secret: &Scalar) -> [u8; 32] {
    EdwardsPoint::mul_base(secret).compress().0
}

/// One of the 19 values of y from p on, with either sign.
fn not_canonical(maker: &mut Maker) -> [u8; 32] {
    let mut bytes = [0xff; 32];
    bytes[0] = 0xed + maker.random.below(19) as u8;
    bytes[31] = if maker.random.below(2) == 0 { 0x7f } else { 0xff };
    bytes
}

/// A canonical encoding of a point of small order, at times with the other sign bit.
fn small_order(maker: &mut Maker) -> [u8; 32] {
    let mut bytes = maker.small_point().compress().0;
    bytes[31] ^= if maker.random.below(4) == 0 { 0x80 } else { 0 };
    bytes
}

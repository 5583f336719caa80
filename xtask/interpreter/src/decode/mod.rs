//! From halfwords to [`Op`]s. Source of all encodings: Armv7-M Architecture Reference Manual (DDI 0403E), chapter A5 and A7.7.
//!
//! Whatever the architecture leaves undefined is [`Kind::Undefined`]; what it leaves open otherwise (unpredictable encodings, free hints) is
//! [`Kind::Unknown`], so that a run that meets it is told from one that ends in a fault.

mod narrow;
mod wide;
mod wide_data;
mod wide_memory;

use crate::op::{Kind, Op};

/// Decodes the instruction at `address`, whose first halfword is `first`; `second` is the one behind it.
pub(crate) fn decode(address: u32, first: u16, second: u16) -> Op {
    if is_wide(first) { wide::decode(address, first.into(), second.into()) } else { narrow::decode(address, first.into()) }
}

/// Whether two halfwords make this instruction.
pub(crate) const fn is_wide(first: u16) -> bool {
    first >= 0xe800
}

const fn undefined(size: u8) -> Op {
    Op::new(Kind::Undefined, size)
}

const fn unknown(size: u8) -> Op {
    Op::new(Kind::Unknown, size)
}

/// `count` bits of `value` from bit `low` on.
const fn bits(value: u32, low: u32, count: u32) -> u32 {
    (value >> low) & ((1 << count) - 1)
}

/// A register number of four bits.
const fn register(value: u32, low: u32) -> u8 {
    bits(value, low, 4) as u8
}

/// A register number of three bits.
const fn low_register(value: u32, low: u32) -> u8 {
    bits(value, low, 3) as u8
}

/// `value` with its bit `sign` spread upwards.
const fn sign_extended(value: u32, sign: u32) -> u32 {
    let unused = 31 - sign;
    ((value << unused).cast_signed() >> unused).cast_unsigned()
}

/// The word that a literal load or ADR counts from.
const fn literal_base(address: u32) -> u32 {
    address.wrapping_add(4) & !3
}

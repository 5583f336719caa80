//! Saturations, and the multiplications of the DSP extension. Source: Armv7-M architecture reference manual, A7.7.
//!
//! Loaders have next to none of them; a run that a fault led astray may meet any.

use std::cell::Cell;

use crate::arithmetic::shifted;
use crate::op::{Dsp, Op};

/// The numbers of so many bits.
#[derive(Debug, Clone, Copy)]
struct Range {
    least: i64,
    greatest: i64,
}

impl Range {
    const WORD: Self = Self::signed(32);

    const fn signed(bits: u32) -> Self {
        Self { least: -(1 << (bits - 1)), greatest: (1 << (bits - 1)) - 1 }
    }

    const fn unsigned(bits: u32) -> Self {
        Self { least: 0, greatest: (1 << bits) - 1 }
    }
}

/// The operands of an instruction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operands {
    pub(crate) n: u32,
    pub(crate) m: u32,
    /// What is added; zero for forms that add nothing.
    pub(crate) a: u32,
}

/// The result, and whether Q is set. `op`: its shift, amount and imm.
pub(crate) fn computed(dsp: Dsp, op: &Op, Operands { n, m, a }: Operands) -> (u32, bool) {
    let overflow = Cell::new(false);
    let nearest = |exact: i64, Range { least, greatest }: Range| {
        let nearest = exact.clamp(least, greatest);
        overflow.set(overflow.get() || nearest != exact);
        nearest
    };
    let wrapped = |exact| {
        nearest(exact, Range::WORD);
        exact
    };
    let value = match dsp {
        Dsp::SaturateSigned => nearest(shifted_signed(n, op), Range::signed(op.imm)),
        Dsp::SaturateUnsigned => nearest(shifted_signed(n, op), Range::unsigned(op.imm)),
        Dsp::SaturateHalvesSigned => both(nearest(high(n), Range::signed(op.imm)), nearest(low(n), Range::signed(op.imm))),
        Dsp::SaturateHalvesUnsigned => both(nearest(high(n), Range::unsigned(op.imm)), nearest(low(n), Range::unsigned(op.imm))),
        Dsp::Add => nearest(signed(m) + signed(n), Range::WORD),
        Dsp::Sub => nearest(signed(m) - signed(n), Range::WORD),
        Dsp::AddDouble => {
            let double = nearest(signed(n) * 2, Range::WORD);
            nearest(signed(m) + double, Range::WORD)
        }
        Dsp::SubDouble => {
            let double = nearest(signed(n) * 2, Range::WORD);
            nearest(signed(m) - double, Range::WORD)
        }
        Dsp::Halves => wrapped(half_product(op, n, m) + signed(a)),
        Dsp::WordAndHalf => wrapped(((signed(n) * half(m, op.amount != 0)) >> 16) + signed(a)),
        Dsp::SumOfProducts => wrapped(products_sum(n, exchanged(m, op)) + signed(a)),
        Dsp::DifferenceOfProducts => wrapped(products_difference(n, exchanged(m, op)) + signed(a)),
        Dsp::TopAdd => (signed(a) << 32).wrapping_add(signed(n) * signed(m)).wrapping_add(rounding(op)) >> 32,
        Dsp::TopSub => (signed(a) << 32).wrapping_sub(signed(n) * signed(m)).wrapping_add(rounding(op)) >> 32,
        Dsp::AbsoluteDifferences => {
            let bytes = n.to_le_bytes().into_iter().zip(m.to_le_bytes());
            i64::from(bytes.map(|(n, m)| u32::from(n.abs_diff(m))).sum::<u32>().wrapping_add(a))
        }
    };
    (value as u32, overflow.get())
}

/// What a long multiplication adds to its two registers.
pub(crate) fn long_product(op: &Op, n: u32, m: u32, subtracts: bool) -> i64 {
    if subtracts { products_difference(n, exchanged(m, op)) } else { products_sum(n, exchanged(m, op)) }
}

/// The product of two halves: of `op`'s amount, bit 1 for n, bit 0 for m.
pub(crate) fn half_product(op: &Op, n: u32, m: u32) -> i64 {
    half(n, op.amount & 2 != 0) * half(m, op.amount & 1 != 0)
}

const fn signed(value: u32) -> i64 {
    value.cast_signed() as i64
}

const fn low(value: u32) -> i64 {
    value as i16 as i64
}

const fn high(value: u32) -> i64 {
    (value >> 16) as i16 as i64
}

const fn half(value: u32, is_high: bool) -> i64 {
    if is_high { high(value) } else { low(value) }
}

const fn both(high: i64, low: i64) -> i64 {
    (high & 0xffff) << 16 | low & 0xffff
}

const fn exchanged(m: u32, op: &Op) -> u32 {
    if op.amount == 0 { m } else { m.rotate_left(16) }
}

const fn products_sum(n: u32, m: u32) -> i64 {
    low(n) * low(m) + high(n) * high(m)
}

const fn products_difference(n: u32, m: u32) -> i64 {
    low(n) * low(m) - high(n) * high(m)
}

const fn rounding(op: &Op) -> i64 {
    (op.amount as i64) << 31
}

fn shifted_signed(n: u32, op: &Op) -> i64 {
    signed(shifted(n, op.shift, op.amount.into(), false).0)
}

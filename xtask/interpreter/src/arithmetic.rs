//! Values in, values out. Source: Armv7-M Architecture Reference Manual, A2.2 and A7.4.

use crate::op::{Alu, Arithmetic, Extension, Lanes, Shift};

/// Sum, carry and overflow.
#[inline(always)]
pub(crate) const fn add(a: u32, b: u32, carry: bool) -> (u32, bool, bool) {
    let (partial, first) = a.overflowing_add(b);
    let (sum, second) = partial.overflowing_add(carry as u32);
    (sum, first | second, (!(a ^ b) & (a ^ sum)) >> 31 != 0)
}

/// A shifted value and the bit that was shifted out last.
#[inline(always)]
pub(crate) const fn shifted(value: u32, shift: Shift, amount: u32, carry: bool) -> (u32, bool) {
    if amount == 0 {
        return (value, carry);
    }
    match shift {
        Shift::Lsl => match amount {
            1..=31 => (value << amount, value >> (32 - amount) & 1 == 1),
            32 => (0, value & 1 == 1),
            _ => (0, false),
        },
        Shift::Lsr => match amount {
            1..=31 => (value >> amount, value >> (amount - 1) & 1 == 1),
            32 => (0, value >> 31 == 1),
            _ => (0, false),
        },
        Shift::Asr => match amount {
            1..=31 => ((value.cast_signed() >> amount).cast_unsigned(), value >> (amount - 1) & 1 == 1),
            _ => ((value.cast_signed() >> 31).cast_unsigned(), value >> 31 == 1),
        },
        Shift::Ror => {
            let rotated = value.rotate_right(amount % 32);
            (rotated, rotated >> 31 == 1)
        }
        Shift::Rrx => (value >> 1 | (carry as u32) << 31, value & 1 == 1),
    }
}

/// The operations without carry.
#[inline(always)]
pub(crate) const fn logical(alu: Alu, a: u32, b: u32) -> Option<u32> {
    match alu {
        Alu::And => Some(a & b),
        Alu::Bic => Some(a & !b),
        Alu::Orr => Some(a | b),
        Alu::Orn => Some(a | !b),
        Alu::Eor => Some(a ^ b),
        Alu::Add | Alu::Adc | Alu::Sbc | Alu::Sub | Alu::Rsb => None,
    }
}

pub(crate) const fn extended(base: u32, value: u32, extension: Extension) -> u32 {
    match extension {
        Extension::SignedByte => base.wrapping_add((value as i8 as i32).cast_unsigned()),
        Extension::UnsignedByte => base.wrapping_add(value & 0xff),
        Extension::SignedHalf => base.wrapping_add((value as i16 as i32).cast_unsigned()),
        Extension::UnsignedHalf => base.wrapping_add(value & 0xffff),
        Extension::SignedBytes => {
            let (low, high) = ((value as i8 as i32).cast_unsigned(), ((value >> 16) as i8 as i32).cast_unsigned());
            base.wrapping_add(low) & 0xffff | (base >> 16).wrapping_add(high) << 16
        }
        Extension::UnsignedBytes => base.wrapping_add(value & 0xff) & 0xffff | (base >> 16).wrapping_add(value >> 16 & 0xff) << 16,
    }
}

/// The result of two or four lanes, and the four GE bits that plain arithmetic sets.
pub(crate) fn lanes(n: u32, m: u32, lanes: Lanes, arithmetic: Arithmetic) -> (u32, Option<u8>) {
    // Which subtract: the lowest one, and the others.
    let (width, m, subtracts) = match lanes {
        Lanes::AddBytes => (8, m, [false, false]),
        Lanes::SubBytes => (8, m, [true, true]),
        Lanes::AddHalves => (16, m, [false, false]),
        Lanes::SubHalves => (16, m, [true, true]),
        Lanes::SubAddExchanged => (16, m.rotate_left(16), [true, false]),
        Lanes::AddSubExchanged => (16, m.rotate_left(16), [false, true]),
    };
    let (mut result, mut ge) = (0, 0);
    let mut low = 0;
    while low < 32 {
        let (value, is_ge) = lane(n >> low, m >> low, width, subtracts[usize::from(low > 0)], arithmetic);
        result |= (value & ((1 << width) - 1)) << low;
        let mask = if width == 8 { 1 } else { 3 };
        ge |= (u8::from(is_ge) * mask) << (low / 8);
        low += width;
    }
    let sets = matches!(arithmetic, Arithmetic::Signed | Arithmetic::Unsigned);
    (result, sets.then_some(ge))
}

fn lane(n: u32, m: u32, width: u32, subtracts: bool, arithmetic: Arithmetic) -> (u32, bool) {
    let is_signed = matches!(arithmetic, Arithmetic::Signed | Arithmetic::SignedSaturating | Arithmetic::SignedHalving);
    let operand = |value: u32| {
        let unused = 32 - width;
        if is_signed { i64::from((value << unused).cast_signed() >> unused) } else { i64::from(value << unused >> unused) }
    };
    let (a, b) = (operand(n), operand(m));
    let exact = if subtracts { a - b } else { a + b };
    let is_ge = match (arithmetic, subtracts) {
        (Arithmetic::Unsigned, false) => exact >= 1 << width,
        _ => exact >= 0,
    };
    let value = match arithmetic {
        Arithmetic::Signed | Arithmetic::Unsigned => exact,
        Arithmetic::SignedSaturating => exact.clamp(-(1 << (width - 1)), (1 << (width - 1)) - 1),
        Arithmetic::UnsignedSaturating => exact.clamp(0, (1 << width) - 1),
        Arithmetic::SignedHalving | Arithmetic::UnsignedHalving => exact >> 1,
    };
    (value as u32, is_ge)
}

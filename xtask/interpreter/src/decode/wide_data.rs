//! 32-bit encodings: arithmetic.

use super::{bits, literal_base, register as number, undefined, unknown};
use crate::op::{Alu, Arithmetic, Dsp, Extension, Kind, Lanes, Op, PC, SINK, Sets, Shift, ZERO};

/// The operation of a data-processing code; `None` for one that is not of this architecture.
fn operation(first: u32, d: u8) -> Option<(Alu, u8, u8, Sets)> {
    let n = number(first, 0);
    let sets = if bits(first, 4, 1) == 1 { Sets::Always } else { Sets::Never };
    let is_compare = d == PC && sets == Sets::Always;
    let result = if is_compare { SINK } else { d };
    let base_or_zero = if n == PC { ZERO } else { n };
    let (alu, n) = match bits(first, 5, 4) {
        0b0000 => (Alu::And, n),
        0b0001 => (Alu::Bic, n),
        0b0010 => (Alu::Orr, base_or_zero),
        0b0011 => (Alu::Orn, base_or_zero),
        0b0100 => (Alu::Eor, n),
        0b1000 => (Alu::Add, n),
        0b1010 => (Alu::Adc, n),
        0b1011 => (Alu::Sbc, n),
        0b1101 => (Alu::Sub, n),
        0b1110 => (Alu::Rsb, n),
        _ => return None,
    };
    let takes_compare = matches!(alu, Alu::And | Alu::Eor | Alu::Add | Alu::Sub);
    Some((alu, n, if takes_compare { result } else { d }, sets))
}

pub(super) fn shifted_register(first: u32, second: u32) -> Op {
    if bits(first, 5, 4) == 0b0110 {
        return pack(first, second);
    }
    let Some((alu, n, d, sets)) = operation(first, number(second, 8)) else { return undefined(4) };
    let amount = (bits(second, 12, 3) << 2 | bits(second, 6, 2)) as u8;
    let (shift, amount) = immediate_shift(bits(second, 4, 2), amount);
    Op::new(Kind::Reg(alu), 4).d(d).n(n).m(number(second, 0)).shifted(shift, amount).sets(sets)
}

/// PKHBT, PKHTB: neither sets flags nor takes the other two shifts.
fn pack(first: u32, second: u32) -> Op {
    if bits(first, 4, 1) == 1 || bits(second, 4, 1) == 1 {
        return undefined(4);
    }
    let kind = if bits(second, 5, 1) == 0 { Kind::PackTop } else { Kind::PackBottom };
    let amount = (bits(second, 12, 3) << 2 | bits(second, 6, 2)) as u8;
    let (shift, amount) = immediate_shift(bits(second, 4, 2), amount);
    Op::new(kind, 4).d(number(second, 8)).n(number(first, 0)).m(number(second, 0)).shifted(shift, amount)
}

const fn immediate_shift(kind: u32, amount: u8) -> (Shift, u8) {
    match (kind, amount) {
        (0b00, amount) => (Shift::Lsl, amount),
        (0b01, 0) => (Shift::Lsr, 32),
        (0b01, amount) => (Shift::Lsr, amount),
        (0b10, 0) => (Shift::Asr, 32),
        (0b10, amount) => (Shift::Asr, amount),
        (_, 0) => (Shift::Rrx, 1),
        (_, amount) => (Shift::Ror, amount),
    }
}

pub(super) fn modified_immediate(first: u32, second: u32) -> Op {
    let Some((alu, n, d, sets)) = operation(first, number(second, 8)) else { return undefined(4) };
    let (imm, carry) = expanded(bits(first, 10, 1) << 11 | bits(second, 12, 3) << 8 | bits(second, 0, 8));
    Op::new(Kind::Imm(alu), 4).d(d).n(n).imm(imm).amount(carry).sets(sets)
}

/// ThumbExpandImm_C; the carry is 2 where it stays what it was.
const fn expanded(imm12: u32) -> (u32, u8) {
    let byte = imm12 & 0xff;
    match imm12 >> 8 {
        0 => (byte, 2),
        1 => (byte << 16 | byte, 2),
        2 => (byte << 24 | byte << 8, 2),
        3 => (byte << 24 | byte << 16 | byte << 8 | byte, 2),
        _ => {
            let value = (0x80 | imm12 & 0x7f).rotate_right(imm12 >> 7);
            (value, (value >> 31) as u8)
        }
    }
}

pub(super) fn plain_immediate(address: u32, first: u32, second: u32) -> Op {
    let (n, d) = (number(first, 0), number(second, 8));
    let imm12 = bits(first, 10, 1) << 11 | bits(second, 12, 3) << 8 | bits(second, 0, 8);
    let imm16 = bits(first, 0, 4) << 12 | imm12;
    let low = bits(second, 12, 3) << 2 | bits(second, 6, 2);
    let field = |kind, width| Op::new(kind, 4).d(d).n(n).amount(low as u8).imm(width);
    let base = literal_base(address);
    match bits(first, 4, 5) {
        0b00000 if n == PC => Op::new(Kind::MoveWide, 4).d(d).imm(base.wrapping_add(imm12)),
        0b00000 => Op::new(Kind::Imm(Alu::Add), 4).d(d).n(n).imm(imm12),
        0b00100 => Op::new(Kind::MoveWide, 4).d(d).imm(imm16),
        0b01010 if n == PC => Op::new(Kind::MoveWide, 4).d(d).imm(base.wrapping_sub(imm12)),
        0b01010 => Op::new(Kind::Imm(Alu::Sub), 4).d(d).n(n).imm(imm12),
        0b01100 => Op::new(Kind::MoveTop, 4).d(d).imm(imm16),
        0b10100 => field(Kind::FieldSigned, bits(second, 0, 5) + 1),
        0b10110 => {
            let top = bits(second, 0, 5);
            let insert = field(Kind::FieldInsert, top.wrapping_sub(low).wrapping_add(1));
            if top < low { unknown(4) } else { Op { n: if n == PC { ZERO } else { n }, ..insert } }
        }
        0b11100 => field(Kind::FieldUnsigned, bits(second, 0, 5) + 1),
        0b10000 => field(Kind::Dsp(Dsp::SaturateSigned), bits(second, 0, 5) + 1),
        0b10010 if low == 0 => field(Kind::Dsp(Dsp::SaturateHalvesSigned), bits(second, 0, 4) + 1),
        0b10010 => Op { shift: Shift::Asr, ..field(Kind::Dsp(Dsp::SaturateSigned), bits(second, 0, 5) + 1) },
        0b11000 => field(Kind::Dsp(Dsp::SaturateUnsigned), bits(second, 0, 5)),
        0b11010 if low == 0 => field(Kind::Dsp(Dsp::SaturateHalvesUnsigned), bits(second, 0, 4)),
        0b11010 => Op { shift: Shift::Asr, ..field(Kind::Dsp(Dsp::SaturateUnsigned), bits(second, 0, 5)) },
        _ => undefined(4),
    }
}

pub(super) fn register(first: u32, second: u32) -> Op {
    if bits(second, 12, 4) != 0b1111 {
        return undefined(4);
    }
    let (n, d, m) = (number(first, 0), number(second, 8), number(second, 0));
    let op2 = bits(second, 4, 4);
    match bits(first, 4, 4) {
        code @ 0b0000..=0b0111 if op2 == 0 => shift_by_register(code, n, d, m),
        code @ 0b0000..=0b0101 if op2 >= 0b1000 => extend(code, n, d, m, bits(second, 4, 2) as u8 * 8),
        code @ 0b1000..=0b1111 if op2 < 0b1000 => lanes(code & 7, op2, n, d, m),
        code @ 0b1000..=0b1011 if bits(second, 6, 2) == 0b10 => miscellaneous(code & 3, op2 & 3, n, d, m),
        _ => undefined(4),
    }
}

fn shift_by_register(code: u32, n: u8, d: u8, m: u8) -> Op {
    let shift = match code >> 1 {
        0 => Shift::Lsl,
        1 => Shift::Lsr,
        2 => Shift::Asr,
        _ => Shift::Ror,
    };
    Op::new(Kind::ShiftReg(shift), 4).d(d).n(n).m(m).sets(if code & 1 == 1 { Sets::Always } else { Sets::Never })
}

fn extend(code: u32, n: u8, d: u8, m: u8, rotation: u8) -> Op {
    let extension = match code {
        0b0000 => Extension::SignedHalf,
        0b0001 => Extension::UnsignedHalf,
        0b0010 => Extension::SignedBytes,
        0b0011 => Extension::UnsignedBytes,
        0b0100 => Extension::SignedByte,
        _ => Extension::UnsignedByte,
    };
    Op::new(Kind::Extend(extension), 4).d(d).n(if n == PC { ZERO } else { n }).m(m).amount(rotation)
}

fn lanes(code: u32, op2: u32, n: u8, d: u8, m: u8) -> Op {
    let arithmetic = match op2 {
        0b0000 => Arithmetic::Signed,
        0b0001 => Arithmetic::SignedSaturating,
        0b0010 => Arithmetic::SignedHalving,
        0b0100 => Arithmetic::Unsigned,
        0b0101 => Arithmetic::UnsignedSaturating,
        0b0110 => Arithmetic::UnsignedHalving,
        _ => return undefined(4),
    };
    let lanes = match code {
        0b000 => Lanes::AddBytes,
        0b001 => Lanes::AddHalves,
        0b100 => Lanes::SubBytes,
        0b101 => Lanes::SubHalves,
        0b010 => Lanes::SubAddExchanged,
        0b110 => Lanes::AddSubExchanged,
        _ => return undefined(4),
    };
    Op::new(Kind::Lanes(lanes, arithmetic), 4).d(d).n(n).m(m)
}

fn miscellaneous(code: u32, op2: u32, n: u8, d: u8, m: u8) -> Op {
    match (code, op2) {
        (0, 0) => Op::new(Kind::Dsp(Dsp::Add), 4).d(d).n(n).m(m),
        (0, 1) => Op::new(Kind::Dsp(Dsp::AddDouble), 4).d(d).n(n).m(m),
        (0, 2) => Op::new(Kind::Dsp(Dsp::Sub), 4).d(d).n(n).m(m),
        (0, _) => Op::new(Kind::Dsp(Dsp::SubDouble), 4).d(d).n(n).m(m),
        (1, 0) => Op::new(Kind::ReverseBytes, 4).d(d).m(m),
        (1, 1) => Op::new(Kind::ReverseHalves, 4).d(d).m(m),
        (1, 2) => Op::new(Kind::ReverseBits, 4).d(d).m(m),
        (1, _) => Op::new(Kind::ReverseSigned, 4).d(d).m(m),
        (2, 0) => Op::new(Kind::Select, 4).d(d).n(n).m(m),
        (3, 0) => Op::new(Kind::LeadingZeros, 4).d(d).m(m),
        _ => undefined(4),
    }
}

pub(super) fn multiply(first: u32, second: u32) -> Op {
    let (n, a, d, m) = (number(first, 0), number(second, 12), number(second, 8), number(second, 0));
    let with = |kind| Op::new(kind, 4).d(d).n(n).m(m).a(a);
    let dsp = |which, amount: u32| with(Kind::Dsp(which)).a(if a == PC { ZERO } else { a }).amount(amount as u8);
    match (bits(first, 4, 3), bits(second, 4, 2)) {
        (0b000, 0b00) if a == PC => with(Kind::Multiply),
        (0b000, 0b00) => with(Kind::MultiplyAdd),
        (0b000, 0b01) => with(Kind::MultiplySubtract),
        (0b001, halves) => dsp(Dsp::Halves, halves),
        (0b010, exchanged @ 0..=1) => dsp(Dsp::SumOfProducts, exchanged),
        (0b011, top @ 0..=1) => dsp(Dsp::WordAndHalf, top),
        (0b100, exchanged @ 0..=1) => dsp(Dsp::DifferenceOfProducts, exchanged),
        (0b101, rounds @ 0..=1) => dsp(Dsp::TopAdd, rounds),
        // Unpredictable without a register to subtract from.
        (0b110, 0..=1) if a == PC => unknown(4),
        (0b110, rounds @ 0..=1) => dsp(Dsp::TopSub, rounds),
        (0b111, 0) => dsp(Dsp::AbsoluteDifferences, 0),
        // Source: ARMv7-M Architecture Reference Manual, A5.3.16: all others here are undefined.
        _ => undefined(4),
    }
}

pub(super) fn long_multiply(first: u32, second: u32) -> Op {
    let with = |kind| Op::new(kind, 4).n(number(first, 0)).m(number(second, 0)).d(number(second, 12)).a(number(second, 8));
    let divide = |kind| Op::new(kind, 4).n(number(first, 0)).m(number(second, 0)).d(number(second, 8));
    match (bits(first, 4, 3), bits(second, 4, 4)) {
        (0b000, 0b0000) => with(Kind::LongSigned),
        (0b001, 0b1111) => divide(Kind::DivideSigned),
        (0b010, 0b0000) => with(Kind::LongUnsigned),
        (0b011, 0b1111) => divide(Kind::DivideUnsigned),
        (0b100, 0b0000) => with(Kind::LongSignedAdd),
        (0b110, 0b0000) => with(Kind::LongUnsignedAdd),
        (0b110, 0b0110) => with(Kind::LongUnsignedAddAdd),
        (0b100, halves @ 0b1000..=0b1011) => with(Kind::LongHalvesAdd).amount(halves as u8 & 3),
        (0b100, exchanged @ 0b1100..=0b1101) => with(Kind::LongSumOfProducts).amount(exchanged as u8 & 1),
        (0b101, exchanged @ 0b1100..=0b1101) => with(Kind::LongDifferenceOfProducts).amount(exchanged as u8 & 1),
        _ => undefined(4),
    }
}

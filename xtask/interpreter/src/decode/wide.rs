//! 32-bit encodings: which group, and branches.

use super::{bits, register, sign_extended, undefined, wide_data, wide_memory};
use crate::op::{Kind, Op};

pub(super) fn decode(address: u32, first: u32, second: u32) -> Op {
    let op2 = bits(first, 4, 7);
    match bits(first, 11, 2) {
        0b01 if op2 & 0b110_0100 == 0b000_0000 => wide_memory::multiple(first, second),
        0b01 if op2 & 0b110_0100 == 0b000_0100 => wide_memory::double(address, first, second),
        0b01 if op2 & 0b110_0000 == 0b010_0000 => wide_data::shifted_register(first, second),
        0b10 if bits(second, 15, 1) == 1 => branch(address, first, second),
        0b10 if op2 & 0b010_0000 == 0 => wide_data::modified_immediate(first, second),
        0b10 => wide_data::plain_immediate(address, first, second),
        0b11 if op2 & 0b111_0001 == 0b000_0000 => wide_memory::store(first, second),
        0b11 if op2 & 0b110_0001 == 0b000_0001 => wide_memory::load(address, first, second),
        0b11 if op2 & 0b111_0000 == 0b010_0000 => wide_data::register(first, second),
        0b11 if op2 & 0b111_1000 == 0b011_0000 => wide_data::multiply(first, second),
        0b11 if op2 & 0b111_1000 == 0b011_1000 => wide_data::long_multiply(first, second),
        0b11 if op2 & 0b110_0000 == 0b000_0000 => undefined(4),
        _ => coprocessor(first, second),
    }
}

/// This board's processor has no coprocessor but the floating-point unit, and that one no instruction of the second set. Source: Armv7-M architecture
/// reference manual, A6.4 to A6.7.
fn coprocessor(first: u32, second: u32) -> Op {
    match bits(second, 8, 4) {
        10 | 11 if bits(first, 12, 1) == 1 => undefined(4),
        10 if is_transfer(first) => transfer(bits(second, 12, 4) << 1 | bits(first, 6, 1), bits(second, 0, 8), 32),
        11 if is_transfer(first) => transfer(bits(second, 12, 4) | bits(first, 6, 1) << 4, bits(second, 1, 7), 16),
        10 | 11 => Op::new(Kind::FloatingPoint, 4),
        _ => undefined(4),
    }
}

/// Whether several floating-point registers are loaded or stored: VLDM, VSTM, VPUSH, VPOP.
fn is_transfer(first: u32) -> bool {
    let (before, up, back) = (bits(first, 8, 1), bits(first, 7, 1), bits(first, 5, 1));
    bits(first, 9, 7) == 0b111_0110 && matches!((before, up, back), (0, 1, _) | (1, 0, 1))
}

/// One without a register, or with more than there are, is unpredictable: the emulator takes it for undefined.
fn transfer(from: u32, registers: u32, there_are: u32) -> Op {
    if registers == 0 || from + registers > there_are { undefined(4) } else { Op::new(Kind::FloatingPoint, 4) }
}

fn branch(address: u32, first: u32, second: u32) -> Op {
    let here = address.wrapping_add(4);
    match (bits(second, 14, 1), bits(second, 12, 1)) {
        (0, 0) if bits(first, 7, 3) != 0b111 => {
            let distance =
                bits(second, 0, 11) << 1 | bits(first, 0, 6) << 12 | bits(second, 13, 1) << 18 | bits(second, 11, 1) << 19 | bits(first, 10, 1) << 20;
            let target = here.wrapping_add(sign_extended(distance, 20));
            Op::new(Kind::BranchIf, 4).imm(target).a(bits(first, 6, 4) as u8)
        }
        (0, 0) => control(first, second),
        (0, _) => Op::new(Kind::Branch, 4).imm(here.wrapping_add(far_distance(first, second))),
        (_, 1) => Op::new(Kind::BranchLink, 4).imm(here.wrapping_add(far_distance(first, second))),
        _ => undefined(4),
    }
}

const fn far_distance(first: u32, second: u32) -> u32 {
    let sign = bits(first, 10, 1);
    let upper = 1 ^ bits(second, 13, 1) ^ sign;
    let lower = 1 ^ bits(second, 11, 1) ^ sign;
    sign_extended(sign << 24 | upper << 23 | lower << 22 | bits(first, 0, 10) << 12 | bits(second, 0, 11) << 1, 24)
}

fn control(first: u32, second: u32) -> Op {
    match bits(first, 4, 7) {
        0b011_1000 | 0b011_1001 => Op::new(Kind::WriteSpecial, 4).n(register(first, 0)).imm(bits(second, 0, 8)).amount(bits(second, 10, 2) as u8),
        0b011_1010 if bits(second, 8, 3) != 0 => undefined(4),
        0b011_1010 if bits(second, 0, 8) == 3 => Op::new(Kind::Sleep, 4),
        0b011_1010 => Op::new(Kind::Nop, 4),
        0b011_1011 if bits(second, 4, 4) == 2 => Op::new(Kind::ClearExclusive, 4),
        0b011_1011 if matches!(bits(second, 4, 4), 4..=6) => Op::new(Kind::Nop, 4),
        0b011_1110 | 0b011_1111 => Op::new(Kind::ReadSpecial, 4).d(register(second, 8)).imm(bits(second, 0, 8)),
        _ => undefined(4),
    }
}

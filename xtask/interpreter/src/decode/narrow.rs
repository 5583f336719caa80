//! 16-bit encodings.

use super::{bits, literal_base, low_register, register, sign_extended, undefined};
use crate::op::{Alu, Extension, Kind, LR, Op, PC, SINK, SP, Sets, Shift, Width, ZERO, mode};

pub(super) fn decode(address: u32, word: u32) -> Op {
    match bits(word, 10, 6) {
        0b00_0000..=0b00_1111 => shift_add_move(word),
        0b01_0000 => data_processing(word),
        0b01_0001 => special(word),
        0b01_0010 | 0b01_0011 => {
            let target = literal_base(address).wrapping_add(bits(word, 0, 8) << 2);
            Op::new(Kind::Load(Width::Word), 2).d(low_register(word, 8)).imm(target)
        }
        0b01_0100..=0b01_0111 => register_transfer(word),
        0b01_1000..=0b10_0111 => immediate_transfer(word),
        0b10_1000 | 0b10_1001 => {
            let target = literal_base(address).wrapping_add(bits(word, 0, 8) << 2);
            Op::new(Kind::MoveWide, 2).d(low_register(word, 8)).imm(target)
        }
        0b10_1010 | 0b10_1011 => Op::new(Kind::Imm(Alu::Add), 2).d(low_register(word, 8)).n(SP).imm(bits(word, 0, 8) << 2),
        0b10_1100..=0b10_1111 => miscellaneous(address, word),
        0b11_0000 | 0b11_0001 => Op::new(Kind::StoreIncrement, 2).n(low_register(word, 8)).imm(bits(word, 0, 8)).amount(1),
        0b11_0010 | 0b11_0011 => {
            let (base, list) = (low_register(word, 8), bits(word, 0, 8));
            Op::new(Kind::LoadIncrement, 2).n(base).imm(list).amount(u8::from(list >> base & 1 == 0))
        }
        0b11_0100..=0b11_0111 => conditional(address, word),
        _ => Op::new(Kind::Branch, 2).imm(address.wrapping_add(4).wrapping_add(sign_extended(bits(word, 0, 11) << 1, 11))),
    }
}

fn shift_add_move(word: u32) -> Op {
    let (d, m) = (low_register(word, 0), low_register(word, 3));
    let shifted = |shift, amount| Op::new(Kind::Reg(Alu::Orr), 2).d(d).m(m).shifted(shift, amount).sets(Sets::OutsideIt);
    let arithmetic = |kind| Op::new(kind, 2).d(d).n(m).sets(Sets::OutsideIt);
    let long = |alu, d| Op::new(Kind::Imm(alu), 2).d(d).n(low_register(word, 8)).imm(bits(word, 0, 8)).amount(2).sets(Sets::OutsideIt);
    let amount = bits(word, 6, 5) as u8;
    let amount_or_32 = if amount == 0 { 32 } else { amount };
    match bits(word, 9, 5) {
        0b00000..=0b00011 => shifted(Shift::Lsl, amount),
        0b00100..=0b00111 => shifted(Shift::Lsr, amount_or_32),
        0b01000..=0b01011 => shifted(Shift::Asr, amount_or_32),
        0b01100 => arithmetic(Kind::Reg(Alu::Add)).m(low_register(word, 6)),
        0b01101 => arithmetic(Kind::Reg(Alu::Sub)).m(low_register(word, 6)),
        0b01110 => arithmetic(Kind::Imm(Alu::Add)).imm(bits(word, 6, 3)).amount(2),
        0b01111 => arithmetic(Kind::Imm(Alu::Sub)).imm(bits(word, 6, 3)).amount(2),
        0b10000..=0b10011 => Op { n: ZERO, ..long(Alu::Orr, low_register(word, 8)) },
        0b10100..=0b10111 => Op { sets: Sets::Always, ..long(Alu::Sub, SINK) },
        0b11000..=0b11011 => long(Alu::Add, low_register(word, 8)),
        _ => long(Alu::Sub, low_register(word, 8)),
    }
}

fn data_processing(word: u32) -> Op {
    let (d, m) = (low_register(word, 0), low_register(word, 3));
    let with = |alu| Op::new(Kind::Reg(alu), 2).d(d).n(d).m(m).sets(Sets::OutsideIt);
    let shift = |shift| Op::new(Kind::ShiftReg(shift), 2).d(d).n(d).m(m).sets(Sets::OutsideIt);
    let compare = |alu| Op { d: SINK, sets: Sets::Always, ..with(alu) };
    match bits(word, 6, 4) {
        0b0000 => with(Alu::And),
        0b0001 => with(Alu::Eor),
        0b0010 => shift(Shift::Lsl),
        0b0011 => shift(Shift::Lsr),
        0b0100 => shift(Shift::Asr),
        0b0101 => with(Alu::Adc),
        0b0110 => with(Alu::Sbc),
        0b0111 => shift(Shift::Ror),
        0b1000 => compare(Alu::And),
        0b1001 => Op::new(Kind::Imm(Alu::Rsb), 2).d(d).n(m).amount(2).sets(Sets::OutsideIt),
        0b1010 => compare(Alu::Sub),
        0b1011 => compare(Alu::Add),
        0b1100 => with(Alu::Orr),
        0b1101 => Op::new(Kind::Multiply, 2).d(d).n(m).m(d).sets(Sets::OutsideIt),
        0b1110 => with(Alu::Bic),
        _ => Op { n: ZERO, ..with(Alu::Orn) },
    }
}

fn special(word: u32) -> Op {
    let (d, m) = (low_register(word, 0) | (bits(word, 7, 1) << 3) as u8, register(word, 3));
    match (bits(word, 8, 2), bits(word, 7, 1)) {
        (0b00, _) if d == PC => Op::new(Kind::AddPc, 2).m(m),
        (0b00, _) => Op::new(Kind::Reg(Alu::Add), 2).d(d).n(d).m(m),
        (0b01, _) => Op::new(Kind::Reg(Alu::Sub), 2).n(d).m(m).sets(Sets::Always),
        (0b10, _) if d == PC => Op::new(Kind::MovePc, 2).m(m),
        (0b10, _) => Op::new(Kind::Reg(Alu::Orr), 2).d(d).m(m),
        (_, 0) => Op::new(Kind::BranchExchange, 2).m(m),
        _ => Op::new(Kind::BranchLinkExchange, 2).m(m),
    }
}

fn register_transfer(word: u32) -> Op {
    let kind = match bits(word, 9, 3) {
        0 => Kind::Store(Width::Word),
        1 => Kind::Store(Width::Half),
        2 => Kind::Store(Width::Byte),
        3 => Kind::Load(Width::SignedByte),
        4 => Kind::Load(Width::Word),
        5 => Kind::Load(Width::Half),
        6 => Kind::Load(Width::Byte),
        _ => Kind::Load(Width::SignedHalf),
    };
    Op::new(kind, 2).d(low_register(word, 0)).n(low_register(word, 3)).m(low_register(word, 6)).a(mode::INDEX)
}

fn immediate_transfer(word: u32) -> Op {
    let offset = bits(word, 6, 5);
    let with = |kind, offset| Op::new(kind, 2).d(low_register(word, 0)).n(low_register(word, 3)).imm(offset);
    let stack = |kind| Op::new(kind, 2).d(low_register(word, 8)).n(SP).imm(bits(word, 0, 8) << 2);
    match bits(word, 11, 5) {
        0b01100 => with(Kind::Store(Width::Word), offset << 2),
        0b01101 => with(Kind::Load(Width::Word), offset << 2),
        0b01110 => with(Kind::Store(Width::Byte), offset),
        0b01111 => with(Kind::Load(Width::Byte), offset),
        0b10000 => with(Kind::Store(Width::Half), offset << 1),
        0b10001 => with(Kind::Load(Width::Half), offset << 1),
        0b10010 => stack(Kind::Store(Width::Word)),
        _ => stack(Kind::Load(Width::Word)),
    }
}

fn miscellaneous(address: u32, word: u32) -> Op {
    let (d, m) = (low_register(word, 0), low_register(word, 3));
    let stack = |alu| Op::new(Kind::Imm(alu), 2).d(SP).n(SP).imm(bits(word, 0, 7) << 2);
    let extend = |extension| Op::new(Kind::Extend(extension), 2).d(d).m(m);
    let reverse = |kind| Op::new(kind, 2).d(d).m(m);
    match bits(word, 5, 7) {
        0b000_0000..=0b000_0011 => stack(Alu::Add),
        0b000_0100..=0b000_0111 => stack(Alu::Sub),
        value if matches!(value >> 3, 0b0001 | 0b0011 | 0b1001 | 0b1011) => {
            let distance = bits(word, 9, 1) << 6 | bits(word, 3, 5) << 1;
            let target = address.wrapping_add(4).wrapping_add(distance);
            Op::new(Kind::CompareBranch, 2).n(d).imm(target).amount(u8::from(bits(word, 11, 1) == 0))
        }
        0b001_0000 | 0b001_0001 => extend(Extension::SignedHalf),
        0b001_0010 | 0b001_0011 => extend(Extension::SignedByte),
        0b001_0100 | 0b001_0101 => extend(Extension::UnsignedHalf),
        0b001_0110 | 0b001_0111 => extend(Extension::UnsignedByte),
        0b010_0000..=0b010_1111 => {
            let list = bits(word, 0, 8) | bits(word, 8, 1) << LR;
            Op::new(Kind::StoreDecrement, 2).n(SP).imm(list).amount(1)
        }
        0b011_0011 => Op::new(Kind::Nop, 2),
        0b101_0000 | 0b101_0001 => reverse(Kind::ReverseBytes),
        0b101_0010 | 0b101_0011 => reverse(Kind::ReverseHalves),
        0b101_0110 | 0b101_0111 => reverse(Kind::ReverseSigned),
        0b110_0000..=0b110_1111 => {
            let list = bits(word, 0, 8) | bits(word, 8, 1) << PC;
            Op::new(Kind::LoadIncrement, 2).n(SP).imm(list).amount(1)
        }
        0b111_0000..=0b111_0111 => Op::new(Kind::Call, 2),
        0b111_1000..=0b111_1111 => hint(word),
        _ => undefined(2),
    }
}

fn hint(word: u32) -> Op {
    match (bits(word, 0, 4), bits(word, 4, 4)) {
        (0, 3) => Op::new(Kind::Sleep, 2),
        (0, _) => Op::new(Kind::Nop, 2),
        _ => Op::new(Kind::If, 2).imm(bits(word, 0, 8)),
    }
}

fn conditional(address: u32, word: u32) -> Op {
    match bits(word, 8, 4) {
        0b1110 => undefined(2),
        0b1111 => Op::new(Kind::Call, 2),
        condition => {
            let target = address.wrapping_add(4).wrapping_add(sign_extended(bits(word, 0, 8) << 1, 8));
            Op::new(Kind::BranchIf, 2).imm(target).a(condition as u8)
        }
    }
}

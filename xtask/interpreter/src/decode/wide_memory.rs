//! 32-bit encodings: loads and stores.

use super::{bits, literal_base, register, undefined, unknown};
use crate::op::{Kind, Op, PC, Width, ZERO, mode};

/// LDM, STM, PUSH and POP.
pub(super) fn multiple(first: u32, second: u32) -> Op {
    let (n, writes_back, is_load) = (register(first, 0), bits(first, 5, 1), bits(first, 4, 1) == 1);
    let list = second & if is_load { 0xdfff } else { 0x5fff };
    let kind = match (bits(first, 7, 2), is_load) {
        (0b01, true) => Kind::LoadIncrement,
        (0b01, false) => Kind::StoreIncrement,
        (0b10, true) => Kind::LoadDecrement,
        (0b10, false) => Kind::StoreDecrement,
        _ => return undefined(4),
    };
    let base_is_loaded = is_load && list >> n & 1 == 1;
    Op::new(kind, 4).n(n).imm(list).amount(u8::from(writes_back == 1 && !base_is_loaded))
}

/// LDRD, STRD, exclusive access and table branches.
pub(super) fn double(address: u32, first: u32, second: u32) -> Op {
    let (op1, op2, op3) = (bits(first, 7, 2), bits(first, 4, 2), bits(second, 4, 4));
    let (n, d, a) = (register(first, 0), register(second, 12), register(second, 8));
    let offset = bits(second, 0, 8) << 2;
    match (op1, op2, op3) {
        (0b00, 0b00, _) => Op::new(Kind::StoreExclusive(Width::Word), 4).n(n).d(d).a(a).imm(offset),
        (0b00, 0b01, _) => Op::new(Kind::LoadExclusive(Width::Word), 4).n(n).d(d).imm(offset),
        (0b01, 0b00, 0b0100) => Op::new(Kind::StoreExclusive(Width::Byte), 4).n(n).d(d).a(register(second, 0)),
        (0b01, 0b00, 0b0101) => Op::new(Kind::StoreExclusive(Width::Half), 4).n(n).d(d).a(register(second, 0)),
        (0b01, 0b01, 0b0000) => Op::new(Kind::TableByte, 4).n(n).m(register(second, 0)),
        (0b01, 0b01, 0b0001) => Op::new(Kind::TableHalf, 4).n(n).m(register(second, 0)),
        (0b01, 0b01, 0b0100) => Op::new(Kind::LoadExclusive(Width::Byte), 4).n(n).d(d),
        (0b01, 0b01, 0b0101) => Op::new(Kind::LoadExclusive(Width::Half), 4).n(n).d(d),
        _ if bits(first, 8, 1) == 0 && bits(first, 5, 1) == 0 => undefined(4),
        _ => double_word(address, first, second),
    }
}

fn double_word(address: u32, first: u32, second: u32) -> Op {
    let (n, d, a) = (register(first, 0), register(second, 12), register(second, 8));
    let offset = if bits(first, 7, 1) == 1 { bits(second, 0, 8) << 2 } else { (bits(second, 0, 8) << 2).wrapping_neg() };
    let kind = if bits(first, 4, 1) == 1 { Kind::LoadDouble } else { Kind::StoreDouble };
    let how = match (bits(first, 8, 1), bits(first, 5, 1)) {
        (1, 0) => mode::OFFSET,
        (1, _) => mode::BEFORE,
        _ => mode::AFTER,
    };
    let op = Op::new(kind, 4).d(d).a(a).m(how);
    if n == PC { op.n(ZERO).imm(literal_base(address).wrapping_add(offset)) } else { op.n(n).imm(offset) }
}

pub(super) fn store(first: u32, second: u32) -> Op {
    let width = match bits(first, 5, 2) {
        0b00 => Width::Byte,
        0b01 => Width::Half,
        0b10 => Width::Word,
        _ => return undefined(4),
    };
    if register(first, 0) == PC {
        return undefined(4);
    }
    addressed(Kind::Store(width), first, second)
}

pub(super) fn load(address: u32, first: u32, second: u32) -> Op {
    let width = match (bits(first, 8, 1), bits(first, 5, 2)) {
        (0, 0b00) => Width::Byte,
        (0, 0b01) => Width::Half,
        (0, 0b10) => Width::Word,
        (1, 0b00) => Width::SignedByte,
        (1, 0b01) => Width::SignedHalf,
        _ => return undefined(4),
    };
    let d = register(second, 12);
    if d == PC && width != Width::Word {
        // Preload hints: they change nothing.
        return if matches!(width, Width::Byte | Width::SignedByte) { Op::new(Kind::Nop, 4) } else { unknown(4) };
    }
    if register(first, 0) == PC {
        let offset = bits(second, 0, 12);
        let distance = if bits(first, 7, 1) == 1 { offset } else { offset.wrapping_neg() };
        return Op::new(Kind::Load(width), 4).d(d).imm(literal_base(address).wrapping_add(distance));
    }
    addressed(Kind::Load(width), first, second)
}

fn addressed(kind: Kind, first: u32, second: u32) -> Op {
    let op = Op::new(kind, 4).d(register(second, 12)).n(register(first, 0));
    if bits(first, 7, 1) == 1 {
        return op.imm(bits(second, 0, 12));
    }
    if bits(second, 6, 6) == 0 {
        return op.m(register(second, 0)).a(mode::INDEX).amount(bits(second, 4, 2) as u8);
    }
    let offset = if bits(second, 9, 1) == 1 { bits(second, 0, 8) } else { bits(second, 0, 8).wrapping_neg() };
    match (bits(second, 11, 1), bits(second, 10, 1), bits(second, 8, 1)) {
        (0, ..) | (1, 0, 0) => undefined(4),
        (_, 1, 0) => op.imm(offset),
        (_, 1, _) => op.imm(offset).a(mode::BEFORE),
        _ => op.imm(offset).a(mode::AFTER),
    }
}

/// PUSH and POP of one register are stores and loads by SP.
#[cfg(test)]
mod tests {
    use super::super::decode;
    use super::*;
    use crate::op::SP;

    #[test]
    fn pushes_and_pops_of_one_register_are_transfers_by_the_stack_pointer() {
        let push = decode(0, 0xf84d, 0x8d04);
        assert_eq!((push.kind, push.d, push.n, push.imm, push.a), (Kind::Store(Width::Word), 8, SP, 4u32.wrapping_neg(), mode::BEFORE));
        let pop = decode(0, 0xf85d, 0xfb04);
        assert_eq!((pop.kind, pop.d, pop.n, pop.imm, pop.a), (Kind::Load(Width::Word), PC, SP, 4, mode::AFTER));
    }
}

//! What each instruction does, loads and stores apart.

use crate::Trap;
use crate::arithmetic::{add, extended, lanes, logical, shifted};
use crate::dsp::{self, Operands};
use crate::machine::{Machine, index};
use crate::op::{Alu, Kind, LR, Op, SP, Sets};

impl Machine {
    #[inline(always)]
    pub(crate) fn r(&self, register: u8) -> u32 {
        self.processor.r[index(register)]
    }

    #[inline(always)]
    pub(crate) fn set(&mut self, register: u8, value: u32) {
        self.processor.r[index(register)] = value;
    }

    #[inline(always)]
    pub(crate) fn execute(&mut self, op: &Op, in_it: bool) -> Result<(), Trap> {
        match op.kind {
            Kind::Imm(alu) => {
                let carry = if op.amount == 2 { self.processor.carry } else { op.amount == 1 };
                self.alu(alu, op, op.imm, carry, in_it);
            }
            Kind::Reg(alu) => {
                let (value, carry) = shifted(self.r(op.m), op.shift, op.amount.into(), self.processor.carry);
                self.alu(alu, op, value, carry, in_it);
            }
            Kind::ShiftReg(shift) => {
                let (value, carry) = shifted(self.r(op.n), shift, self.r(op.m) & 0xff, self.processor.carry);
                self.set(op.d, value);
                self.set_flags(op.sets, in_it, value, carry);
            }
            Kind::MoveWide => self.set(op.d, op.imm),
            Kind::MoveTop => self.set(op.d, self.r(op.d) & 0xffff | op.imm << 16),
            Kind::Load(width) => self.load(op, width)?,
            Kind::Store(width) => self.store(op, width)?,
            Kind::Branch if op.imm == self.processor.pc => return Err(Trap::Idle),
            Kind::Branch => self.next = op.imm,
            Kind::BranchIf => {
                if self.passes(op.a) {
                    self.next = op.imm;
                }
            }
            Kind::BranchLink => {
                self.set(LR, self.next | 1);
                self.next = op.imm;
            }
            Kind::CompareBranch => {
                if (self.r(op.n) == 0) == (op.amount == 1) {
                    self.next = op.imm;
                }
            }
            _ => return self.execute_rare(op, in_it),
        }
        Ok(())
    }

    fn execute_rare(&mut self, op: &Op, in_it: bool) -> Result<(), Trap> {
        match op.kind {
            Kind::MovePc => self.next = self.r(op.m) & !1,
            Kind::AddPc => self.next = self.processor.pc.wrapping_add(4).wrapping_add(self.r(op.m)) & !1,
            Kind::BranchExchange => self.branch_to(self.r(op.m))?,
            Kind::BranchLinkExchange => {
                let target = self.r(op.m);
                self.set(LR, self.next | 1);
                self.branch_to(target)?;
            }
            Kind::LoadDouble => self.load_double(op)?,
            Kind::StoreDouble => self.store_double(op)?,
            Kind::LoadIncrement | Kind::LoadDecrement => self.load_multiple(op)?,
            Kind::StoreIncrement | Kind::StoreDecrement => self.store_multiple(op)?,
            Kind::LoadExclusive(width) => self.load_exclusive(op, width)?,
            Kind::StoreExclusive(width) => self.store_exclusive(op, width)?,
            Kind::ClearExclusive => self.processor.exclusive = false,
            Kind::TableByte | Kind::TableHalf => self.table_branch(op)?,
            Kind::If => self.processor.it = op.imm as u8,
            Kind::Nop | Kind::Skipped | Kind::Landmark => {}
            Kind::Sleep => return Err(Trap::Sleep),
            Kind::Undefined => return Err(Trap::Undefined),
            Kind::Call => return Err(Trap::Call),
            Kind::Unknown => return Err(Trap::Unknown),
            Kind::FloatingPoint if self.memory.devices.floating_point_is_off() => return Err(Trap::Undefined),
            Kind::FloatingPoint => return Err(Trap::Unknown),
            Kind::ReadSpecial => self.read_special(op)?,
            Kind::WriteSpecial => self.write_special(op)?,
            Kind::LongUnsigned
            | Kind::LongUnsignedAdd
            | Kind::LongUnsignedAddAdd
            | Kind::LongSigned
            | Kind::LongSignedAdd
            | Kind::LongHalvesAdd
            | Kind::LongSumOfProducts
            | Kind::LongDifferenceOfProducts => self.multiply_long(op),
            _ => {
                let value = self.computed(op);
                self.set(op.d, value);
                self.set_flags(op.sets, in_it, value, self.processor.carry);
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn alu(&mut self, alu: Alu, op: &Op, b: u32, carry: bool, in_it: bool) {
        let a = self.r(op.n);
        if let Some(value) = logical(alu, a, b) {
            self.set(op.d, value);
            self.set_flags(op.sets, in_it, value, carry);
            return;
        }
        let (value, carry, overflow) = match alu {
            Alu::Add => add(a, b, false),
            Alu::Adc => add(a, b, self.processor.carry),
            Alu::Sbc => add(a, !b, self.processor.carry),
            Alu::Rsb => add(!a, b, true),
            _ => add(a, !b, true),
        };
        // The two lowest bits of the stack pointer are always clear.
        self.set(op.d, if op.d == SP { value & !3 } else { value });
        if self.set_flags(op.sets, in_it, value, carry) {
            self.processor.overflow = overflow;
        }
    }

    /// Tells whether the flags were set.
    #[inline(always)]
    fn set_flags(&mut self, sets: Sets, in_it: bool, value: u32, carry: bool) -> bool {
        let sets = sets == Sets::Always || (sets == Sets::OutsideIt && !in_it);
        if sets {
            self.processor.negative = value >> 31 == 1;
            self.processor.zero = value == 0;
            self.processor.carry = carry;
        }
        sets
    }

    /// A branch whose target says which state to be in; there is only one.
    #[inline(always)]
    pub(crate) fn branch_to(&mut self, target: u32) -> Result<(), Trap> {
        if target & 1 == 0 {
            return Err(Trap::State);
        }
        self.next = target & !1;
        Ok(())
    }

    /// What sets one register and no flag but those of its value.
    fn computed(&mut self, op: &Op) -> u32 {
        let (n, m, a) = (self.r(op.n), self.r(op.m), self.r(op.a));
        match op.kind {
            Kind::Multiply => n.wrapping_mul(m),
            Kind::MultiplyAdd => a.wrapping_add(n.wrapping_mul(m)),
            Kind::MultiplySubtract => a.wrapping_sub(n.wrapping_mul(m)),
            Kind::Dsp(dsp) => {
                let (value, overflow) = dsp::computed(dsp, op, Operands { n, m, a });
                self.processor.saturated |= overflow;
                value
            }
            Kind::DivideUnsigned => n.checked_div(m).unwrap_or(0),
            Kind::DivideSigned if m == 0 => 0,
            Kind::DivideSigned => n.cast_signed().wrapping_div(m.cast_signed()).cast_unsigned(),
            Kind::Extend(extension) => extended(n, m.rotate_right(op.amount.into()), extension),
            Kind::ReverseBytes => m.swap_bytes(),
            Kind::ReverseHalves => m.swap_bytes().rotate_right(16),
            Kind::ReverseSigned => ((m as u16).swap_bytes() as i16 as i32).cast_unsigned(),
            Kind::ReverseBits => m.reverse_bits(),
            Kind::LeadingZeros => m.leading_zeros(),
            Kind::FieldUnsigned => n >> op.amount & mask(op.imm),
            Kind::FieldSigned => {
                let unused = 32_u32.saturating_sub(op.imm).min(31);
                ((n >> op.amount << unused).cast_signed() >> unused).cast_unsigned()
            }
            Kind::FieldInsert => self.r(op.d) & !(mask(op.imm) << op.amount) | (n & mask(op.imm)) << op.amount,
            Kind::PackTop => shifted(m, op.shift, op.amount.into(), false).0 & !0xffff | n & 0xffff,
            Kind::PackBottom => n & !0xffff | shifted(m, op.shift, op.amount.into(), false).0 & 0xffff,
            Kind::Lanes(which, arithmetic) => {
                let (value, ge) = lanes(n, m, which, arithmetic);
                self.processor.ge = ge.unwrap_or(self.processor.ge);
                value
            }
            _ => self.selected(n, m),
        }
    }

    /// SEL: each byte from n where its GE bit is set, from m where not.
    fn selected(&self, n: u32, m: u32) -> u32 {
        let ge = u32::from(self.processor.ge);
        let chosen = (ge & 1 | (ge & 2) << 7 | (ge & 4) << 14 | (ge & 8) << 21) * 0xff;
        n & chosen | m & !chosen
    }

    fn multiply_long(&mut self, op: &Op) {
        let (n, m) = (self.r(op.n), self.r(op.m));
        let (low, high) = (self.r(op.d), self.r(op.a));
        let unsigned = u64::from(n) * u64::from(m);
        let signed = (i64::from(n.cast_signed()) * i64::from(m.cast_signed())).cast_unsigned();
        let both = u64::from(high) << 32 | u64::from(low);
        let value = match op.kind {
            Kind::LongUnsigned => unsigned,
            Kind::LongUnsignedAdd => unsigned.wrapping_add(both),
            Kind::LongUnsignedAddAdd => unsigned + u64::from(low) + u64::from(high),
            Kind::LongSigned => signed,
            Kind::LongHalvesAdd => both.wrapping_add_signed(dsp::half_product(op, n, m)),
            Kind::LongSumOfProducts => both.wrapping_add_signed(dsp::long_product(op, n, m, false)),
            Kind::LongDifferenceOfProducts => both.wrapping_add_signed(dsp::long_product(op, n, m, true)),
            _ => signed.wrapping_add(both),
        };
        self.set(op.d, value as u32);
        self.set(op.a, (value >> 32) as u32);
    }

    fn table_branch(&mut self, op: &Op) -> Result<(), Trap> {
        let (base, entry) = (self.r(op.n), self.r(op.m));
        let halfwords = match op.kind {
            Kind::TableByte => self.memory.byte(base.wrapping_add(entry))?,
            _ => self.memory.half(base.wrapping_add(entry << 1))?,
        };
        self.next = self.processor.pc.wrapping_add(4).wrapping_add(halfwords * 2);
        Ok(())
    }

    fn read_special(&mut self, op: &Op) -> Result<(), Trap> {
        let value = match op.imm {
            0..=3 => self.processor.flags() << 28 | u32::from(self.processor.saturated) << 27 | u32::from(self.processor.ge) << 16,
            5..=7 | 9 | 16..=20 => 0,
            8 => self.r(SP),
            _ => return Err(Trap::Unknown),
        };
        self.set(op.d, value);
        Ok(())
    }

    fn write_special(&mut self, op: &Op) -> Result<(), Trap> {
        let value = self.r(op.n);
        match op.imm {
            0..=3 => {
                if op.amount & 2 != 0 {
                    self.processor.negative = value >> 31 & 1 == 1;
                    self.processor.zero = value >> 30 & 1 == 1;
                    self.processor.carry = value >> 29 & 1 == 1;
                    self.processor.overflow = value >> 28 & 1 == 1;
                    self.processor.saturated = value >> 27 & 1 == 1;
                }
                if op.amount & 1 != 0 {
                    self.processor.ge = (value >> 16 & 0xf) as u8;
                }
            }
            8 => self.set(SP, value & !3),
            // No interrupt comes whatever the masks say.
            5..=7 | 16..=19 => {}
            _ => return Err(Trap::Unknown),
        }
        Ok(())
    }
}

const fn mask(width: u32) -> u32 {
    if width >= 32 { u32::MAX } else { (1 << width) - 1 }
}

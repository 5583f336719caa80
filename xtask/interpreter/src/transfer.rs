//! Loads and stores.

use crate::Trap;
use crate::machine::Machine;
use crate::op::{Kind, Op, PC, SP, Width, mode};

impl Machine {
    /// The address of a single transfer, and what the base becomes.
    #[inline(always)]
    fn address(&self, op: &Op) -> (u32, Option<u32>) {
        let base = self.r(op.n);
        match op.a {
            mode::INDEX => (base.wrapping_add(self.r(op.m) << op.amount), None),
            mode::BEFORE => (base.wrapping_add(op.imm), Some(base.wrapping_add(op.imm))),
            mode::AFTER => (base, Some(base.wrapping_add(op.imm))),
            _ => (base.wrapping_add(op.imm), None),
        }
    }

    #[inline(always)]
    fn write_back(&mut self, op: &Op, base: Option<u32>) {
        if let Some(base) = base {
            self.set(op.n, if op.n == SP { base & !3 } else { base });
        }
    }

    #[inline(always)]
    pub(crate) fn load(&mut self, op: &Op, width: Width) -> Result<(), Trap> {
        let (address, base) = self.address(op);
        let value = self.loaded(address, width)?;
        self.write_back(op, base);
        if op.d == PC {
            return self.branch_to(value);
        }
        self.set(op.d, value);
        Ok(())
    }

    #[inline(always)]
    fn loaded(&self, address: u32, width: Width) -> Result<u32, Trap> {
        Ok(match width {
            Width::Word => self.memory.word(address)?,
            Width::Byte => self.memory.byte(address)?,
            Width::Half => self.memory.half(address)?,
            Width::SignedByte => (self.memory.byte(address)? as i8 as i32).cast_unsigned(),
            Width::SignedHalf => (self.memory.half(address)? as i16 as i32).cast_unsigned(),
        })
    }

    #[inline(always)]
    pub(crate) fn store(&mut self, op: &Op, width: Width) -> Result<(), Trap> {
        let (address, base) = self.address(op);
        self.memory.store(address, self.r(op.d), bytes(width), self.count)?;
        self.write_back(op, base);
        Ok(())
    }

    /// The address of a double transfer; its mode stands in `m`.
    fn double_address(&self, op: &Op) -> Result<(u32, Option<u32>), Trap> {
        let base = self.r(op.n);
        let moved = base.wrapping_add(op.imm);
        let (address, base) = match op.m {
            mode::BEFORE => (moved, Some(moved)),
            mode::AFTER => (base, Some(moved)),
            _ => (moved, None),
        };
        aligned(address, 4)?;
        Ok((address, base))
    }

    pub(crate) fn load_double(&mut self, op: &Op) -> Result<(), Trap> {
        let (address, base) = self.double_address(op)?;
        let first = self.memory.word(address)?;
        let second = self.memory.word(address.wrapping_add(4))?;
        self.write_back(op, base);
        self.set(op.d, first);
        self.set(op.a, second);
        Ok(())
    }

    pub(crate) fn store_double(&mut self, op: &Op) -> Result<(), Trap> {
        let (address, base) = self.double_address(op)?;
        self.memory.store(address, self.r(op.d), 4, self.count)?;
        self.memory.store(address.wrapping_add(4), self.r(op.a), 4, self.count)?;
        self.write_back(op, base);
        Ok(())
    }

    /// The lowest address of a multiple transfer, and what the base becomes.
    fn multiple_address(&self, op: &Op) -> Result<(u32, u32), Trap> {
        let (base, size) = (self.r(op.n), op.imm.count_ones() * 4);
        let (start, moved) = match op.kind {
            Kind::LoadDecrement | Kind::StoreDecrement => (base.wrapping_sub(size), base.wrapping_sub(size)),
            _ => (base, base.wrapping_add(size)),
        };
        aligned(start, 4)?;
        Ok((start, moved))
    }

    pub(crate) fn load_multiple(&mut self, op: &Op) -> Result<(), Trap> {
        let (mut address, base) = self.multiple_address(op)?;
        let mut values = [0; 16];
        for register in registers(op.imm) {
            values[usize::from(register)] = self.memory.word(address)?;
            address = address.wrapping_add(4);
        }
        if op.amount == 1 {
            self.set(op.n, base);
        }
        for register in registers(op.imm).filter(|register| *register != PC) {
            self.set(register, values[usize::from(register)]);
        }
        if op.imm >> PC & 1 == 1 { self.branch_to(values[usize::from(PC)]) } else { Ok(()) }
    }

    pub(crate) fn store_multiple(&mut self, op: &Op) -> Result<(), Trap> {
        let (mut address, base) = self.multiple_address(op)?;
        for register in registers(op.imm) {
            self.memory.store(address, self.r(register), 4, self.count)?;
            address = address.wrapping_add(4);
        }
        if op.amount == 1 {
            self.set(op.n, base);
        }
        Ok(())
    }

    pub(crate) fn load_exclusive(&mut self, op: &Op, width: Width) -> Result<(), Trap> {
        let address = self.r(op.n).wrapping_add(op.imm);
        aligned(address, bytes(width))?;
        let value = self.loaded(address, width)?;
        self.processor.exclusive = true;
        self.set(op.d, value);
        Ok(())
    }

    pub(crate) fn store_exclusive(&mut self, op: &Op, width: Width) -> Result<(), Trap> {
        let address = self.r(op.n).wrapping_add(op.imm);
        aligned(address, bytes(width))?;
        let is_open = std::mem::take(&mut self.processor.exclusive);
        if is_open {
            self.memory.store(address, self.r(op.d), bytes(width), self.count)?;
        }
        self.set(op.a, u32::from(!is_open));
        Ok(())
    }
}

impl Machine {
    /// The address and the bytes of an instruction that loads or stores. A condition that does not hold makes no difference.
    pub(crate) fn access(&self, op: &Op) -> Option<(u32, u32)> {
        let base = self.r(op.n);
        match op.kind {
            Kind::Load(width) | Kind::Store(width) => Some((self.address(op).0, bytes(width))),
            Kind::LoadDouble | Kind::StoreDouble => Some((if op.m == mode::AFTER { base } else { base.wrapping_add(op.imm) }, 8)),
            Kind::LoadIncrement | Kind::StoreIncrement => Some((base, op.imm.count_ones() * 4)),
            Kind::LoadDecrement | Kind::StoreDecrement => Some((base.wrapping_sub(op.imm.count_ones() * 4), op.imm.count_ones() * 4)),
            Kind::LoadExclusive(width) | Kind::StoreExclusive(width) => Some((base.wrapping_add(op.imm), bytes(width))),
            Kind::TableByte => Some((base.wrapping_add(self.r(op.m)), 1)),
            Kind::TableHalf => Some((base.wrapping_add(self.r(op.m) << 1), 2)),
            _ => None,
        }
    }
}

const fn bytes(width: Width) -> u32 {
    match width {
        Width::Byte | Width::SignedByte => 1,
        Width::Half | Width::SignedHalf => 2,
        Width::Word => 4,
    }
}

fn aligned(address: u32, size: u32) -> Result<(), Trap> {
    if address.is_multiple_of(size) { Ok(()) } else { Err(Trap::Unaligned) }
}

/// The registers of a list, ascending.
fn registers(list: u32) -> impl Iterator<Item = u8> {
    (0..16).filter(move |register| list >> register & 1 == 1)
}

//! One decoded instruction.

/// Registers are r0..=r15; beyond them stand two that are none.
pub(crate) const SP: u8 = 13;
pub(crate) const LR: u8 = 14;
pub(crate) const PC: u8 = 15;
/// Reads as zero.
pub(crate) const ZERO: u8 = 16;
/// Takes what nobody wants: the result of a comparison.
pub(crate) const SINK: u8 = 17;

/// An instruction, decoded for the address that it stands at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Op {
    pub(crate) kind: Kind,
    /// Bytes: 2 or 4.
    pub(crate) size: u8,
    /// Destination, or what is transferred.
    pub(crate) d: u8,
    /// First operand, or base.
    pub(crate) n: u8,
    /// Second operand, or index.
    pub(crate) m: u8,
    /// Third operand, or second destination.
    pub(crate) a: u8,
    pub(crate) shift: Shift,
    pub(crate) amount: u8,
    pub(crate) sets: Sets,
    pub(crate) imm: u32,
}

impl Op {
    pub(crate) const fn new(kind: Kind, size: u8) -> Self {
        Self { kind, size, d: SINK, n: ZERO, m: ZERO, a: ZERO, shift: Shift::Lsl, amount: 0, sets: Sets::Never, imm: 0 }
    }

    pub(crate) const fn d(self, d: u8) -> Self {
        Self { d, ..self }
    }

    pub(crate) const fn n(self, n: u8) -> Self {
        Self { n, ..self }
    }

    pub(crate) const fn m(self, m: u8) -> Self {
        Self { m, ..self }
    }

    pub(crate) const fn a(self, a: u8) -> Self {
        Self { a, ..self }
    }

    pub(crate) const fn imm(self, imm: u32) -> Self {
        Self { imm, ..self }
    }

    pub(crate) const fn amount(self, amount: u8) -> Self {
        Self { amount, ..self }
    }

    pub(crate) const fn sets(self, sets: Sets) -> Self {
        Self { sets, ..self }
    }

    pub(crate) const fn shifted(self, shift: Shift, amount: u8) -> Self {
        Self { shift, amount, ..self }
    }
}

/// When an instruction sets the flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sets {
    Never,
    Always,
    /// The 16-bit encodings: not inside an IT block.
    OutsideIt,
}

/// How an operand is shifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shift {
    Lsl,
    Lsr,
    Asr,
    Ror,
    Rrx,
}

/// What an instruction does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// d = n OP imm; `amount` is the carry of the expanded constant: 0, 1, or 2 for the old one.
    Imm(Alu),
    /// d = n OP (m shifted).
    Reg(Alu),
    /// d = n shifted by the low byte of m.
    ShiftReg(Shift),
    /// pc = m, staying in Thumb: `mov pc, m`.
    MovePc,
    /// pc = pc + m.
    AddPc,
    /// d = imm: MOVW and ADR.
    MoveWide,
    /// The upper half of d = imm.
    MoveTop,
    Load(Width),
    Store(Width),
    LoadDouble,
    StoreDouble,
    /// Exclusive forms; the monitor is always open after a load.
    LoadExclusive(Width),
    StoreExclusive(Width),
    ClearExclusive,
    /// imm = register list, `amount` = 1 to write the base back. Ascending from the base.
    LoadIncrement,
    StoreIncrement,
    /// Descending below the base.
    LoadDecrement,
    StoreDecrement,
    /// Absolute target in imm; `a` = condition.
    Branch,
    BranchIf,
    BranchLink,
    /// To m, which says whether to stay in Thumb.
    BranchExchange,
    BranchLinkExchange,
    /// `amount`: 1 = branch when zero, 0 = when not.
    CompareBranch,
    TableByte,
    TableHalf,
    /// imm = first condition and mask.
    If,
    Nop,
    Sleep,
    Undefined,
    /// Supervisor call or breakpoint: leaves the program.
    Call,
    Multiply,
    MultiplyAdd,
    MultiplySubtract,
    LongUnsigned,
    LongUnsignedAdd,
    LongUnsignedAddAdd,
    LongSigned,
    LongSignedAdd,
    /// `amount` as in [`Dsp::Halves`].
    LongHalvesAdd,
    /// `amount` as in [`Dsp::SumOfProducts`].
    LongSumOfProducts,
    LongDifferenceOfProducts,
    DivideUnsigned,
    DivideSigned,
    /// d = n + m rotated by `amount` and extended.
    Extend(Extension),
    ReverseBytes,
    ReverseHalves,
    ReverseSigned,
    ReverseBits,
    LeadingZeros,
    /// Bit fields: `amount` = lowest bit, imm = width.
    FieldUnsigned,
    FieldSigned,
    FieldInsert,
    Dsp(Dsp),
    /// Four or two lanes; sets or saturates.
    Lanes(Lanes, Arithmetic),
    Select,
    /// PKHBT, PKHTB: one half of n, the other one of m shifted by `amount`.
    PackTop,
    PackBottom,
    /// From the special register imm.
    ReadSpecial,
    WriteSpecial,
    /// Any instruction of the floating-point unit, which is off after reset.
    FloatingPoint,
    /// An instruction of the architecture that this interpreter does not know.
    Unknown,
    /// An instruction that a fault skips at every execution.
    Skipped,
    /// None of the machine's: where runs are looked at.
    Landmark,
}

impl Kind {
    /// Whether it writes memory, of those that reach it.
    pub(crate) const fn stores(self) -> bool {
        matches!(self, Self::Store(_) | Self::StoreDouble | Self::StoreExclusive(_) | Self::StoreIncrement | Self::StoreDecrement)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alu {
    And,
    Bic,
    Orr,
    Orn,
    Eor,
    Add,
    Adc,
    Sbc,
    Sub,
    Rsb,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    Byte,
    Half,
    Word,
    SignedByte,
    SignedHalf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extension {
    SignedByte,
    UnsignedByte,
    SignedHalf,
    UnsignedHalf,
    SignedBytes,
    UnsignedBytes,
}

/// Saturations, and of the DSP extension what writes d and may set Q.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dsp {
    /// n shifted by `amount` where it fits imm bits, else the nearest number: of all 32 bits, or of either half alone.
    SaturateSigned,
    SaturateUnsigned,
    SaturateHalvesSigned,
    SaturateHalvesUnsigned,
    /// m plus or minus n or its double, or the nearest number.
    Add,
    Sub,
    AddDouble,
    SubDouble,
    /// The product of two halves, plus a; `amount` bit 1: upper half of n, bit 0: upper half of m.
    Halves,
    /// The upper 32 of the 48 bits of n times a half of m, plus a; `amount`: the upper half.
    WordAndHalf,
    /// Of the lower and of the upper halves, plus a; `amount`: those of m are exchanged.
    SumOfProducts,
    DifferenceOfProducts,
    /// The upper half of a and zeros, plus or minus n times m; `amount`: rounded.
    TopAdd,
    TopSub,
    /// Of four bytes, plus a.
    AbsoluteDifferences,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lanes {
    AddBytes,
    SubBytes,
    AddHalves,
    SubHalves,
    /// The halves of m are exchanged; the sum is the upper one, or the lower one.
    SubAddExchanged,
    AddSubExchanged,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Signed,
    Unsigned,
    SignedSaturating,
    UnsignedSaturating,
    SignedHalving,
    UnsignedHalving,
}

/// How the address of a transfer comes about: stands in `a` of single transfers, in `m` of double ones.
pub(crate) mod mode {
    /// n + imm.
    pub(crate) const OFFSET: u8 = 0;
    /// n + imm, which the base becomes.
    pub(crate) const BEFORE: u8 = 1;
    /// n; the base becomes n + imm.
    pub(crate) const AFTER: u8 = 2;
    /// n + (m << amount).
    pub(crate) const INDEX: u8 = 3;
}

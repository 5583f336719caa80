//! What a Linux kernel image says about itself. Sources: the kernel's `Documentation/arch/arm64/booting.rst` and
//! `Documentation/arch/riscv/boot-image-header.rst`.

use crate::rejection::Rejection;

/// How many bytes of a kernel these functions look at.
pub const HEAD: usize = 64;

/// The machine a kernel is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// arm64 `Image`.
    Aarch64,
    /// RISC-V `Image`.
    Riscv64,
}

/// What a kernel's own header claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The machine.
    pub architecture: Architecture,
    /// Bytes from a 2 MiB boundary to where the kernel wants to lie.
    pub text_offset: u64,
    /// Bytes that it occupies once placed, BSS included.
    pub memory: u64,
}

/// Reads a kernel's header.
///
/// # Errors
/// [`Rejection::WrongKernel`] when it has neither magic, or claims no size (kernels before 3.17).
pub fn claim(head: &[u8; HEAD]) -> Result<Claim, Rejection> {
    let text_offset = u64_at(head, 8);
    let memory = u64_at(head, 16);
    let architecture = if u32_at(head, 56) == u32::from_le_bytes(*b"ARM\x64") {
        Architecture::Aarch64
    } else if u32_at(head, 56) == u32::from_le_bytes(*b"RSC\x05") {
        Architecture::Riscv64
    } else {
        return Err(Rejection::WrongKernel);
    };
    if memory == 0 {
        return Err(Rejection::WrongKernel);
    }
    Ok(Claim { architecture, text_offset, memory })
}

fn u64_at(head: &[u8; HEAD], at: usize) -> u64 {
    head.get(at..).and_then(|rest| rest.first_chunk::<8>()).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

fn u32_at(head: &[u8; HEAD], at: usize) -> u32 {
    head.get(at..).and_then(|rest| rest.first_chunk::<4>()).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

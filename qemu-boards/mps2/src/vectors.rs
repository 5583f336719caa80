//! The interrupt part of the vector table: the boards use no interrupt, so it holds one empty entry instead of hundreds.

/// What cortex-m-rt's linker script puts behind the exceptions.
#[expect(unsafe_code, reason = "the linker script finds the table by section and name")]
// SAFETY: no other symbol of this name exists (cortex-m-rt's `device` feature leaves it to us), and a zero entry is never used: no interrupt is
// enabled.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
static __INTERRUPTS: [u32; 1] = [0];

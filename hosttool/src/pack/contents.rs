//! What the loader checks of a part's own bytes, checked before they are packed: kernel headers and command lines.

use twinslot_bootloader::{
    image::{
        command_line,
        kernel::{self, Claim},
        manifest::Kind,
    },
    rejection::Rejection,
};

use super::{PartSpec, StreamedPart};

/// Checks every part's own bytes; gives the memory that each occupies once placed.
///
/// # Errors
/// The rule of the loader that a part breaks.
pub(crate) fn check_parts(specs: &[PartSpec], parts: &[StreamedPart]) -> Result<Vec<u64>, Rejection> {
    let root_hash = specs.iter().find_map(|spec| spec.root_hash);
    specs
        .iter()
        .zip(parts)
        .map(|(spec, part)| {
            if spec.kind == Kind::CommandLine {
                command_line::check(&part.head, root_hash.as_ref())?;
            }
            memory_of(spec, part)
        })
        .collect()
}

/// What the argument says, else what a kernel's own header claims, else the part's length.
fn memory_of(spec: &PartSpec, part: &StreamedPart) -> Result<u64, Rejection> {
    let claimed = if spec.kind == Kind::Kernel { kernel_claim(part)?.memory } else { 0 };
    match spec.mem {
        Some(mem) if mem < claimed => Err(Rejection::KernelClaimsMore),
        Some(mem) => Ok(mem),
        None => Ok(claimed.max(part.len)),
    }
}

fn kernel_claim(part: &StreamedPart) -> Result<Claim, Rejection> {
    kernel::claim(part.head.first_chunk().ok_or(Rejection::WrongKernel)?)
}

//! The tree for Linux: the given one in as few bytes as it needs, with the loader's own properties of `/chosen`.
//!
//! Guarantee: whatever the given one says in `/chosen`, Linux learns command line, initrd, seeds and hand-off from the loader alone, and nothing else
//! there than what [`STAYS`].
//!
//! QEMU pads its tree to 1 MiB, so it is copied block by block; the properties are written where they belong while the structure passes.

use heapless::Vec;
use twinslot_bootloader::load::Span;

use super::blocks::{
    Blocks, CHOSEN, HEADER, PROPERTY, RESERVATIONS_OFFSET, STRINGS_OFFSET, STRINGS_SIZE, STRUCTURE_OFFSET, STRUCTURE_SIZE, TOTAL_SIZE, Token, Walk,
};
use super::{MachineTree, TreeError, Value};

/// The names of all properties that the loader writes, with a NUL each.
const NAMES_SIZE: usize = 1024;

/// Room for all that the loader adds to a tree, whatever it has to say: its properties with their names, the longest command line, the machine's seeds
/// and what is kept.
pub const OURS: usize = 8192;

/// Bytes of an entry in the block of reservations.
const RESERVATION: usize = 2 * size_of::<u64>();

/// Judges a signed tree, on any machine and in any boot: what is accepted here becomes a tree for Linux in `room` bytes, as long as the machine's own
/// seeds do not take more than [`OURS`] leaves to them.
///
/// # Errors
/// It is damaged, lacks `/chosen`, or leaves less than [`OURS`] of the room. What goes from its `/chosen` counts as if it stayed.
pub fn judge(signed: &[u8], room: usize) -> Result<(), TreeError> {
    let (source, _) = source(signed)?;
    let mut reservations = RESERVATION;
    source.each_reservation(|taken| {
        reservations += if taken.len == 0 { 0 } else { RESERVATION };
        Ok(())
    })?;
    let taken = HEADER + reservations + source.structure.len() + source.strings.len() + OURS;
    if taken > room { Err(TreeError::TooLarge) } else { Ok(()) }
}

/// The blocks of a tree, and the place of the first property of its `/chosen`.
fn source(bytes: &[u8]) -> Result<(Blocks<'_>, Walk<'_>), TreeError> {
    let source = Blocks::read(bytes)?;
    let mut rest = source.walk();
    if rest.enter(CHOSEN)? { Ok((source, rest)) } else { Err(TreeError::NoChosen) }
}

/// Properties of the source's `/chosen` that stay. Linux writes to the device that the first names, and reads addresses of nodes below `/chosen` (a
/// framebuffer) by the others. All else goes, known or not: there Linux is told of command line, initrd, UEFI's tables, a limit of its memory, a
/// crashed kernel, what an earlier kernel has left, and whether it may configure PCI devices. Sources: dt-schema, `chosen.yaml`; Linux,
/// `drivers/of/fdt.c`, `drivers/of/kexec.c` and `drivers/firmware/efi/fdtparams.c`.
const STAYS: [&[u8]; 4] = [b"stdout-path", b"#address-cells", b"#size-cells", b"ranges"];

/// Where Linux finds randomness that firmware has made for this start.
const SEEDS: [&str; 2] = ["kaslr-seed", "rng-seed"];

/// The tree for Linux, under construction in a buffer.
pub struct LinuxTree<'a> {
    source: Blocks<'a>,
    /// What was not copied yet: from the first property of `/chosen` on.
    rest: Walk<'a>,
    writer: Writer<'a>,
    structure_at: usize,
    names: Vec<u8, NAMES_SIZE>,
}

impl<'a> LinuxTree<'a> {
    /// A copy of `source` in `target`, with all of `kept` reserved: Linux uses what is in there for nothing.
    ///
    /// # Errors
    /// The source is damaged, lacks `/chosen`, or does not fit.
    pub fn begin<'k>(source: &'a [u8], kept: impl IntoIterator<Item = &'k Span>, target: &'a mut [u8]) -> Result<Self, TreeError> {
        let (source, rest) = self::source(source)?;
        let mut writer = Writer { target, at: 0 };
        writer.put(source.bytes.get(..HEADER).ok_or(TreeError::Malformed)?)?;
        source.each_reservation(|taken| writer.reservation(taken))?;
        kept.into_iter().try_for_each(|taken| writer.reservation(*taken))?;
        writer.put(&[0; RESERVATION])?;
        let structure_at = writer.put(source.structure.get(..rest.at).ok_or(TreeError::Malformed)?)?;
        Ok(Self { source, rest, writer, structure_at, names: Vec::new() })
    }

    /// Sets a property of `/chosen`; each name once, and none of those that stay. The source's property of that name does not come through.
    ///
    /// # Errors
    /// The buffer is full.
    #[inline(never)]
    pub fn choose(&mut self, name: &str, value: Value<'_>) -> Result<(), TreeError> {
        debug_assert!(!stays(name.as_bytes()), "{name} would stand beside one of that name");
        let place = self.source.strings.len() + self.names.len();
        self.names.extend_from_slice(name.as_bytes()).map_err(|_| TreeError::TooLarge)?;
        self.names.push(0).map_err(|_| TreeError::TooLarge)?;
        self.writer.number(PROPERTY as usize)?;
        self.writer.number(value.len())?;
        self.writer.number(place)?;
        match value {
            Value::Text(text) => self.writer.put(text.as_bytes()).and_then(|_| self.writer.put(&[0]))?,
            Value::Bytes(bytes) => self.writer.put(bytes)?,
            Value::Number(number) => self.writer.put(&number.to_be_bytes())?,
            Value::Wide(number) => self.writer.put(&number.to_be_bytes())?,
        };
        self.writer.align()
    }

    /// Sets the seeds that the machine's own firmware has made. Those of a signed tree would be the same on every host and in every boot.
    ///
    /// # Errors
    /// The buffer is full.
    pub fn seed_from(&mut self, machine: &MachineTree<'_>) -> Result<(), TreeError> {
        let mut walk = machine.blocks.walk();
        if !walk.enter(CHOSEN)? {
            return Ok(());
        }
        while let Token::Property(name, value) = walk.next()? {
            if let Some(seed) = SEEDS.into_iter().find(|seed| seed.as_bytes() == name) {
                self.choose(seed, Value::Bytes(value))?;
            }
        }
        Ok(())
    }

    /// Ends the edits; gives the finished tree's size in bytes. Of the source's `/chosen` no more is left than its nodes and the properties that stay.
    ///
    /// # Errors
    /// The buffer is full.
    pub fn finish(mut self) -> Result<usize, TreeError> {
        loop {
            let start = self.rest.at;
            let end = match self.rest.next()? {
                Token::Property(name, _) if !stays(name) => continue,
                Token::Property(..) => self.rest.at,
                _ => self.source.structure.len(),
            };
            self.writer.put(self.source.structure.get(start..end).ok_or(TreeError::Malformed)?)?;
            if end == self.source.structure.len() {
                break;
            }
        }
        let strings_at = self.writer.put(self.source.strings)?;
        self.writer.put(&self.names)?;
        self.finish_header(strings_at)
    }

    fn finish_header(mut self, strings_at: usize) -> Result<usize, TreeError> {
        let total = self.writer.at;
        let words = [
            (TOTAL_SIZE, total),
            (STRUCTURE_OFFSET, self.structure_at),
            (STRINGS_OFFSET, strings_at),
            (RESERVATIONS_OFFSET, HEADER),
            (STRINGS_SIZE, total - strings_at),
            (STRUCTURE_SIZE, strings_at - self.structure_at),
        ];
        for (number, value) in words {
            self.writer.at = number * size_of::<u32>();
            self.writer.number(value)?;
        }
        Ok(total)
    }
}

/// Whether a property of the source's `/chosen` stays.
fn stays(name: &[u8]) -> bool {
    STAYS.contains(&name)
}

struct Writer<'a> {
    target: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    /// Appends bytes and tells where they begin.
    #[inline(never)]
    fn put(&mut self, bytes: &[u8]) -> Result<usize, TreeError> {
        let start = self.at;
        let end = start.checked_add(bytes.len()).ok_or(TreeError::TooLarge)?;
        self.target.get_mut(start..end).ok_or(TreeError::TooLarge)?.copy_from_slice(bytes);
        self.at = end;
        Ok(start)
    }

    fn number(&mut self, value: usize) -> Result<(), TreeError> {
        let value = u32::try_from(value).map_err(|_| TreeError::TooLarge)?;
        self.put(&value.to_be_bytes()).map(|_| ())
    }

    /// Appends an entry, unless it has no length: Linux reads no further than the first such one. Source: Linux, `drivers/of/fdt.c`,
    /// `early_init_fdt_scan_reserved_mem`.
    fn reservation(&mut self, taken: Span) -> Result<(), TreeError> {
        if taken.len == 0 {
            return Ok(());
        }
        self.put(&taken.start.to_be_bytes())?;
        self.put(&taken.len.to_be_bytes()).map(|_| ())
    }

    /// Every token begins at a multiple of four.
    fn align(&mut self) -> Result<(), TreeError> {
        let missing = self.at.next_multiple_of(4) - self.at;
        self.put([0; 3].get(..missing).unwrap_or_default()).map(|_| ())
    }
}

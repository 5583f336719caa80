//! The blocks of a flattened tree, and its tokens one after the other.
//!
//! Guarantee: whatever the bytes are, a walk ends, and reads nothing outside its block. A tree that [`Blocks::read`] has given was walked once from
//! its first token to its last, and has one node at most that anybody may take for `/chosen`, and one for `/reserved-memory`.
//!
//! Source of the layout: Devicetree Specification, release 0.4, chapter 5.

use twinslot_bootloader::load::Span;

use super::TreeError;

const MAGIC: u32 = 0xd00d_feed;

/// Bytes of the header.
pub(super) const HEADER: usize = 40;

/// Words of the header, by their number.
pub(super) const TOTAL_SIZE: usize = 1;
pub(super) const STRUCTURE_OFFSET: usize = 2;
pub(super) const STRINGS_OFFSET: usize = 3;
pub(super) const RESERVATIONS_OFFSET: usize = 4;
const VERSION: usize = 5;
const LAST_COMPATIBLE_VERSION: usize = 6;
pub(super) const STRINGS_SIZE: usize = 8;
pub(super) const STRUCTURE_SIZE: usize = 9;

/// The version whose header has all of these words. Trees of later versions say whether they can be read as this one.
const READ_VERSION: u32 = 17;

const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
/// Begins a property.
pub(super) const PROPERTY: u32 = 3;
const NOTHING: u32 = 4;
const END: u32 = 9;

/// The node that says how to start.
pub(super) const CHOSEN: &[u8] = b"chosen";
/// The node of memory that is taken.
pub(super) const RESERVED_MEMORY: &[u8] = b"reserved-memory";

/// The depth of both: the root is 1.
pub(super) const DEPTH_BELOW_ROOT: usize = 2;

/// Bytes of a token, and what all of them are aligned to.
const WORD: usize = 4;

/// A tree, by its blocks.
#[derive(Clone, Copy)]
pub(super) struct Blocks<'a> {
    /// All of it, as long as its header says.
    pub(super) bytes: &'a [u8],
    pub(super) structure: &'a [u8],
    pub(super) strings: &'a [u8],
    reservations: &'a [u8],
}

impl<'a> Blocks<'a> {
    /// The tree at the front of `bytes`, checked as a whole.
    #[inline(never)]
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, TreeError> {
        let total = claimed_size(bytes).ok_or(TreeError::Absent)?;
        let bytes = bytes.get(..total).ok_or(TreeError::TooLarge)?;
        if number(bytes, VERSION)? < READ_VERSION as usize || number(bytes, LAST_COMPATIBLE_VERSION)? > READ_VERSION as usize {
            return Err(TreeError::Malformed);
        }
        let structure = block(bytes, number(bytes, STRUCTURE_OFFSET)?, number(bytes, STRUCTURE_SIZE)?)?;
        let strings = block(bytes, number(bytes, STRINGS_OFFSET)?, number(bytes, STRINGS_SIZE)?)?;
        let reservations = bytes.get(number(bytes, RESERVATIONS_OFFSET)?..).ok_or(TreeError::Malformed)?;
        let blocks = Self { bytes, structure, strings, reservations };
        blocks.each_reservation(|_| Ok(()))?;
        blocks.check_names()?;
        Ok(blocks)
    }

    /// Walks through all of it. libfdt, and Linux with it, finds a node by its name up to the unit address, and takes the first: a tree in which
    /// another reader may find another node is refused. Source: libfdt, `fdt_nodename_eq_`.
    fn check_names(&self) -> Result<(), TreeError> {
        let mut walk = self.walk();
        let (mut chosen, mut reserved) = (false, false);
        loop {
            match walk.next()? {
                Token::Begin(name) if walk.depth == DEPTH_BELOW_ROOT => {
                    check_name(name, CHOSEN, &mut chosen)?;
                    check_name(name, RESERVED_MEMORY, &mut reserved)?;
                }
                Token::Over => return Ok(()),
                _ => {}
            }
        }
    }

    /// From the first token on.
    pub(super) const fn walk(&self) -> Walk<'a> {
        Walk { structure: self.structure, strings: self.strings, at: 0, depth: 0, before: Before::Anything }
    }

    /// Gives every entry of the block of reservations, which ends with two zeros: also those without a length, where Linux stops reading.
    pub(super) fn each_reservation(&self, mut give: impl FnMut(Span) -> Result<(), TreeError>) -> Result<(), TreeError> {
        for pair in 0.. {
            let (start, len) = (wide(self.reservations, 2 * pair)?, wide(self.reservations, 2 * pair + 1)?);
            if (start, len) == (0, 0) {
                break;
            }
            give(Span { start, len })?;
        }
        Ok(())
    }
}

/// Refuses a name that is `wanted` with a unit address behind it, and a second one that is `wanted`.
fn check_name(name: &[u8], wanted: &[u8], is_found: &mut bool) -> Result<(), TreeError> {
    match name.strip_prefix(wanted) {
        Some([]) if !core::mem::replace(is_found, true) => Ok(()),
        Some([] | [b'@', ..]) => Err(TreeError::Ambiguous),
        _ => Ok(()),
    }
}

/// The size that a header claims; `None` without a header.
pub(super) fn claimed_size(bytes: &[u8]) -> Option<usize> {
    let magic = word(bytes, 0)?;
    word(bytes, TOTAL_SIZE).filter(|_| magic == MAGIC).and_then(|size| usize::try_from(size).ok())
}

fn block(bytes: &[u8], start: usize, len: usize) -> Result<&[u8], TreeError> {
    let end = start.checked_add(len).ok_or(TreeError::Malformed)?;
    bytes.get(start..end).ok_or(TreeError::Malformed)
}

/// The big-endian word of a number.
#[inline(never)]
pub(super) fn word(bytes: &[u8], number: usize) -> Option<u32> {
    bytes.as_chunks::<WORD>().0.get(number).map(|word| u32::from_be_bytes(*word))
}

fn number(bytes: &[u8], at: usize) -> Result<usize, TreeError> {
    word(bytes, at).map(|value| value as usize).ok_or(TreeError::Malformed)
}

/// Two words as one number, by the number of the pair.
fn wide(bytes: &[u8], pair: usize) -> Result<u64, TreeError> {
    let half = |at| word(bytes, at).map(u64::from).ok_or(TreeError::Malformed);
    Ok(half(2 * pair)? << 32 | half(2 * pair + 1)?)
}

/// The text in front of the first NUL.
pub(super) fn text(bytes: &[u8]) -> Result<&[u8], TreeError> {
    let end = bytes.iter().position(|byte| *byte == 0).ok_or(TreeError::Malformed)?;
    bytes.get(..end).ok_or(TreeError::Malformed)
}

/// One step through a tree.
pub(super) enum Token<'a> {
    /// A node begins.
    Begin(&'a [u8]),
    /// A property of the node that began last and has not ended.
    Property(&'a [u8], &'a [u8]),
    /// A node ends.
    End,
    /// The tree ends.
    Over,
}

/// A place in a tree.
pub(super) struct Walk<'a> {
    structure: &'a [u8],
    strings: &'a [u8],
    /// Bytes of the structure that lie behind it.
    pub(super) at: usize,
    /// Nodes that have begun and not ended.
    pub(super) depth: usize,
    before: Before,
}

/// What the last token allows to come next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Nothing came yet, or a node has begun.
    Anything,
    /// A node has ended: the properties of its parent stand before its nodes.
    NoProperty,
}

impl<'a> Walk<'a> {
    /// The next token.
    #[inline(never)]
    pub(super) fn next(&mut self) -> Result<Token<'a>, TreeError> {
        loop {
            let token = match self.word()? {
                BEGIN_NODE => self.begin()?,
                PROPERTY if self.depth > 0 && self.before == Before::Anything => self.property()?,
                END_NODE => {
                    self.depth = self.depth.checked_sub(1).ok_or(TreeError::Malformed)?;
                    self.before = Before::NoProperty;
                    Token::End
                }
                END if self.depth == 0 && self.before == Before::NoProperty => Token::Over,
                NOTHING => continue,
                _ => return Err(TreeError::Malformed),
            };
            return Ok(token);
        }
    }

    /// Goes to the first property of the node right below the root that has this name, and tells whether there is one.
    pub(super) fn enter(&mut self, wanted: &[u8]) -> Result<bool, TreeError> {
        loop {
            match self.next()? {
                Token::Begin(name) if self.depth == DEPTH_BELOW_ROOT && name == wanted => return Ok(true),
                Token::Over => return Ok(false),
                _ => {}
            }
        }
    }

    /// Nothing stands beside the root, whose name is empty.
    fn begin(&mut self) -> Result<Token<'a>, TreeError> {
        let name = text(self.structure.get(self.at..).ok_or(TreeError::Malformed)?)?;
        self.skip(name.len() + 1);
        if self.depth == 0 && (self.before == Before::NoProperty || !name.is_empty()) {
            return Err(TreeError::Malformed);
        }
        self.depth += 1;
        self.before = Before::Anything;
        Ok(Token::Begin(name))
    }

    fn property(&mut self) -> Result<Token<'a>, TreeError> {
        let (len, name) = (self.word()? as usize, self.word()? as usize);
        let value = block(self.structure, self.at, len)?;
        self.skip(len);
        let name = text(self.strings.get(name..).ok_or(TreeError::Malformed)?)?;
        Ok(Token::Property(name, value))
    }

    fn word(&mut self) -> Result<u32, TreeError> {
        let word = word(self.structure, self.at / WORD).ok_or(TreeError::Malformed)?;
        self.at += WORD;
        Ok(word)
    }

    /// What is skipped lies within the structure, so that this can not overflow.
    const fn skip(&mut self, len: usize) {
        self.at += len.next_multiple_of(WORD);
    }
}

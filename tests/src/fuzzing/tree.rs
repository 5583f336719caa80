//! Any bytes as the device tree of a machine that boots Linux.

use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::{Node as _, Property as _};
use linux_shell::device_tree::{LinuxTree, MachineTree, Ranges, TreeError, Value};
use twinslot_bootloader::load::Span;

/// What the loader reserves.
const KEPT: Span = Span { start: 0x4012_0000, len: 0x1000 };

/// What it says to Linux.
const CHOICES: [(&str, &[u8]); 2] = [("bootargs", b"the signed line\0"), ("twinslot,slot", b"a\0")];

/// Room for the tree for Linux: less than the largest inputs need.
const ROOM: usize = 6144;

/// A property: the path of its node, its name and its value.
type Entry = (String, String, Vec<u8>);

/// A tree whose header begins right. What is read of it is what another library reads. The tree for Linux of it is one as well, keeps everything but
/// what the loader says itself, and says that once.
///
/// # Panics
/// When a property does not hold.
pub fn tree(data: &[u8]) {
    let bytes = headed(data);
    let Ok(machine) = MachineTree::read(&bytes) else {
        assert!(LinuxTree::begin(&bytes, &[], &mut [0; ROOM]).is_err(), "a damaged tree is none to edit");
        return;
    };
    let theirs = Fdt::new(machine.bytes()).ok();
    if let Some(theirs) = theirs {
        assert_same(machine.memory(), memory(theirs));
        assert_same(machine.reserved(), reserved(theirs));
    }
    let mut room = [0; ROOM];
    match for_linux(&bytes, &mut room) {
        Ok(size) => {
            let again = MachineTree::read(&room[..size]).expect("what the loader writes it can read");
            assert_eq!((again.bytes().len(), again.memory()), (size, machine.memory()));
            if let Some(theirs) = theirs {
                assert_edited(theirs, Fdt::new(again.bytes()).expect("what the loader writes others can read"));
            }
        }
        Err(error) => assert!(matches!(error, TreeError::NoChosen | TreeError::TooLarge), "{error}"),
    }
}

/// The bytes with the magic, their own length and the version in front, so that mutations reach what lies behind them.
fn headed(data: &[u8]) -> Vec<u8> {
    let mut bytes = data.to_vec();
    if let Some(header) = bytes.get_mut(..28) {
        header[..4].copy_from_slice(&0xd00d_feed_u32.to_be_bytes());
        header[4..8].copy_from_slice(&(data.len() as u32).to_be_bytes());
        header[20..24].copy_from_slice(&17_u32.to_be_bytes());
        header[24..28].copy_from_slice(&16_u32.to_be_bytes());
    }
    bytes
}

fn for_linux(source: &[u8], room: &mut [u8]) -> Result<usize, TreeError> {
    let mut tree = LinuxTree::begin(source, &[KEPT], room)?;
    CHOICES.iter().try_for_each(|(name, value)| tree.choose(name, Value::Bytes(value)))?;
    tree.finish()
}

/// Ranges are equal where both libraries have some.
fn assert_same(ours: Result<Ranges, TreeError>, theirs: Option<Vec<Span>>) {
    if let (Ok(ours), Some(theirs)) = (ours, theirs) {
        assert_eq!(ours.as_slice(), theirs);
    }
}

fn memory(tree: Fdt<'_>) -> Option<Vec<Span>> {
    let root = tree.root();
    let nodes = root.children().filter(|node| node.name_without_address() == "memory");
    registers(nodes)
}

fn reserved(tree: Fdt<'_>) -> Option<Vec<Span>> {
    let taken = tree.memory_reservations().map(|taken| Span { start: taken.address(), len: taken.size() });
    let root = tree.root();
    let parents = root.children().filter(|node| node.name() == "reserved-memory");
    let mut spans: Vec<Span> = taken.filter(|span| span.len != 0).collect();
    for parent in parents {
        spans.extend(registers(parent.children())?);
    }
    Some(spans)
}

/// The ranges of nodes; `None` where the library does not understand one.
fn registers<'a>(nodes: impl Iterator<Item = FdtNode<'a>>) -> Option<Vec<Span>> {
    let mut spans = Vec::new();
    for node in nodes {
        let Some(registers) = node.reg().ok()? else { continue };
        for register in registers {
            spans.push(Span { start: register.address().ok()?, len: register.size().ok()? });
        }
    }
    spans.retain(|span| span.len != 0);
    Some(spans)
}

/// The edited tree has the properties of the source in their order, with the loader's own in front of the rest of `/chosen`, and one range more.
fn assert_edited(source: Fdt<'_>, edited: Fdt<'_>) {
    let mut ranges: Vec<_> = source.memory_reservations().map(|taken| (taken.address(), taken.size())).collect();
    ranges.push((KEPT.start, KEPT.len));
    let edited_ranges: Vec<_> = edited.memory_reservations().map(|taken| (taken.address(), taken.size())).collect();
    assert_eq!(edited_ranges, ranges);
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let first_chosen = |root: FdtNode<'_>| root.children().position(|node| node.name() == "chosen").expect("a tree for Linux has /chosen");
    entries(source.root(), "", &mut before);
    entries(edited.root(), "", &mut after);
    let chosen = format!("/{}:chosen", first_chosen(source.root()));
    let is_the_loaders =
        |(path, name, _): &Entry| *path == chosen && (name == "bootargs" || name.starts_with("linux,initrd-") || name.starts_with("twinslot,"));
    let said: Vec<Entry> = after.iter().filter(|entry| is_the_loaders(entry)).cloned().collect();
    let expected: Vec<Entry> = CHOICES.iter().map(|(name, value)| (chosen.clone(), (*name).to_owned(), value.to_vec())).collect();
    assert_eq!(said, expected);
    before.retain(|entry| !is_the_loaders(entry));
    after.retain(|entry| !is_the_loaders(entry));
    assert_eq!(after, before);
}

/// Every property below a node. Names may repeat, so that a path has the number of each node in it.
fn entries(node: FdtNode<'_>, path: &str, found: &mut Vec<Entry>) {
    found.extend(node.properties().map(|property| (path.to_owned(), property.name().to_owned(), property.value().to_vec())));
    for (number, child) in node.children().enumerate() {
        entries(child, &format!("{path}/{number}:{}", child.name()), found);
    }
}

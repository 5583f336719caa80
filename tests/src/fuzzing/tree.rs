//! Any bytes as the device tree of a machine that boots Linux.

use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::{Node as _, Property as _};
use linux_shell::device_tree::{LinuxTree, MachineTree, TreeError, Value, judge};
use twinslot_bootloader::load::Span;

/// What the loader reserves.
const KEPT: Span = Span { start: 0x4012_0000, len: 0x1000 };

/// What it says to Linux.
const CHOICES: [(&str, &[u8]); 2] = [("bootargs", b"the signed line\0"), ("twinslot,slot", b"a\0")];

/// What stays of the source's `/chosen`.
const STAYS: [&str; 4] = ["stdout-path", "#address-cells", "#size-cells", "ranges"];

/// What the loader says again, as the machine says it.
const SEEDS: [&str; 2] = ["kaslr-seed", "rng-seed"];

/// The two nodes that Linux looks up by name below the root.
const LOOKED_UP: [&str; 2] = ["chosen", "reserved-memory"];

/// Room for the tree for Linux: less than the largest inputs need.
const ROOM: usize = 6144;

/// A property: the path of its node, its name and its value.
type Entry = (String, String, Vec<u8>);

/// A tree whose header begins right. What is read of it is what another library reads. The tree for Linux of it is one as well: outside of `/chosen`
/// it is the same, and there it has what the loader says, once, and what stays. What can not be edited is judged so before.
///
/// # Panics
/// When a property does not hold.
pub fn tree(data: &[u8]) {
    let bytes = headed(data);
    let machine = match MachineTree::read(&bytes) {
        Ok(machine) => machine,
        Err(error) => {
            assert_eq!(LinuxTree::begin(&bytes, &[], &mut [0; ROOM]).err(), Some(error), "a tree that can not be read is none to edit");
            assert_eq!(judge(&bytes, usize::MAX), Err(error), "it is judged as it is read");
            return;
        }
    };
    let theirs = Fdt::new(machine.bytes()).ok();
    if let Some(theirs) = theirs {
        for name in LOOKED_UP {
            let children = theirs.root().children().map(|node| node.name().to_owned()).collect::<Vec<String>>();
            let candidates: Vec<&String> = children.iter().filter(|found| is_found_as(found, name)).collect();
            assert!(candidates.is_empty() || candidates == [name], "{candidates:?} may be taken for {name}");
        }
        if let Ok(ours) = machine.memory() {
            assert_eq!(Some(ours.to_vec()), memory(theirs));
        }
        if let (Ok(ours), Some(theirs)) = (machine.reserved(), reserved(theirs)) {
            assert_eq!(ours.as_slice(), theirs);
        }
    }
    let mut room = [0; ROOM];
    let made = for_linux(&machine, &mut room);
    assert_eq!(judge(&bytes, usize::MAX).err(), made.err().filter(|error| *error != TreeError::TooLarge), "in room without end");
    match made {
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

fn for_linux(machine: &MachineTree<'_>, room: &mut [u8]) -> Result<usize, TreeError> {
    let mut tree = LinuxTree::begin(machine.bytes(), &[KEPT], room)?;
    CHOICES.iter().try_for_each(|(name, value)| tree.choose(name, Value::Bytes(value)))?;
    tree.seed_from(machine)?;
    tree.finish()
}

/// As libfdt compares names. Source: libfdt, `fdt_nodename_eq_`.
fn is_found_as(name: &str, wanted: &str) -> bool {
    name == wanted || name.split('@').next() == Some(wanted)
}

/// Line by line what Linux does. Source: Linux, `drivers/of/fdt.c`, `early_init_dt_scan_root` and `early_init_dt_scan_memory`. `None` where Linux
/// reads what nobody has said, or does not come to an end. `/chosen` is left out: what could make it memory does not come to Linux.
fn memory(tree: Fdt<'_>) -> Option<Vec<Span>> {
    let root = tree.root();
    let (mut size_cells, mut address_cells) = (1, 1);
    if let Some(cells) = property(root, "#size-cells") {
        size_cells = u32::from_be_bytes(*cells.first_chunk()?);
    }
    if let Some(cells) = property(root, "#address-cells") {
        address_cells = u32::from_be_bytes(*cells.first_chunk()?);
    }
    let (address_len, size_len) = (address_cells.checked_mul(4)? as usize, size_cells.checked_mul(4)? as usize);
    let mut spans = Vec::new();
    for node in root.children().filter(|node| node.name() != "chosen") {
        let Some(kind) = property(node, "device_type") else { continue };
        if until_nul(&kind)? != b"memory" {
            continue;
        }
        if let Some(status) = property(node, "status")
            && !matches!(until_nul(&status)?, b"ok" | b"okay")
        {
            continue;
        }
        let Some(registers) = property(node, "linux,usable-memory").or_else(|| property(node, "reg")) else { continue };
        let mut registers = registers.as_slice();
        while registers.len() >= address_len.checked_add(size_len).filter(|entry| *entry > 0)? {
            let (address, rest) = registers.split_at(address_len);
            let (size, rest) = rest.split_at(size_len);
            registers = rest;
            spans.push(Span { start: last_two_cells(address), len: last_two_cells(size) });
        }
    }
    spans.retain(|span| span.len != 0);
    Some(spans)
}

/// The first property of that name, which libfdt takes.
fn property(node: FdtNode<'_>, name: &str) -> Option<Vec<u8>> {
    node.properties().find(|property| property.name() == name).map(|property| property.value().to_vec())
}

fn until_nul(text: &[u8]) -> Option<&[u8]> {
    text.split(|byte| *byte == 0).next().filter(|found| found.len() < text.len())
}

/// Linux shifts the others out of its 64 bits.
fn last_two_cells(cells: &[u8]) -> u64 {
    cells.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
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

/// The edited tree has the properties of the source in their order, one range more, and none without a length. Of `/chosen` itself it has what the
/// loader says, then what stays.
fn assert_edited(source: Fdt<'_>, edited: Fdt<'_>) {
    let mut ranges: Vec<_> = source.memory_reservations().map(|taken| (taken.address(), taken.size())).filter(|(_, len)| *len != 0).collect();
    ranges.push((KEPT.start, KEPT.len));
    let edited_ranges: Vec<_> = edited.memory_reservations().map(|taken| (taken.address(), taken.size())).collect();
    assert_eq!(edited_ranges, ranges);
    let (mut before, mut after) = (Vec::new(), Vec::new());
    entries(source.root(), "", &mut before);
    entries(edited.root(), "", &mut after);
    let number = source.root().children().position(|node| node.name() == "chosen").expect("a tree for Linux has /chosen");
    let chosen = format!("/{number}:chosen");
    let named = |names: &[&str]| {
        let is_named = |(path, name, _): &&Entry| *path == chosen && names.contains(&name.as_str());
        before.iter().filter(is_named).cloned().collect::<Vec<Entry>>()
    };
    let choices = CHOICES.iter().map(|(name, value)| (chosen.clone(), (*name).to_owned(), value.to_vec()));
    let expected: Vec<Entry> = choices.chain(named(&SEEDS)).chain(named(&STAYS)).collect();
    let said: Vec<Entry> = after.iter().filter(|(path, ..)| *path == chosen).cloned().collect();
    assert_eq!(said, expected);
    before.retain(|(path, ..)| *path != chosen);
    after.retain(|(path, ..)| *path != chosen);
    assert_eq!(after, before);
}

/// Every property below a node. Names may repeat, so that a path has the number of each node in it.
fn entries(node: FdtNode<'_>, path: &str, found: &mut Vec<Entry>) {
    found.extend(node.properties().map(|property| (path.to_owned(), property.name().to_owned(), property.value().to_vec())));
    for (number, child) in node.children().enumerate() {
        entries(child, &format!("{path}/{number}:{}", child.name()), found);
    }
}

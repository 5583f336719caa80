//! Any text as a layout file, and any numbers as a layout.

use std::fmt::Write as _;

use twinslot_bootloader::journal::{FloorRaise, Policy};
use twinslot_config::Layout;
use twinslot_config::layout::{Flash, Loader, Purpose, Ram, Span};

use super::draw::Draw;
use super::message::assert_fit;

/// What a message about a layout may be about.
const THINGS: [&str; 15] =
    ["line ", "board", "product", "hw", "chip", "flash", "policy", "loader", "journal", "slot-a", "slot-b", "golden", "staging", "data", "ram"];

/// Text as a layout file; bytes that are no text as the numbers of one. Accepted: every rule holds that the design states, by a second formulation of
/// them; the digest is that of the values, whatever their notation, and no value is left out of it. Refused: the message is fit to print, and numbers
/// are refused only when a rule is broken.
///
/// # Panics
/// When a property does not hold.
pub fn layout(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        let drawn = drawn(&mut Draw::new(&data[1..]));
        let accepted = judge(&notation(&drawn));
        assert_eq!(accepted, broken_rule(&drawn).is_none(), "{:?}: {drawn:x?}", broken_rule(&drawn));
        return;
    };
    judge(text);
}

/// Whether the text is accepted.
fn judge(text: &str) -> bool {
    match Layout::parse(text) {
        Ok(layout) => {
            assert_eq!(broken_rule(&layout), None, "{layout:x?}");
            assert_one_digest(&layout);
            true
        }
        Err(error) => {
            assert_fit(&error.to_string(), "layout: ", &THINGS, text);
            false
        }
    }
}

fn assert_one_digest(layout: &Layout) {
    let again = Layout::parse(&notation(layout)).expect("the same values in another notation");
    assert_eq!(&again, layout);
    assert_eq!(again.digest(), layout.digest(), "the digest depends on the notation");
    for (index, change) in CHANGES.iter().enumerate() {
        let mut other = layout.clone();
        change(&mut other);
        assert!(&other == layout || other.digest() != layout.digest(), "the digest does not cover change {index}");
    }
}

type Change = fn(&mut Layout);

/// One for each value of a layout.
const CHANGES: [Change; 23] = [
    |layout| layout.board.push('x'),
    |layout| layout.product.push('x'),
    |layout| layout.hardware ^= 1,
    |layout| layout.chip.push('x'),
    |layout| layout.flash.base = layout.flash.base.xor(Some(0)),
    |layout| layout.flash.size = layout.flash.size.map(|size| size ^ 1),
    |layout| layout.flash.write_size ^= 1,
    |layout| layout.flash.erase_size ^= 1,
    |layout| layout.flash.tear_size ^= 1,
    |layout| layout.policy.attempts ^= 1,
    |layout| layout.policy.boots ^= 1,
    |layout| layout.policy.floor_raise = other_rule(layout.policy.floor_raise),
    |layout| layout.loader.base = layout.loader.base.xor(Some(0)),
    |layout| layout.loader.span.offset ^= 1,
    |layout| layout.journal.size ^= 1,
    |layout| layout.slot_a.offset ^= 1,
    |layout| layout.slot_b.size ^= 1,
    |layout| layout.golden = layout.golden.xor(Some(Span { offset: 0, size: 1 })),
    |layout| std::mem::swap(&mut layout.golden, &mut layout.staging),
    |layout| std::mem::swap(&mut layout.staging, &mut layout.data),
    |layout| layout.ram.truncate(layout.ram.len().saturating_sub(1)),
    |layout| layout.ram.iter_mut().for_each(|ram| ram.base ^= 1),
    |layout| layout.ram.iter_mut().for_each(|ram| ram.purpose = Purpose::Reserved),
];

const fn other_rule(rule: FloorRaise) -> FloorRaise {
    match rule {
        FloorRaise::OnConfirm => FloorRaise::WhenBothSlotsMeetIt,
        FloorRaise::WhenBothSlotsMeetIt => FloorRaise::OnConfirm,
    }
}

/// The values as nobody would write them: hexadecimal, inline, RAM backwards, with comments.
fn notation(layout: &Layout) -> String {
    let Layout { board, product, hardware, chip, flash, policy, loader, journal, slot_a, slot_b, golden, staging, data, ram } = layout;
    let mut text = format!("# {hardware}\nchip = {}\nproduct={}\nboard = {}\nhw = {hardware:#x}\n", quoted(chip), quoted(product), quoted(board));
    let Flash { base, size, write_size, erase_size, tear_size } = flash;
    let (base, size) = (optional("base", *base), optional("size", *size));
    let _ = writeln!(text, "flash = {{ tear_size = {tear_size}, {base}{size}write_size = {write_size:#b}, erase_size = {erase_size:#o} }} # sizes");
    let rule = if policy.floor_raise == FloorRaise::OnConfirm { "on-confirm" } else { "when-both-slots-meet-it" };
    let _ = writeln!(text, "policy.floor_raise = '{rule}'\npolicy.boots = {}\npolicy.attempts = {}", policy.boots, policy.attempts);
    let _ = writeln!(text, "loader = {{ {}offset = {}, size = {} }}", optional("base", loader.base), loader.span.offset, loader.span.size);
    let spans = [("journal", Some(*journal)), ("slot-a", Some(*slot_a)), ("slot-b", Some(*slot_b))];
    for (name, span) in spans.into_iter().chain([("golden", *golden), ("staging", *staging), ("data", *data)]) {
        if let Some(Span { offset, size }) = span {
            let _ = writeln!(text, "[{name}]\n  size = {size:#X}\n\toffset = +{offset}");
        }
    }
    for Ram { base, size, purpose } in ram.iter().rev() {
        let _ = writeln!(text, "[[ ram ]]\nuse = \"{purpose}\"\nsize = {size}\nbase = {base:#x}\r");
    }
    text.replace("0X", "0x")
}

fn optional(name: &str, value: Option<u64>) -> String {
    value.map_or_else(String::new, |value| format!("{name} = {value}, "))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A layout with these numbers, most of which are wrong.
fn drawn(draw: &mut Draw<'_>) -> Layout {
    let flash =
        Flash { base: draw.optional(), size: draw.optional(), write_size: draw.number(), erase_size: draw.number(), tear_size: draw.number() };
    let [hardware, attempts, boots, rule] = draw.bytes();
    let floor_raise = if Draw::is_odd(rule) { FloorRaise::WhenBothSlotsMeetIt } else { FloorRaise::OnConfirm };
    let mut layout = Layout {
        board: "board".to_owned(),
        product: "product".to_owned(),
        hardware,
        chip: "chip".to_owned(),
        flash,
        policy: Policy { attempts, boots, floor_raise },
        loader: Loader { base: draw.optional(), span: span(draw) },
        journal: span(draw),
        slot_a: span(draw),
        slot_b: span(draw),
        golden: optional_span(draw),
        staging: optional_span(draw),
        data: optional_span(draw),
        ram: Vec::new(),
    };
    while !draw.is_empty() && layout.ram.len() < 8 {
        let purpose = Purpose::ALL[usize::from(draw.byte()) % Purpose::ALL.len()];
        layout.ram.push(Ram { base: draw.number(), size: draw.number(), purpose });
    }
    layout.ram.sort_by_key(|ram| (ram.base, ram.size, ram.purpose));
    layout
}

fn span(draw: &mut Draw<'_>) -> Span {
    Span { offset: draw.number(), size: draw.number() }
}

fn optional_span(draw: &mut Draw<'_>) -> Option<Span> {
    let span = span(draw);
    Draw::is_odd(draw.byte()).then_some(span)
}

/// The first rule of a layout that does not hold, formulated a second time: by pairs and in 128 bits.
fn broken_rule(layout: &Layout) -> Option<&'static str> {
    let rules = [
        ("names", has_names(layout)),
        ("geometry", has_geometry(&layout.flash)),
        ("policy", layout.policy.attempts > 0 && layout.policy.boots >= layout.policy.attempts),
        ("regions", flash_spans(layout).iter().all(|span| is_on_flash(*span, &layout.flash))),
        ("apart on the flash", are_apart(&flash_spans(layout))),
        ("journal", has_journal(layout)),
        ("image regions", [Some(layout.slot_a), Some(layout.slot_b), layout.golden].into_iter().flatten().all(|span| span.size > 1024)),
        ("RAM", has_ram(&layout.ram)),
        ("apart in memory", are_apart(&memory_spans(layout)) && memory_spans(layout).iter().all(|(start, end)| start < end && *end <= 1 << 64)),
    ];
    rules.into_iter().find(|(_, holds)| !holds).map(|(name, _)| name)
}

fn has_names(layout: &Layout) -> bool {
    let printable = |name: &str| (1..=64).contains(&name.len()) && !name.chars().any(char::is_control);
    let visible = |byte: u8| (0x21..=0x7e).contains(&byte);
    let product = (1..=32).contains(&layout.product.len()) && layout.product.bytes().all(visible);
    product && printable(&layout.board) && printable(&layout.chip) && layout.hardware < 32
}

fn has_geometry(flash: &Flash) -> bool {
    let power = |value: u64| value.count_ones() == 1 && value < 1 << 32;
    power(flash.write_size) && power(flash.erase_size) && power(flash.tear_size) && flash.write_size <= 512 && flash.erase_size >= flash.write_size
}

/// First byte, and the byte behind the last one.
type Range = (u128, u128);

const fn range(start: u64, size: u64) -> Range {
    (start as u128, start as u128 + size as u128)
}

fn flash_spans(layout: &Layout) -> Vec<Range> {
    let loader = if layout.loader.base.is_none() { Some(layout.loader.span) } else { None };
    let always = [Some(layout.journal), Some(layout.slot_a), Some(layout.slot_b)];
    let all = always.into_iter().chain([loader, layout.golden, layout.staging, layout.data]);
    all.flatten().map(|span| range(span.offset, span.size)).collect()
}

fn is_on_flash((start, end): Range, flash: &Flash) -> bool {
    let unit = u128::from(flash.erase_size.max(1));
    start < end && start % unit == 0 && end % unit == 0 && end < 1 << 32 && flash.size.is_none_or(|size| end <= u128::from(size))
}

fn are_apart(ranges: &[Range]) -> bool {
    let overlap = |a: &Range, b: &Range| a.0 < b.1 && b.0 < a.1;
    ranges.iter().enumerate().all(|(index, a)| ranges[index + 1..].iter().all(|b| !overlap(a, b)))
}

/// Two logs of whole erase units and whole records, none of which shares with anything a region that one write may tear.
fn has_journal(layout: &Layout) -> bool {
    let (Flash { write_size, erase_size, tear_size, .. }, Span { offset, size }) = (layout.flash, layout.journal);
    if write_size == 0 && tear_size == 0 {
        return false;
    }
    let log = size / 2;
    let stride = layout.record_stride();
    let whole = |unit: u64| unit > 0 && log.is_multiple_of(unit) && size == 2 * log;
    let places = stride >= 128 && stride.is_multiple_of(write_size) && stride.is_multiple_of(tear_size);
    places && whole(erase_size) && whole(stride) && whole(tear_size) && offset.is_multiple_of(tear_size)
}

fn has_ram(ram: &[Ram]) -> bool {
    let of = |purpose: Purpose| ram.iter().filter(move |ram| ram.purpose == purpose);
    let once = [Purpose::Loader, Purpose::Handoff, Purpose::Marker].into_iter().all(|purpose| of(purpose).count() <= 1);
    once && of(Purpose::Handoff).all(|ram| ram.size >= 512) && of(Purpose::Marker).all(|ram| ram.size >= 4)
}

/// RAM, the flash where it has an address, and the loader's code where that lies elsewhere.
fn memory_spans(layout: &Layout) -> Vec<Range> {
    let ends = flash_spans(layout).into_iter().map(|(_, end)| end).max().unwrap_or(0);
    let extent = layout.flash.size.map_or(ends, u128::from);
    let flash = layout.flash.base.map(|base| (u128::from(base), u128::from(base) + extent));
    let Loader { base, span } = layout.loader;
    let code = base.map(|base| (u128::from(base) + u128::from(span.offset), u128::from(base) + u128::from(span.offset) + u128::from(span.size)));
    layout.ram.iter().map(|ram| range(ram.base, ram.size)).chain(flash).chain(code).collect()
}

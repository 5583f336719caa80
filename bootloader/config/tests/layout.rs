//! Every rule of a layout, broken one at a time, and what does and does not change a layout's digest.

use twinslot_config::Layout;

/// A layout with one of everything. 4 KiB erase units, 64 KiB journal.
const GOOD: &str = r#"
board = "mps2-an386"
product = "twinslot-demo"
hw = 1
chip = "mps2-an386"
[flash]
base = 0x21000000
size = 0x1000000
write_size = 4
erase_size = 4096
tear_size = 4
[loader]
base = 0x0
offset = 0
size = 0x10000
[journal]
offset = 0
size = 0x2000
[slot-a]
offset = 0x10000
size = 0x80000
[slot-b]
offset = 0x90000
size = 0x80000
[golden]
offset = 0x110000
size = 0x80000
[staging]
offset = 0x190000
size = 0x100000
[[ram]]
base = 0x20000000
size = 0x10000
use = "loader"
[[ram]]
base = 0x20010000
size = 0x200
use = "handoff"
[[ram]]
base = 0x20010200
size = 0x10
use = "marker"
[[ram]]
base = 0x20020000
size = 0x20000
use = "image"
"#;

fn with(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "the layout has no {from:?}");
    GOOD.replacen(from, to, 1)
}

fn error(from: &str, to: &str) -> String {
    Layout::parse(&with(from, to)).expect_err("the layout is wrong").to_string()
}

#[test]
fn a_good_layout_parses_and_knows_its_logs() {
    let layout = Layout::parse(GOOD).expect("a good layout");
    let logs = layout.logs().map(|log| (log.offset, log.size));
    assert_eq!(logs, [(0, 0x1000), (0x1000, 0x1000)]);
    assert_eq!((layout.record_stride(), layout.flash_extent(), layout.loader_address()), (128, 0x100_0000, Some(0)));
    assert_eq!((layout.policy.attempts, layout.policy.boots), (3, 10));
}

/// What is replaced in the good layout, with what, and the message that follows.
const BROKEN: &[(&str, &str, &str)] = &[
    ("board = \"mps2-an386\"", "board = \"\"", "layout: board is 0 bytes"),
    (
        "twinslot-demo",
        "a-product-name-of-thirty-three-by",
        "layout: product \"a-product-name-of-thirty-three-by\": a product's name is 1 to 32 visible ascii",
    ),
    ("hw = 1", "hw = 32", "layout: hw is 32; hardware revisions are 0 to 31"),
    ("write_size = 4", "write_size = 3", "layout: flash.write_size is 0x3; it must be a power of two"),
    ("write_size = 4", "write_size = 0", "layout: flash.write_size is 0x0; it must be a power of two"),
    ("write_size = 4", "write_size = 1024", "layout: flash.write_size is 1024; a journal needs writes of at most 512"),
    ("write_size = 4\nerase_size = 4096", "write_size = 8\nerase_size = 4", "layout: flash.erase_size 0x4 is smaller than flash.write_size 0x8"),
    ("[loader]", "[policy]\nattempts = 0\n[loader]", "layout: policy.attempts 0 and policy.boots 10"),
    ("[loader]", "[policy]\nattempts = 9\nboots = 8\n[loader]", "layout: policy.attempts 9 and policy.boots 8"),
    ("offset = 0x90000\nsize = 0x80000", "offset = 0x90000\nsize = 0", "layout: slot-b is empty"),
    ("offset = 0x10000\nsize", "offset = 0x10800\nsize", "layout: slot-a at 0x10800 + 0x80000 is not made of whole erase units"),
    (
        "offset = 0x190000\nsize = 0x100000",
        "offset = 0xfffff000\nsize = 0x1000",
        "layout: staging ends at 0x100000000; flash regions must end below 4 GiB",
    ),
    (
        "offset = 0x190000\nsize = 0x100000",
        "offset = 0xff0000\nsize = 0x11000",
        "layout: staging ends at 0x1001000, behind the flash's end 0x1000000",
    ),
    ("offset = 0x90000\nsize", "offset = 0x8f000\nsize", "layout: slot-a and slot-b overlap at 0x8f000"),
    ("offset = 0x110000\nsize", "offset = 0x0\nsize", "layout: journal and golden overlap at 0x0"),
    ("base = 0x0\n", "", "layout: loader and journal overlap at 0x0"),
    ("size = 0x2000\n", "size = 0x3000\n", "layout: journal size 0x3000 does not split into two logs of whole erase units of 0x1000"),
    ("tear_size = 4", "tear_size = 8192", "layout: journal size 0x2000 does not split into two logs of whole records of 0x2000"),
    ("base = 0x20010000", "base = 0x2000ff00", "layout: ram (loader) and ram (handoff) overlap at 0x2000ff00"),
    ("base = 0x20020000", "base = 0x21800000", "layout: flash and ram (image) overlap at 0x21800000"),
    ("base = 0x20020000", "base = 0x8000", "layout: loader and ram (image) overlap at 0x8000"),
    ("base = 0x20020000\nsize = 0x20000", "base = 0x20020000\nsize = 0", "layout: ram (image) is empty"),
    ("use = \"image\"", "use = \"marker\"", "layout: two [[ram]] regions have use = \"marker\""),
    ("size = 0x200\n", "size = 0x1ff\n", "layout: the [[ram]] region with use = \"handoff\" is 511 bytes; it needs at least 512"),
    ("use = \"image\"", "use = \"heap\"", "unknown variant `heap`"),
    ("[golden]", "[gulden]", "unknown field `gulden`"),
    ("hw = 1\n", "", "missing field `hw`"),
    ("hw = 1\n", "hw = -1\n", "invalid value: integer `-1`"),
];

#[test]
fn every_broken_rule_has_its_own_message() {
    for (from, to, message) in BROKEN {
        let error = error(from, to);
        assert!(error.contains(message), "{from:?} -> {to:?} gave {error:?}, not {message:?}");
    }
}

#[test]
fn logs_never_share_a_region_that_one_torn_write_damages() {
    let torn = with("tear_size = 4", "tear_size = 8192").replace("size = 0x2000\n", "size = 0x4000\n");
    assert_eq!(Layout::parse(&torn).expect("whole tear regions").record_stride(), 8192);
    let shifted = torn.replace("[journal]\noffset = 0", "[journal]\noffset = 0x1000");
    let error = Layout::parse(&shifted).expect_err("the journal shares a tear region").to_string();
    assert!(error.contains("journal offset 0x1000 is not a multiple of flash.tear_size 0x2000"), "{error}");
}

#[test]
fn a_region_smaller_than_a_header_and_a_part_holds_no_image() {
    let small = GOOD.replace("erase_size = 4096", "erase_size = 512");
    let small = small.replace("offset = 0x110000\nsize = 0x80000", "offset = 0x110000\nsize = 0x400");
    let error = Layout::parse(&small).expect_err("no room for a part").to_string();
    assert!(error.contains("golden is 0x400 bytes; an image needs more than 0x400"), "{error}");
}

#[test]
fn the_digest_follows_the_values_and_not_the_notation() {
    let digest = |text: &str| Layout::parse(text).expect("a good layout").digest();
    let good = digest(GOOD);
    assert_eq!(digest(&with("size = 0x2000", "size   = 8192 # two logs")), good);
    assert_eq!(digest(&with("[loader]", "[policy]\nattempts = 3\n[loader]")), good);
    let changes = [
        ("hw = 1", "hw = 2"),
        ("tear_size = 4", "tear_size = 8"),
        ("[loader]", "[policy]\nboots = 11\n[loader]"),
        ("[loader]", "[policy]\nfloor_raise = \"when-both-slots-meet-it\"\n[loader]"),
        ("size = 0x1000000\n", ""),
        ("offset = 0x190000", "offset = 0x191000"),
        ("use = \"image\"", "use = \"reserved\""),
    ];
    for (from, to) in changes {
        assert_ne!(digest(&with(from, to)), good, "{from:?} -> {to:?}");
    }
}

/// The canonical form of `src/layout/digest.rs`, spelt out by hand for the layout above.
#[test]
fn the_digest_is_sha256_of_the_documented_form() {
    use sha2::{Digest as _, Sha256};
    let mut form = b"twinslot layout 1\n".to_vec();
    let number = |form: &mut Vec<u8>, value: u64| form.extend(value.to_le_bytes());
    let text = |form: &mut Vec<u8>, value: &str| {
        form.extend((value.len() as u64).to_le_bytes());
        form.extend(value.as_bytes());
    };
    text(&mut form, "mps2-an386");
    text(&mut form, "twinslot-demo");
    number(&mut form, 1);
    text(&mut form, "mps2-an386");
    for some in [0x2100_0000, 0x100_0000] {
        form.push(1);
        number(&mut form, some);
    }
    [4, 4096, 4, 3, 10].into_iter().for_each(|value| number(&mut form, value));
    text(&mut form, "on-confirm");
    form.push(1);
    [0, 0, 0x10000, 0, 0x2000, 0x10000, 0x80000, 0x90000, 0x80000].into_iter().for_each(|value| number(&mut form, value));
    for (offset, size) in [(0x110000, 0x80000), (0x190000, 0x100000)] {
        form.push(1);
        number(&mut form, offset);
        number(&mut form, size);
    }
    form.push(0);
    number(&mut form, 4);
    for (base, size, purpose) in
        [(0x2000_0000, 0x10000, "loader"), (0x2001_0000, 0x200, "handoff"), (0x2001_0200, 0x10, "marker"), (0x2002_0000, 0x20000, "image")]
    {
        number(&mut form, base);
        number(&mut form, size);
        text(&mut form, purpose);
    }
    assert_eq!(Layout::parse(GOOD).expect("a good layout").digest(), <[u8; 32]>::from(Sha256::digest(form)));
}

//! Rust constants from a layout and a trust file. A region or address that a board does not have is zero.

use std::fmt::Display;

use twinslot_bootloader::journal::Policy;

use crate::{
    Layout, Trust,
    layout::{Purpose, Span},
};

/// The whole generated file.
pub(super) fn constants(layout: &Layout, trust: &Trust) -> String {
    let mut file = ConstantsFile(String::from("// Generated from layout.toml and trust.toml.\n"));
    file.identity(layout);
    file.flash(layout);
    file.regions(layout);
    file.ram(layout);
    file.policy(layout);
    file.trust(trust);
    file.0
}

struct ConstantsFile(String);

impl ConstantsFile {
    fn identity(&mut self, layout: &Layout) {
        self.text("BOARD", &layout.board, "The board's name.");
        self.text("PRODUCT", &layout.product, "The product whose images this board accepts.");
        self.constant("HARDWARE", "u8", layout.hardware, "The board's hardware revision.");
        self.text("CHIP", &layout.chip, "The chip's name.");
        self.constant("LAYOUT_DIGEST", "[u8; 32]", format_args!("{:?}", layout.digest()), "SHA-256 of the layout's canonical form.");
    }

    fn flash(&mut self, layout: &Layout) {
        self.address("FLASH_BASE", layout.flash.base.unwrap_or(0), "Address of the flash's first byte.");
        self.offset("FLASH_SIZE", layout.flash_extent(), "Bytes of the flash that the layout knows.");
        self.size("WRITE_SIZE", layout.flash.write_size, "The smallest write.");
        self.size("ERASE_SIZE", layout.flash.erase_size, "The smallest erase.");
        self.size("TEAR_SIZE", layout.flash.tear_size, "The largest region that one interrupted write may damage.");
        self.size("RECORD_STRIDE", layout.record_stride(), "Bytes from one journal record to the next.");
    }

    fn regions(&mut self, layout: &Layout) {
        let [log_0, log_1] = layout.logs();
        let none = Span { offset: 0, size: 0 };
        let regions = [
            ("LOG_0", log_0, "the first journal log"),
            ("LOG_1", log_1, "the second journal log"),
            ("SLOT_A", layout.slot_a, "slot A"),
            ("SLOT_B", layout.slot_b, "slot B"),
            ("GOLDEN", layout.golden.unwrap_or(none), "the golden image; size 0 when the board has none"),
            ("STAGING", layout.staging.unwrap_or(none), "the staging region; size 0 when the board has none"),
            ("DATA", layout.data.unwrap_or(none), "the data region; size 0 when the board has none"),
        ];
        for (name, span, meaning) in regions {
            self.offset(&format!("{name}_OFFSET"), span.offset, &format!("Flash offset of {meaning}."));
            self.offset(&format!("{name}_SIZE"), span.size, &format!("Bytes of {meaning}."));
        }
        self.address("LOADER_BASE", layout.loader_address().unwrap_or(0), "Address of the loader's code.");
        self.address("LOADER_SIZE", layout.loader.span.size, "Bytes for the loader's code.");
    }

    fn ram(&mut self, layout: &Layout) {
        for purpose in Purpose::ALL {
            let name = purpose.name().to_uppercase().replace('-', "_");
            let spans: Vec<(u64, u64)> = layout.ram_for(purpose).map(|ram| (ram.base, ram.size)).collect();
            let doc = format!("RAM with use \"{purpose}\": address and bytes.");
            self.constant(&format!("RAM_{name}"), &format!("[(u64, u64); {}]", spans.len()), format_args!("{spans:?}"), &doc);
        }
    }

    fn policy(&mut self, layout: &Layout) {
        let Policy { attempts, boots, floor_raise } = layout.policy;
        let module = "twinslot_bootloader::journal";
        let value = format!("{module}::Policy {{ attempts: {attempts}, boots: {boots}, floor_raise: {module}::FloorRaise::{floor_raise:?} }}");
        self.constant("POLICY", &format!("{module}::Policy"), value, "How trials are bounded and when the floor rises.");
    }

    fn trust(&mut self, trust: &Trust) {
        let keys: Vec<[u8; 32]> = trust.keys().iter().map(|key| key.public).collect();
        let names: Vec<&str> = trust.keys().iter().map(|key| key.name.as_str()).collect();
        let count = keys.len();
        self.constant("ANCHOR_KEYS", &format!("[[u8; 32]; {count}]"), format_args!("{keys:?}"), "The owner's raw public keys.");
        self.constant("ANCHOR_KEY_NAMES", &format!("[&str; {count}]"), format_args!("{names:?}"), "What people call the keys, in the same order.");
        self.constant("THRESHOLD", "u8", trust.threshold(), "How many distinct keys must sign.");
        self.constant("FLOOR", "u32", trust.floor(), "The compiled-in security floor.");
        let published = trust.published_test_keys().next().is_some();
        self.constant("IS_TEST_KEYS", "bool", published, "Whether the private half of an anchor key is published.");
    }

    fn text(&mut self, name: &str, value: &str, doc: &str) {
        self.constant(name, "&str", format_args!("{value:?}"), doc);
    }

    fn address(&mut self, name: &str, value: u64, doc: &str) {
        self.constant(name, "u64", format_args!("{value:#x}"), doc);
    }

    fn offset(&mut self, name: &str, value: u64, doc: &str) {
        self.constant(name, "u32", format_args!("{value:#x}"), doc);
    }

    fn size(&mut self, name: &str, value: u64, doc: &str) {
        self.constant(name, "usize", value, doc);
    }

    /// One documented constant. A board uses what it needs, so the rest may stay unused.
    fn constant(&mut self, name: &str, kind: &str, value: impl Display, doc: &str) {
        self.0.push_str(&format!("#[doc = {doc:?}]\n#[allow(dead_code, unreachable_pub)]\npub const {name}: {kind} = {value};\n"));
    }
}

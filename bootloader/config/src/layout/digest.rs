//! The canonical form of a layout and its digest.
//!
//! Canonical form: the line `twinslot layout 1\n`, then the values in the order of [`Layout`]'s fields. A string is its length (8 bytes) and its
//! bytes, a number 8 bytes, an optional value a byte 0 or a byte 1 and the value, a list its length (8 bytes) and its items. All little-endian.

use sha2::{Digest as _, Sha256};

use twinslot_bootloader::journal::FloorRaise;

use super::{Layout, Span};

pub(super) fn digest(layout: &Layout) -> [u8; 32] {
    let mut form = Canonical(Sha256::new());
    form.0.update(b"twinslot layout 1\n");
    form.identity(layout);
    form.flash(layout);
    form.regions(layout);
    form.ram(layout);
    form.0.finalize().into()
}

/// The rule as layout files write it.
const fn floor_raise_name(rule: FloorRaise) -> &'static str {
    match rule {
        FloorRaise::OnConfirm => "on-confirm",
        FloorRaise::WhenBothSlotsMeetIt => "when-both-slots-meet-it",
    }
}

struct Canonical(Sha256);

impl Canonical {
    fn identity(&mut self, layout: &Layout) {
        self.text(&layout.board);
        self.text(&layout.product);
        self.number(layout.hardware.into());
        self.text(&layout.chip);
    }

    fn flash(&mut self, layout: &Layout) {
        self.optional(layout.flash.base, Self::number);
        self.optional(layout.flash.size, Self::number);
        self.number(layout.flash.write_size);
        self.number(layout.flash.erase_size);
        self.number(layout.flash.tear_size);
        self.number(layout.policy.attempts.into());
        self.number(layout.policy.boots.into());
        self.text(floor_raise_name(layout.policy.floor_raise));
    }

    fn regions(&mut self, layout: &Layout) {
        self.optional(layout.loader.base, Self::number);
        self.span(layout.loader.span);
        self.span(layout.journal);
        self.span(layout.slot_a);
        self.span(layout.slot_b);
        self.optional(layout.golden, Self::span);
        self.optional(layout.staging, Self::span);
        self.optional(layout.data, Self::span);
    }

    fn ram(&mut self, layout: &Layout) {
        self.number(layout.ram.len() as u64);
        for ram in &layout.ram {
            self.number(ram.base);
            self.number(ram.size);
            self.text(ram.purpose.name());
        }
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.update(text.as_bytes());
    }

    fn number(&mut self, number: u64) {
        self.0.update(number.to_le_bytes());
    }

    fn span(&mut self, span: Span) {
        self.number(span.offset);
        self.number(span.size);
    }

    fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.0.update([u8::from(value.is_some())]);
        if let Some(value) = value {
            write(self, value);
        }
    }
}

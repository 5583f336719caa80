//! A second encoder: values as a list of named fields, of which any can be changed into what no encoder would write.

use std::iter;

use twinslot_bootloader::image::manifest::{Check, Encoding, Extra, Kind, Manifest, Part, Place, SlotRule};
use twinslot_bootloader::journal::{Phase, SlotState, State};
use twinslot_bootloader::slot::Slot;

/// One field of an encoding.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) value: Value,
}

/// What a field holds.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// An integer of a type with `bits` bits, in `pad` bytes more than it needs.
    Number { value: u128, bits: u32, pad: usize },
    /// Bytes as they are.
    Raw(Vec<u8>),
}

/// The encoding of fields.
pub(crate) fn encode(fields: &[Field]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in fields {
        match &field.value {
            Value::Raw(raw) => bytes.extend_from_slice(raw),
            Value::Number { value, pad, .. } => push_varint(&mut bytes, *value, *pad),
        }
    }
    bytes
}

fn push_varint(bytes: &mut Vec<u8>, mut value: u128, pad: usize) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    if pad > 0 {
        *bytes.last_mut().expect("a digit was pushed") |= 0x80;
        bytes.extend(iter::repeat_n(0x80, pad - 1));
        bytes.push(0);
    }
}

/// Everything that a field is changed into, one at a time, with a name each.
pub(crate) fn variations(value: &Value) -> Vec<(String, Value)> {
    match value {
        Value::Number { value, bits, .. } => number_variations(*value, *bits),
        Value::Raw(raw) => raw_variations(raw),
    }
}

fn number_variations(value: u128, bits: u32) -> Vec<(String, Value)> {
    let max = (1_u128 << bits) - 1;
    let numbers =
        [0, 1, 7, 8, value + 1, value.saturating_sub(1), 1 << 16, max - 1, max, max + 1, (1 << 48) - 1, 1 << 48, u128::from(u64::MAX), 1 << 64];
    let overlong =
        [(value, 1), (value, 2), (value, 5), (value, 12), (0, 1), (0, 9), (max, 1), (max + 1, 1), (max + 1, 9), (1 << 48, 1), (1 << 70, 3)];
    let padded = numbers.into_iter().map(|number| (number, 0)).chain(overlong);
    let mut all: Vec<_> = padded.map(|(value, pad)| (format!("= {value} in {pad} bytes more"), Value::Number { value, bits, pad })).collect();
    all.push(("without an end".to_owned(), Value::Raw(vec![0x80; 3])));
    all.push(("missing".to_owned(), Value::Raw(Vec::new())));
    all
}

fn raw_variations(raw: &[u8]) -> Vec<(String, Value)> {
    let mut all = vec![vec![0; raw.len()], vec![0xff; raw.len()], [raw, &[0]].concat()];
    if let [byte] = raw {
        let bytes = [1, 2, 3, 9, 10, 11, 53, 54, 55, 99, 100, 108, 109, 0x20, 0x7e, 0x7f, 0x80, byte ^ 1, byte.wrapping_add(1)];
        all.extend(bytes.map(|byte| vec![byte]));
    }
    if let [first, rest @ ..] = raw {
        all.push(rest.to_vec());
        all.push([&[first ^ 0x80], rest].concat());
        all.push([&raw[..raw.len() - 1], &[raw[raw.len() - 1] ^ 1]].concat());
    }
    all.into_iter().map(|raw| (format!("= {raw:02x?}"), Value::Raw(raw))).collect()
}

struct Fields(Vec<Field>);

impl Fields {
    fn number(&mut self, name: &str, value: impl Into<u128>, bits: u32) {
        self.0.push(Field { name: name.to_owned(), value: Value::Number { value: value.into(), bits, pad: 0 } });
    }

    fn raw(&mut self, name: &str, bytes: &[u8]) {
        self.0.push(Field { name: name.to_owned(), value: Value::Raw(bytes.to_vec()) });
    }

    fn count(&mut self, name: &str, count: usize) {
        self.number(name, count as u128, 32);
    }

    fn variant(&mut self, name: &str, number: u8) {
        self.number(name, number, 32);
    }

    fn slot(&mut self, name: &str, slot: Slot) {
        self.variant(name, u8::from(slot == Slot::B));
    }
}

/// The fields of a manifest.
pub(crate) fn manifest(manifest: &Manifest) -> Vec<Field> {
    let mut fields = Fields(Vec::new());
    let product = manifest.product.as_str().as_bytes();
    fields.count("product length", product.len());
    fields.raw("product", product);
    fields.number("hw", manifest.hw, 32);
    for (name, number) in [("major", manifest.version.major), ("minor", manifest.version.minor), ("patch", manifest.version.patch)] {
        fields.number(name, number, 16);
    }
    fields.number("build number", manifest.version.build, 32);
    fields.number("security counter", manifest.security_counter, 32);
    fields.variant(
        "slot",
        match manifest.slot {
            SlotRule::Any => 0,
            SlotRule::A => 1,
            SlotRule::B => 2,
        },
    );
    fields.count("revoke count", manifest.revoke.len());
    for id in &manifest.revoke {
        fields.raw("revoke", id);
    }
    fields.number("created", manifest.created, 64);
    fields.raw("build", &manifest.build);
    fields.raw("chunks", &manifest.chunks);
    fields.number("min_loader", manifest.min_loader, 16);
    fields.number("requires", manifest.requires, 32);
    fields.count("part count", manifest.parts.len());
    manifest.parts.iter().for_each(|part| push_part(&mut fields, part));
    fields.count("extra count", manifest.extra.len());
    manifest.extra.iter().for_each(|extra| push_extra(&mut fields, extra));
    fields.0
}

fn push_part(fields: &mut Fields, part: &Part) {
    fields.variant("kind", kind_number(part.kind));
    if let Kind::Aux(number) = part.kind {
        fields.raw("aux number", &[number]);
    }
    for (name, number) in [("offset", part.offset), ("len", part.len), ("mem", part.mem)] {
        fields.number(name, number, 64);
    }
    fields.variant(
        "place",
        match part.place {
            Place::InPlace => 0,
            Place::At(_) => 1,
            Place::Auto => 2,
        },
    );
    if let Place::At(address) = part.place {
        fields.number("address", address, 64);
    }
    fields.number("entry", part.entry, 64);
    fields.variant(
        "encoding",
        match part.encoding {
            Encoding::Plain => 0,
            Encoding::Lz4 => 1,
            Encoding::Zstd => 2,
            Encoding::Aes => 3,
        },
    );
    fields.raw("sha256", &part.sha256);
    fields.variant("check", u8::from(part.check == Check::ByOs));
}

const fn kind_number(kind: Kind) -> u8 {
    match kind {
        Kind::Firmware => 0,
        Kind::Kernel => 1,
        Kind::Initrd => 2,
        Kind::DeviceTree => 3,
        Kind::CommandLine => 4,
        Kind::RootFs => 5,
        Kind::Aux(_) => 6,
        Kind::Loader => 7,
    }
}

fn push_extra(fields: &mut Fields, extra: &Extra) {
    fields.number("tag", extra.tag, 16);
    fields.count("data length", extra.data.len());
    fields.raw("data", &extra.data);
}

/// The fields of a journal state.
pub(crate) fn state(state: &State) -> Vec<Field> {
    let mut fields = Fields(Vec::new());
    fields.slot("preferred", state.preferred);
    push_slot(&mut fields, &state.slots.a);
    push_slot(&mut fields, &state.slots.b);
    fields.raw("in_flight given", &[u8::from(state.in_flight.is_some())]);
    if let Some(slot) = state.in_flight {
        fields.slot("in_flight", slot);
    }
    fields.number("floor", state.floor, 32);
    fields.count("revoked count", state.revoked.len());
    for id in state.revoked.iter() {
        fields.raw("revoked", id);
    }
    fields.raw("last_revert given", &[u8::from(state.last_revert.is_some())]);
    if let Some(revert) = state.last_revert {
        fields.slot("revert slot", revert.slot);
        fields.raw("revert reason", &[revert.reason.code()]);
        fields.number("revert sequence", revert.sequence, 64);
    }
    fields.0
}

fn push_slot(fields: &mut Fields, slot: &SlotState) {
    fields.variant(
        "phase",
        match slot.phase {
            Phase::Empty => 0,
            Phase::Trial => 1,
            Phase::Confirmed => 2,
            Phase::Rejected => 3,
        },
    );
    fields.raw("attempts_left", &[slot.attempts_left]);
    fields.raw("boots_left", &[slot.boots_left]);
    fields.raw("digest", &slot.digest);
    fields.raw("reason", &[slot.reason.code()]);
}

//! The TOML of a layout file. Unknown keys are refused, so that a misspelt optional region is not silently absent.

use serde::Deserialize;

use twinslot_bootloader::journal::{FloorRaise, Policy};

use crate::excerpt::SyntaxError;

use super::{Flash, Layout, LayoutError, Loader, Purpose, Ram, Span};

/// Turns text into values; what they mean is checked elsewhere.
pub(super) fn parse(text: &str) -> Result<Layout, LayoutError> {
    let file: LayoutFile = toml::from_str(text).map_err(|error| SyntaxError::new(&error, text))?;
    Ok(file.into())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct LayoutFile {
    board: String,
    product: String,
    hw: u8,
    chip: String,
    flash: FlashTable,
    #[serde(default)]
    policy: PolicyTable,
    loader: LoaderTable,
    journal: SpanTable,
    slot_a: SpanTable,
    slot_b: SpanTable,
    golden: Option<SpanTable>,
    staging: Option<SpanTable>,
    data: Option<SpanTable>,
    #[serde(default)]
    ram: Vec<RamTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FlashTable {
    base: Option<u64>,
    size: Option<u64>,
    write_size: u64,
    erase_size: u64,
    tear_size: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PolicyTable {
    attempts: u8,
    boots: u8,
    floor_raise: FloorRaiseName,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FloorRaiseName {
    OnConfirm,
    WhenBothSlotsMeetIt,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoaderTable {
    base: Option<u64>,
    offset: u64,
    size: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SpanTable {
    offset: u64,
    size: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RamTable {
    base: u64,
    size: u64,
    r#use: PurposeName,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PurposeName {
    Loader,
    Handoff,
    Marker,
    Image,
    DeviceTree,
    Reserved,
}

/// The defaults are the verifier's own.
impl Default for PolicyTable {
    fn default() -> Self {
        let Policy { attempts, boots, floor_raise } = Policy::DEFAULT;
        Self { attempts, boots, floor_raise: floor_raise.into() }
    }
}

impl From<FloorRaise> for FloorRaiseName {
    fn from(rule: FloorRaise) -> Self {
        match rule {
            FloorRaise::OnConfirm => Self::OnConfirm,
            FloorRaise::WhenBothSlotsMeetIt => Self::WhenBothSlotsMeetIt,
        }
    }
}

impl From<LayoutFile> for Layout {
    fn from(file: LayoutFile) -> Self {
        let mut ram: Vec<Ram> = file.ram.into_iter().map(Ram::from).collect();
        ram.sort_by_key(|ram| (ram.base, ram.size, ram.purpose));
        Self {
            board: file.board,
            product: file.product,
            hardware: file.hw,
            chip: file.chip,
            flash: file.flash.into(),
            policy: file.policy.into(),
            loader: file.loader.into(),
            journal: file.journal.into(),
            slot_a: file.slot_a.into(),
            slot_b: file.slot_b.into(),
            golden: file.golden.map(Span::from),
            staging: file.staging.map(Span::from),
            data: file.data.map(Span::from),
            ram,
        }
    }
}

impl From<FlashTable> for Flash {
    fn from(table: FlashTable) -> Self {
        let FlashTable { base, size, write_size, erase_size, tear_size } = table;
        Self { base, size, write_size, erase_size, tear_size }
    }
}

impl From<PolicyTable> for Policy {
    fn from(table: PolicyTable) -> Self {
        let floor_raise = match table.floor_raise {
            FloorRaiseName::OnConfirm => FloorRaise::OnConfirm,
            FloorRaiseName::WhenBothSlotsMeetIt => FloorRaise::WhenBothSlotsMeetIt,
        };
        Self { attempts: table.attempts, boots: table.boots, floor_raise }
    }
}

impl From<LoaderTable> for Loader {
    fn from(table: LoaderTable) -> Self {
        Self { base: table.base, span: Span { offset: table.offset, size: table.size } }
    }
}

impl From<SpanTable> for Span {
    fn from(table: SpanTable) -> Self {
        Self { offset: table.offset, size: table.size }
    }
}

impl From<RamTable> for Ram {
    fn from(table: RamTable) -> Self {
        let purpose = match table.r#use {
            PurposeName::Loader => Purpose::Loader,
            PurposeName::Handoff => Purpose::Handoff,
            PurposeName::Marker => Purpose::Marker,
            PurposeName::Image => Purpose::Image,
            PurposeName::DeviceTree => Purpose::DeviceTree,
            PurposeName::Reserved => Purpose::Reserved,
        };
        Self { base: table.base, size: table.size, purpose }
    }
}

//! Selecting a debug probe, attaching to a chip, and staging a plan in probe-rs's own flash loader. No hardware.
#![cfg(feature = "probe")]

mod support;

use std::borrow::Cow;

use hosttool::flash::{
    Erase, FlashPlan, Piece,
    probe::{ProbeTarget, known_chip, stage},
};
use probe_rs::{
    architecture::arm::FullyQualifiedApAddress,
    integration::{FakeProbe, Operation},
    probe::{
        DebugProbeError, DebugProbeInfo, DebugProbeSelector, Probe, ProbeCreationError, ProbeFactory,
        list::{Lister, ProbeListItem, ProbeLister},
    },
};

const CHIP: &str = "nRF52840_xxAA";

/// Probes that are fake, by serial number.
#[derive(Debug)]
struct Fakes(Vec<&'static str>);

#[derive(Debug)]
struct FakeFactory;

impl std::fmt::Display for FakeFactory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("fake probe")
    }
}

impl ProbeFactory for FakeFactory {
    fn open(&self, _selector: &DebugProbeSelector) -> Result<Box<dyn probe_rs::probe::DebugProbe>, DebugProbeError> {
        Ok(Box::new(unlocked()))
    }

    fn list_probes(&self) -> Vec<ProbeListItem> {
        Vec::new()
    }
}

impl Fakes {
    fn infos(&self) -> impl Iterator<Item = DebugProbeInfo> {
        self.0.iter().map(|serial| DebugProbeInfo::new("fake", 0x1209, 0x0001, Some((*serial).to_owned()), &FakeFactory, None, false))
    }
}

impl ProbeLister for Fakes {
    fn open(&self, selector: &DebugProbeSelector) -> Result<Probe, DebugProbeError> {
        let known = self.infos().any(|info| selector.matches_probe(&info));
        if known { Ok(unlocked().into_probe()) } else { Err(ProbeCreationError::NotFound.into()) }
    }

    fn list_with_access(&self, selector: Option<&DebugProbeSelector>) -> Vec<ProbeListItem> {
        self.infos().filter(|info| selector.is_none_or(|selector| selector.matches_probe(info))).map(ProbeListItem::accessible).collect()
    }
}

/// A probe whose chip tells an nRF52's sequence that it is not locked: register 12 of access port 1.
fn unlocked() -> FakeProbe {
    let probe = FakeProbe::with_mocked_core();
    probe.expect_operation(Operation::ReadRawApRegister { ap: FullyQualifiedApAddress::v1_with_default_dp(1), address: 12, result: 1 });
    probe
}

fn attach(chip: &str, fakes: Vec<&'static str>, selector: Option<&str>) -> Result<ProbeTarget, String> {
    let chip = known_chip(chip).expect("a chip of probe-rs's list");
    ProbeTarget::attach(&Lister::with_lister(Box::new(Fakes(fakes))), selector, &chip).map_err(|error| format!("{error:#}"))
}

fn plan(address: u64) -> FlashPlan {
    let erase = Erase { region: "slot-a".to_owned(), range: address..address + 4096 };
    FlashPlan { erases: vec![erase], pieces: vec![Piece { region: "slot-a".to_owned(), address, bytes: (0..=255).collect() }] }
}

#[test]
fn no_probe_several_probes_and_a_wrong_selector_say_what_to_do() {
    let error = |fakes, selector| attach(CHIP, fakes, selector).expect_err("no single probe");
    assert_eq!(error(vec![], None), "no debug probe found: plug one in, and check that you may use it (udev rules)");
    let several = error(vec!["one", "two"], None);
    assert!(
        several.starts_with("2 debug probes found: choose one with --probe VID:PID:SERIAL: ") && several.contains("one") && several.contains("two"),
        "{several}"
    );
    let other = error(vec!["one"], Some("1209:0001:three"));
    assert!(other.starts_with("no debug probe 1209:0001:three: the ones there are: ") && other.contains("one"), "{other}");
    assert!(error(vec!["one"], Some("nonsense")).starts_with("--probe \"nonsense\": expected VID:PID or VID:PID:SERIAL"));
}

#[test]
fn one_probe_needs_no_selector_and_a_selector_finds_one_of_several() {
    attach(CHIP, vec!["one"], None).expect("the only probe");
    attach(CHIP, vec!["one", "two"], Some("1209:0001:two")).expect("the selected probe");
}

/// A RISC-V chip is looked for behind a probe that speaks to an Arm one.
#[test]
fn the_wrong_chip_is_named() {
    let error = attach("GD32VF103CBT6", vec!["one"], None).expect_err("another architecture");
    assert!(error.starts_with("chip \"GD32VF103CBT6\" does not answer behind ") && error.contains(": check wiring, power and --chip: "), "{error}");
}

#[test]
fn an_unknown_chip_says_where_names_come_from() {
    let error = known_chip("no-such-chip").expect_err("an unknown chip").to_string();
    assert_eq!(error, "chip \"no-such-chip\" is not known: give --chip as `probe-rs chip list` names it");
}

#[test]
fn the_flash_loader_holds_exactly_the_plan() {
    let chip = known_chip(CHIP).expect("a chip of probe-rs's list");
    let loader = stage(&plan(0x8000), &chip).expect("flash of this chip");
    let staged: Vec<(u64, Cow<'_, [u8]>)> = loader.data().map(|(address, bytes)| (address, Cow::Borrowed(bytes))).collect();
    assert_eq!(staged, [(0x8000, Cow::Owned((0..=255).collect()))]);
}

#[test]
fn a_plan_for_another_board_does_not_fit_the_chip() {
    let chip = known_chip(CHIP).expect("a chip of probe-rs's list");
    let error = stage(&plan(0x9000_0000), &chip).map(|_| ()).expect_err("no flash there");
    assert_eq!(error.to_string(), "chip \"nRF52840_xxAA\" has no memory for what goes to 0x90000000: --chip and --layout are of different boards");
}

//! Programming: the plan, and the driver on a simulated NOR flash that fails where it is told to.

mod support;

use std::ops::Range;

use hosttool::{
    flash::{Activity, FlashPlan, FlashTarget, Piece, carry_out},
    refusal::Refusal,
    report::Failure,
};
use support::Bench;

const BASE: u64 = 0x1000_0000;

/// NOR flash in memory: erase sets units of 4 KiB to 0xFF, programming only clears bits.
struct Nor {
    bytes: Vec<u8>,
    /// An address whose byte loses a bit when it is programmed.
    worn: Option<u64>,
    /// What to fail at.
    fails: Option<Activity>,
}

impl Nor {
    fn used() -> Self {
        Self { bytes: vec![0x55; 0x80000], worn: None, fails: None }
    }

    fn range(&self, address: u64, len: usize) -> Range<usize> {
        let start = usize::try_from(address - BASE).expect("inside");
        assert!(start + len <= self.bytes.len(), "{address:#x} + {len}");
        start..start + len
    }

    fn check(&self, activity: Activity) -> anyhow::Result<()> {
        anyhow::ensure!(self.fails != Some(activity), "the cable came loose");
        Ok(())
    }
}

impl FlashTarget for Nor {
    fn erase(&mut self, range: Range<u64>) -> anyhow::Result<()> {
        self.check(Activity::Erase)?;
        assert_eq!((range.start % 4096, range.end % 4096), (0, 0), "whole units");
        let range = self.range(range.start, usize::try_from(range.end - range.start)?);
        self.bytes[range].fill(0xff);
        Ok(())
    }

    fn program(&mut self, address: u64, bytes: &[u8]) -> anyhow::Result<()> {
        self.check(Activity::Program)?;
        let range = self.range(address, bytes.len());
        for ((held, new), at) in self.bytes[range].iter_mut().zip(bytes).zip(address..) {
            assert_eq!(new & !*held, 0, "{at:#x} was not erased");
            *held = if self.worn == Some(at) { *new & 0xfe } else { *new };
        }
        Ok(())
    }

    fn read(&mut self, address: u64, bytes: &mut [u8]) -> anyhow::Result<()> {
        self.check(Activity::Verify)?;
        let range = self.range(address, bytes.len());
        bytes.copy_from_slice(&self.bytes[range]);
        Ok(())
    }
}

fn stocked() -> Bench {
    let bench = Bench::with_owner();
    bench.signed("a.slot", "--version 1.0.0 --security-counter 3 --slot a");
    bench
}

fn plan(bench: &Bench) -> FlashPlan {
    use clap::Parser as _;
    #[derive(clap::Parser)]
    struct Only {
        #[command(flatten)]
        sources: hosttool::assemble::Sources,
    }
    let layout = bench.path("layout.toml").display().to_string();
    let slot = format!("a={}", bench.path("a.slot").display());
    let only = Only::parse_from(["flash", "--layout", &layout, "--slot", &slot, "--confirmed", "a"]);
    let (plan, _) = FlashPlan::prepare(&only.sources).unwrap_or_else(|failure| panic!("{failure:?}"));
    plan
}

#[test]
fn a_programmed_board_holds_what_assemble_makes() {
    let bench = stocked();
    bench.done("assemble --layout layout.toml --slot a=a.slot --confirmed a -o flash.img");
    let mut nor = Nor::used();
    let mut done = 0;
    let plan = plan(&bench);
    carry_out(&plan, &mut nor, |progress| done += progress.bytes).unwrap_or_else(|failure| panic!("{failure:?}"));
    let image = bench.read("flash.img");
    assert!(nor.bytes[..0x12000] == image[..0x12000], "journal and slot A");
    assert!(nor.bytes[0x12000..].iter().all(|byte| *byte == 0x55), "nothing else is touched");
    assert_eq!(done, plan.total_bytes());
}

#[test]
fn the_journal_is_erased_first_and_written_last() {
    let plan = plan(&stocked());
    assert_eq!(plan.erases.iter().map(|erase| erase.region.as_str()).collect::<Vec<_>>(), ["journal", "slot-a"]);
    assert_eq!(plan.pieces.iter().map(|piece| piece.region.as_str()).collect::<Vec<_>>(), ["slot-a", "journal", "journal"]);
}

#[test]
fn a_byte_that_does_not_hold_is_found_by_its_address() {
    let bench = stocked();
    let plan = plan(&bench);
    let Piece { address, bytes, .. } = &plan.pieces[0];
    let odd = bytes.iter().rposition(|byte| byte & 1 == 1).expect("a set bit");
    let mut nor = Nor { worn: Some(address + odd as u64), ..Nor::used() };
    match carry_out(&plan, &mut nor, |_| {}) {
        Err(Failure::Refused(Refusal::ReadBack { address: found })) => assert_eq!(found, address + odd as u64),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_failing_target_ends_the_work_with_its_cause() {
    let plan = plan(&stocked());
    for activity in [Activity::Erase, Activity::Program, Activity::Verify] {
        let mut nor = Nor { fails: Some(activity), ..Nor::used() };
        match carry_out(&plan, &mut nor, |_| {}) {
            Err(Failure::Trouble(error)) => assert_eq!(error.to_string(), "the cable came loose"),
            other => panic!("{activity:?}: {other:?}"),
        }
    }
}

#[test]
fn a_dry_run_says_what_would_happen_and_needs_no_probe() {
    let text = stocked().done("flash --layout layout.toml --slot a=a.slot --confirmed a --dry-run");
    assert!(
        text.starts_with("bench on nRF52840_xxAA\n  would erase journal 0x10000000..0x10002000\n  would erase slot-a 0x10002000..0x10012000\n"),
        "{text}"
    );
    assert!(text.contains("  would program slot-a 9096 bytes at 0x10002000\n"), "{text}");
}

#[cfg(not(feature = "probe"))]
#[test]
fn without_probe_support_programming_says_how_to_get_it() {
    let ran = stocked().run("flash --layout layout.toml --slot a=a.slot");
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("no debug probe support: build it with `--features probe`, or use --dry-run"), "{}", ran.stderr);
}

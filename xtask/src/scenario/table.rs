//! Every scenario. Versions, keys and slots are chosen so that exactly one thing is wrong in each.
//!
//! Codes are the stable ones of `bootloader/src/rejection.rs` and `reason.rs`.

use super::{
    After, AnchorFile, Change, Expect, Flash, Hardware, Holds, Image, Key, Log, Phase, Place, Power, Product, Resets, Scenario, Size, Slot, SlotRule,
    Step, Variant, Version, Writes,
};
use crate::board::Board;
use crate::qemu::Reset;

const CRC_MISMATCH: u8 = 7;
const TOO_FEW_SIGNATURES: u8 = 11;
const WRONG_PRODUCT: u8 = 34;
const WRONG_HARDWARE: u8 = 35;
const WRONG_SLOT: u8 = 36;
const BELOW_FLOOR: u8 = 38;
const DIGEST_MISMATCH: u8 = 42;
const WATCHDOG: u8 = 100;
const SOFTWARE_RESET: u8 = 101;
const FAULT: u8 = 102;

/// What a confirmed board runs.
pub(super) const RUNNING: Image = Image {
    version: version(1),
    variant: Variant::Healthy,
    place: Place::InA,
    slot: SlotRule::Any,
    product: Product::Own,
    hardware: Hardware::Any,
    security_counter: 1,
    revoke: &[],
    signers: &[Key::One],
    size: Size::Natural,
};

/// An update to it.
const UPDATE: Image = Image { version: version(2), place: Place::InB, ..RUNNING };

/// An image of this size takes two chunks: an install can be cut between them.
const TWO_CHUNKS: usize = 300 * 1024;

const fn version(major: u16) -> Version {
    Version { major, minor: 0, patch: 0, build: 1 }
}

/// Slot A confirmed, everything else erased.
pub(super) const CONFIRMED: Flash = Flash { a: Some(RUNNING), b: None, golden: None, staging: None, confirmed: Some(Slot::A), trial: None };

/// The same with an update in staging.
const fn staged(update: Image) -> Flash {
    Flash { staging: Some(update), ..CONFIRMED }
}

/// Slot A confirmed, slot B on trial.
const fn on_trial(trial: Image) -> Flash {
    Flash { b: Some(trial), trial: Some(Slot::B), ..CONFIRMED }
}

const UNTOUCHED: After = After { phase: Phase::Confirmed, reason: 0, holds: Holds::Unchanged };
const UNUSED: After = After { phase: Phase::Empty, reason: 0, holds: Holds::Unchanged };
const ACCEPTED: After = After { phase: Phase::Confirmed, reason: 0, holds: Holds::Staged };
const ON_TRIAL: After = After { phase: Phase::Trial, reason: 0, holds: Holds::Unchanged };

/// Put there from outside, then refused by the loader.
const fn refused(reason: u8) -> After {
    After { phase: Phase::Rejected, reason, holds: Holds::Unchanged }
}

/// Every scenario, in the order in which they run.
pub(crate) fn scenarios() -> Vec<Scenario> {
    [boots(), updates(), damage(), trust(), identity(), journal(), power()].into_iter().flatten().collect()
}

/// A step of the demonstration and what it shows.
pub(crate) struct Chapter {
    pub(crate) title: &'static str,
    pub(crate) staged: Option<Image>,
    pub(crate) step: Step,
}

/// The flash that the demonstration begins with, and its chapters: a board boots, takes a good update, and gives a bad one up.
pub(crate) fn chapters() -> (Flash, Vec<Chapter>) {
    let bad = Image { version: version(3), variant: Variant::Hangs, place: Place::InA, ..RUNNING };
    let watchdogs = &[Reset::Guest, Reset::Watchdog, Reset::Watchdog, Reset::Watchdog];
    let console = [
        "app: installed",
        "twinslot: boot slot=a why=trial",
        "app: hanging",
        "twinslot: boot slot=b *",
        "app: handoff last_revert=a:100*",
        "app: idle",
    ];
    let given_up = After { phase: Phase::Rejected, reason: WATCHDOG, holds: Holds::Staged };
    let caught = Expect { resets: Resets::Exactly(watchdogs), never: &["app: confirmed"], a: given_up, b: UNTOUCHED, ..expect(&console) };
    let chapter =
        |title, staged: Option<Image>, expect| Chapter { title, staged, step: step(staged.map(Change::Stage).into_iter().collect(), expect) };
    let chapters = vec![
        chapter("a signed image boots", None, confirmed_boot(&["app: idle"])),
        chapter("an update is installed, goes on trial and confirms itself", Some(UPDATE), accepted()),
        chapter("an update hangs: the watchdog catches it, and the board goes back and says why", Some(bad), caught),
    ];
    (CONFIRMED, chapters)
}

fn boots() -> Vec<Scenario> {
    let in_ram = Image { place: Place::Ram, ..RUNNING };
    let told = ["app: handoff slot=a", "app: handoff reset_cause=power-on", "app: idle"];
    let writes_nothing = |console| Expect { writes: Writes::None, ..confirmed_boot(console) };
    vec![
        scenario("first-boot", CONFIRMED, vec![step(vec![], writes_nothing(&told))]),
        scenario("first-boot-from-ram", Flash { a: Some(in_ram), ..CONFIRMED }, vec![step(vec![], writes_nothing(&told))]),
    ]
}

fn updates() -> Vec<Scenario> {
    let update = |variant| staged(Image { variant, ..UPDATE });
    let hung =
        revert(&["app: hanging", "app: handoff last_revert=b:100*"], &[Reset::Guest, Reset::Watchdog, Reset::Watchdog, Reset::Watchdog], WATCHDOG);
    let crashed = revert(&["app: crashing", "app: handoff last_revert=b:102*"], &[Reset::Guest; 4], FAULT);
    let silent = revert(&["app: not confirming", "app: handoff last_revert=b:101*"], &[Reset::Guest; 4], SOFTWARE_RESET);
    let in_ram = Image { place: Place::Ram, ..UPDATE };
    vec![
        scenario("update-confirmed", update(Variant::Healthy), vec![step(vec![], accepted())]),
        scenario("update-confirmed-from-ram", staged(in_ram), vec![step(vec![], accepted())]),
        scenario("update-hangs", update(Variant::Hangs), vec![step(vec![], hung)]),
        scenario("update-crashes", update(Variant::Crashes), vec![step(vec![], crashed)]),
        scenario("update-never-confirms", update(Variant::Silent), vec![step(vec![], silent)]),
    ]
}

fn damage() -> Vec<Scenario> {
    let damaged = |name, change, code| scenario(name, on_trial(UPDATE), vec![step(vec![change], refused_on_trial(code))]);
    let both = vec![Change::FlipPayloadBit(Slot::A), Change::FlipPayloadBit(Slot::B)];
    let golden = Image { place: Place::Ram, version: version(9), ..RUNNING };
    let to_golden = expect_both_bad(&["twinslot: boot slot=golden why=golden", "app: handoff slot=golden", "app: idle"]);
    let to_recovery = expect_both_bad(&["twinslot: *code=42"]);
    vec![
        damaged("torn-header", Change::TearHeader(Slot::B), CRC_MISMATCH),
        damaged("flipped-payload-bit", Change::FlipPayloadBit(Slot::B), DIGEST_MISMATCH),
        Scenario {
            not_on: Some((Board::An505, "the board has no golden image")),
            ..scenario("both-slots-bad-golden", Flash { golden: Some(golden), ..on_trial(UPDATE) }, vec![step(both.clone(), to_golden)])
        },
        Scenario {
            not_on: Some((Board::An386, "the board has a golden image to fall back on")),
            ..scenario("both-slots-bad-recovery", on_trial(UPDATE), vec![step(both, to_recovery)])
        },
    ]
}

fn trust() -> Vec<Scenario> {
    let signed_by = |signers| Image { signers, ..UPDATE };
    vec![
        refused_by_both("wrong-key", signed_by(&[Key::Three]), TOO_FEW_SIGNATURES),
        refused_by_both("unsigned", signed_by(&[]), TOO_FEW_SIGNATURES),
        one_signature_of_two(),
        refused_beside("revoked-key", Image { revoke: &[Key::Two], ..RUNNING }, signed_by(&[Key::Two]), TOO_FEW_SIGNATURES),
        key_revoked_by_update(),
        key_rotation(),
    ]
}

/// A loader that wants two signatures refuses one, and takes an update with two.
fn one_signature_of_two() -> Scenario {
    let running = Image { signers: &[Key::One, Key::Two], ..RUNNING };
    let under_two = |changes, expect| Step { loader: AnchorFile::TwoOfThree, ..step(changes, expect) };
    let signed_by_two = Image { version: version(3), signers: &[Key::One, Key::Two], ..UPDATE };
    let refused = under_two(vec![], refused_on_trial(TOO_FEW_SIGNATURES));
    let taken = under_two(vec![Change::Stage(signed_by_two)], accepted());
    scenario("one-signature-where-two-are-needed", Flash { a: Some(running), ..on_trial(UPDATE) }, vec![refused, taken])
}

/// An image that revokes its own only signer is refused; once an update has revoked a key, what that key alone signed is refused.
fn key_revoked_by_update() -> Scenario {
    let revokes_itself = Image { signers: &[Key::Two], revoke: &[Key::Two], ..UPDATE };
    let revokes = Image { version: version(3), revoke: &[Key::Two], ..UPDATE };
    let signed_by_revoked = Image { version: version(4), place: Place::InA, signers: &[Key::Two], ..RUNNING };
    let first = Expect { b: ACCEPTED, ..expect(&["twinslot: boot slot=a *", "app: installed", "twinslot: boot slot=b why=trial", "app: confirmed"]) };
    let second = Expect {
        b: UNTOUCHED,
        never: &["app: installing *"],
        ..expect(&["twinslot: boot slot=b why=confirmed", "app: refused code=11 *", "app: idle"])
    };
    scenario(
        "key-revoked-by-update",
        Flash { staging: Some(revokes), ..on_trial(revokes_itself) },
        vec![step(vec![], Expect { resets: Resets::Exactly(&[Reset::Guest]), ..first }), step(vec![Change::Stage(signed_by_revoked)], second)],
    )
}

/// An image signed by the old and the new key serves loaders of both generations; the new loader no longer takes the old key alone.
fn key_rotation() -> Scenario {
    let both_keys = Image { signers: &[Key::One, Key::Three], ..UPDATE };
    let flash = Flash { a: Some(both_keys_in_a()), staging: Some(both_keys), ..CONFIRMED };
    let old_loader = Step { loader: AnchorFile::RotationOld, ..step(vec![], accepted()) };
    let new_loader = Step {
        loader: AnchorFile::RotationNew,
        ..step(vec![Change::ClearStaging], Expect { b: UNTOUCHED, ..expect(&["twinslot: boot slot=b why=confirmed", "app: idle"]) })
    };
    let old_key_only = Change::Put(Slot::B, Image { version: version(3), ..UPDATE });
    let after_put = Expect {
        b: UNTOUCHED,
        never: &["twinslot: boot slot=b *"],
        ..expect(&["twinslot: boot slot=a why=fallback", "app: handoff verdict_b=refused:11", "app: idle"])
    };
    let refuses_old = Step { loader: AnchorFile::RotationNew, ..step(vec![old_key_only], after_put) };
    scenario("key-rotation", flash, vec![old_loader, new_loader, refuses_old])
}

fn both_keys_in_a() -> Image {
    Image { signers: &[Key::One, Key::Three], ..RUNNING }
}

fn identity() -> Vec<Scenario> {
    vec![
        refused_by_both("wrong-product", Image { product: Product::Other, ..UPDATE }, WRONG_PRODUCT),
        refused_by_both("wrong-hardware-revision", Image { hardware: Hardware::OtherRevision, ..UPDATE }, WRONG_HARDWARE),
        refused_by_both("image-for-the-other-slot", Image { slot: SlotRule::A, ..UPDATE }, WRONG_SLOT),
        refused_beside("security-counter-too-low", Image { security_counter: 5, ..RUNNING }, Image { security_counter: 4, ..UPDATE }, BELOW_FLOOR),
        floor_raised_by_update(),
    ]
}

/// A confirmed update raises the floor: the image below it is given up at once, and no other one below it is installed.
fn floor_raised_by_update() -> Scenario {
    let raises = Image { security_counter: 5, ..UPDATE };
    let too_low = Image { version: version(3), place: Place::InA, security_counter: 4, ..RUNNING };
    let cut_off = refused(BELOW_FLOOR);
    let first = Expect { a: cut_off, ..accepted() };
    let second = Expect {
        a: cut_off,
        b: UNTOUCHED,
        never: &["app: installing *"],
        ..expect(&["twinslot: boot slot=b why=confirmed", "app: refused code=38 *", "app: idle"])
    };
    scenario("floor-raised-by-update", staged(raises), vec![step(vec![], first), step(vec![Change::Stage(too_low)], second)])
}

fn journal() -> Vec<Scenario> {
    let lost = Expect { b: ON_TRIAL, ..expect(&["twinslot: boot slot=a why=trial", "app: confirmed", "app: idle"]) };
    let repaired = || confirmed_boot(&["app: idle"]);
    vec![
        scenario("journal-lost", on_trial(UPDATE), vec![step(vec![Change::LoseJournal], lost)]),
        scenario(
            "journal-half-written",
            CONFIRMED,
            vec![step(vec![Change::TearNewestRecord(Log::First)], repaired()), step(vec![Change::TearNewestRecord(Log::Second)], repaired())],
        ),
    ]
}

/// The power is cut at seeded moments of a whole update; when it comes back the update goes on to its end.
fn power() -> Vec<Scenario> {
    let update = Image { size: Size::Filled(TWO_CHUNKS), ..UPDATE };
    let ends_well = Expect {
        b: ACCEPTED,
        resets: Resets::Any,
        never: &["twinslot: halt *", "twinslot: recover *"],
        ..expect(&["twinslot: boot slot=*", "app: start variant=healthy *", "app: idle"])
    };
    vec![scenario("power-killed", staged(update), vec![Step { power: Power::CutAt { moments: 50 }, ..step(vec![], ends_well) }])]
}

fn scenario(name: &'static str, flash: Flash, steps: Vec<Step>) -> Scenario {
    Scenario { name, not_on: None, flash, steps }
}

/// One run of a board with steady power and the default loader.
fn step(changes: Vec<Change>, expect: Expect) -> Step {
    Step { loader: AnchorFile::Default, changes, power: Power::Steady, expect }
}

/// Slot A stays confirmed, slot B unused, and no boot ends before the board rests.
fn expect(console: &[&'static str]) -> Expect {
    Expect {
        console: console.to_vec(),
        never: &["twinslot: halt *", "twinslot: recover *"],
        resets: Resets::Exactly(&[]),
        writes: Writes::Needed,
        a: UNTOUCHED,
        b: UNUSED,
    }
}

fn confirmed_boot(console: &[&'static str]) -> Expect {
    let console = [&["twinslot: boot slot=a why=confirmed"], console].concat();
    expect(&console)
}

/// Installed from staging, started on trial, confirmed.
fn accepted() -> Expect {
    let console =
        ["twinslot: boot slot=a *", "app: installing *", "app: installed", "twinslot: boot slot=b why=trial", "app: confirmed", "app: idle"];
    Expect { b: ACCEPTED, resets: Resets::Exactly(&[Reset::Guest]), ..expect(&console) }
}

/// Installed from staging, started three times, given up; slot A boots and its hand-off says why.
fn revert(console: &[&'static str], resets: &'static [Reset], reason: u8) -> Expect {
    let start = ["app: installed", "twinslot: boot slot=b why=trial", "twinslot: boot slot=b why=trial", "twinslot: boot slot=b why=trial"];
    let (seen, told) = console.split_at(1);
    let console = [&start[..2], seen, &start[2..3], seen, &start[3..], seen, &["twinslot: boot slot=a *"], told, &["app: idle"]].concat();
    let b = After { phase: Phase::Rejected, reason, holds: Holds::Staged };
    Expect { never: &["app: confirmed"], resets: Resets::Exactly(resets), b, ..expect(&console) }
}

/// The loader refuses what is on trial in slot B; slot A boots instead and its hand-off says why.
fn refused_on_trial(code: u8) -> Expect {
    Expect { never: &["twinslot: boot slot=b *"], b: refused(code), ..expect(&["twinslot: boot slot=a *", "app: handoff slot=a", "app: idle"]) }
}

/// Slot A runs an ordinary image.
fn refused_by_both(name: &'static str, image: Image, code: u8) -> Scenario {
    refused_beside(name, RUNNING, image, code)
}

/// The loader refuses the image in slot B, and the installer its next version in staging, while `running` runs in slot A.
fn refused_beside(name: &'static str, running: Image, image: Image, code: u8) -> Scenario {
    let next = Image { version: version(3), ..image };
    let refusal = match code {
        TOO_FEW_SIGNATURES => "app: refused code=11 *",
        WRONG_PRODUCT => "app: refused code=34 *",
        WRONG_HARDWARE => "app: refused code=35 *",
        WRONG_SLOT => "app: refused code=36 *",
        _ => "app: refused code=38 *",
    };
    let never = &["twinslot: boot slot=b *", "app: installing *"];
    let both = Expect { never, b: refused(code), ..expect(&["twinslot: boot slot=a *", refusal, "app: idle"]) };
    scenario(name, Flash { a: Some(running), staging: Some(next), ..on_trial(image) }, vec![step(vec![], both)])
}

/// The loader leaves the confirmed slot's record alone, whatever it finds there.
fn expect_both_bad(console: &[&'static str]) -> Expect {
    Expect { never: &["twinslot: boot slot=a *", "twinslot: boot slot=b *"], b: refused(DIGEST_MISMATCH), ..expect(console) }
}

#[cfg(test)]
pub(super) fn tests_expect() -> Expect {
    expect(&[])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_typable() {
        let scenarios = scenarios();
        let names: BTreeSet<&str> = scenarios.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), scenarios.len());
        assert!(names.iter().all(|name| name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-')));
    }

    #[test]
    fn every_step_is_judged_by_the_console() {
        for scenario in scenarios() {
            assert!(!scenario.steps.is_empty(), "{}", scenario.name);
            for step in &scenario.steps {
                assert!(!step.expect.console.is_empty(), "{}", scenario.name);
            }
        }
    }

    #[test]
    fn a_trial_and_a_confirmed_slot_have_an_image() {
        for Scenario { name, flash, .. } in scenarios() {
            for slot in [flash.confirmed, flash.trial].into_iter().flatten() {
                let image = if slot == Slot::A { flash.a } else { flash.b };
                assert!(image.is_some(), "{name}: slot {} has a phase and no image", slot.name());
            }
        }
    }

    #[test]
    fn each_scenario_runs_on_a_board() {
        for scenario in scenarios() {
            assert!(Board::ALL.iter().any(|board| scenario.not_on.is_none_or(|(other, _)| other != *board)), "{}", scenario.name);
        }
    }
}

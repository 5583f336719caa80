//! Judges a boot by its console, its hand-off and its flash.

use twinslot_bootloader::journal::{Phase, State};
use twinslot_bootloader::slot::Slot;
use twinslot_config::Layout;
use twinslot_config::layout::Span;

use super::flash::Content;
use super::model::{Trial, told, words, words_or_none};
use super::power::Rested;
use super::scene::Scene;
use super::trace;
use crate::qemu::{End, Shown};

/// A boot and everything that the board did until it rested.
pub(super) struct Boot<'a> {
    pub(super) before: &'a Content,
    pub(super) shown: &'a Shown,
    pub(super) after: &'a Content,
}

/// What is wrong with the run of a scene that nothing disturbed.
pub(super) fn undisturbed(layout: &Layout, scene: &Scene, run: &Rested) -> Option<String> {
    let mut content = scene.flash.clone();
    content.apply(&run.stores);
    if content != run.after {
        return Some("the trace of the stores does not lead to the flash that the run left".to_owned());
    }
    let boot = Boot { before: &scene.flash, shown: &run.shown, after: &run.after };
    complaint(layout, scene, scene.path().first()?, &boot).or_else(|| trace::breach(&scene.flash, &run.stores, layout))
}

/// What is wrong with a boot that begins with the state `found`, and what it showed; `None` when all is as it must be.
pub(super) fn complaint(layout: &Layout, scene: &Scene, found: &State, boot: &Boot) -> Option<String> {
    let mut complaints = console(scene, found, &boot.shown.lines);
    if boot.shown.end != End::AtLine {
        complaints.push(format!("the board did not come to rest: {:?}", boot.shown.end));
    }
    complaints.extend(journal(layout, scene, found, boot));
    complaints.extend(bytes(layout, scene, boot));
    if complaints.is_empty() {
        return None;
    }
    let lines: Vec<String> = boot.shown.lines.iter().map(|line| format!("    {line}")).collect();
    Some(format!("{}\nthe journal held {}\nconsole:\n{}", complaints.join("\n"), words(found), lines.join("\n")))
}

/// The loader boots what the journal says and tells so; the board ends where it must.
fn console(scene: &Scene, found: &State, lines: &[String]) -> Vec<String> {
    let (boots, fields) = told(found);
    let mut own = lines.iter().skip_while(|line| !line.starts_with("twinslot: boot "));
    let mut complaints = Vec::new();
    if own.next() != Some(&boots) {
        complaints.push(format!("the loader must say {boots:?}"));
    }
    let until_next: Vec<&String> = own.take_while(|line| !line.starts_with("twinslot: ")).collect();
    let tells = scene.cast.trial != Trial::Rests || found.phase(found.preferred) != Phase::Trial;
    let missing = fields.iter().filter(|field| tells && !until_next.iter().any(|line| line.starts_with(field.as_str())));
    complaints.extend(missing.map(|field| format!("the hand-off must say {field:?}")));
    if lines.last().map(String::as_str) != Some(scene.last_line) {
        complaints.push(format!("the board must come to {:?}", scene.last_line));
    }
    complaints
}

/// The journal holds the state that the board must come to, in both logs; each commit has a sequence above every one that was begun.
fn journal(layout: &Layout, scene: &Scene, found: &State, boot: &Boot) -> Vec<String> {
    let (before, after) = (boot.before.journal(layout), boot.after.journal(layout));
    let path = scene.path_from(found);
    let mut complaints = Vec::new();
    let holds = after.newest.map(|record| record.state);
    if holds.as_ref() != path.last() {
        complaints.push(format!("the journal must hold {}, and holds {}", words_or_none(path.last()), words_or_none(holds.as_ref())));
    }
    if !after.clean {
        complaints.push("the two logs do not end in the same record, although the board is at rest".to_owned());
    }
    let [was, is] = [&before, &after].map(|journal| journal.newest.map_or(0, |record| record.sequence));
    let writes_nothing = path.len() == 1 && before.clean;
    if writes_nothing && boot.before != boot.after {
        complaints.push("a confirmed boot with a clean journal wrote to the flash".to_owned());
    }
    if !writes_nothing && is <= was + u64::from(before.torn) {
        complaints.push(format!("sequence {is} was used, and {} had been begun", was + u64::from(before.torn)));
    }
    complaints
}

/// Nothing but the journal changes, and slot B where something is installed: then it holds that.
fn bytes(layout: &Layout, scene: &Scene, boot: &Boot) -> Vec<String> {
    let installs = scene.staged.is_some();
    let writable: &[Span] = if installs { &[layout.journal, layout.slot_b] } else { &[layout.journal] };
    let touched = boot.before.first_difference(boot.after, writable).map(|at| format!("the flash was written at offset {at:#x}, where nobody may"));
    let held = scene.staged.as_ref().filter(|staged| !boot.after.region(layout.slot_b).starts_with(staged));
    touched.into_iter().chain(held.map(|_| format!("slot {} does not hold the image that was staged", Slot::B.name()))).collect()
}

//! Plays one cut again and shows everything.

use std::fmt::Write as _;

use anyhow::{Result, bail, ensure};
use twinslot_config::Layout;

use super::flash::{Content, Journal};
use super::judge::{self, Boot};
use super::model::words_or_none;
use super::power::{Power, Rested, Tracing};
use super::scene::Scene;
use super::{Stage, trace};
use crate::qemu::Shown;

/// The cut to play again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) scene: String,
    /// After how many stores of the run.
    pub(crate) after: usize,
    /// After how many stores of coming back, for a second cut.
    pub(crate) second: Option<usize>,
}

/// Cuts the power by killing the emulator, lets the board come back, and says what it showed. An error when it is not what it must be. The flash files
/// stay in the fixture's folder.
pub(crate) fn replay(stage: &Stage, scenes: &[Scene], case: &Case) -> Result<String> {
    let names: Vec<&str> = scenes.iter().map(|scene| scene.name).collect();
    let Some(scene) = scenes.iter().find(|scene| scene.name == case.scene) else {
        bail!("there is no scene {}; the scenes are {}", case.scene, names.join(", "));
    };
    let (power, layout) = (Power::new(stage)?, stage.fixture.layout());
    let mut text = String::new();
    let mut content = scene.flash.clone();
    let mut stores = power.on(&content, scene, Tracing::On)?.stores;
    for after in std::iter::once(case.after).chain(case.second) {
        ensure!((1..=stores.len()).contains(&after), "there are {} stores to cut after, and {after} is none of them", stores.len());
        let before = content.clone();
        content.apply(&stores[..after]);
        if let Some(complaint) = power.cut(&before, scene, after, &content)? {
            bail!("cut after store {after}: {complaint}");
        }
        let store = stores[after - 1];
        let _ = writeln!(text, "cut after store {after} of {}, to {:#x}; {}", stores.len(), store.address, held(&content, layout));
        stores = power.on(&content, scene, Tracing::On)?.stores;
    }
    keep(stage, scene, "after-the-cut", &content)?;
    let Rested { shown, after, .. } = power.on(&content, scene, Tracing::Off)?;
    keep(stage, scene, "come-back", &after)?;
    text.push_str(&describe(&shown));
    let _ = write!(text, "\n{}\nflash files: {}", held(&after, layout), stage.fixture.folder().display());
    if let Some(breach) = trace::breach(&content, &stores, layout) {
        bail!("{text}\ncoming back breaks a rule of the flash: {breach}");
    }
    let Some(found) = content.journal(layout).newest else { bail!("{text}\nthe journal holds nothing") };
    match judge::complaint(layout, scene, &found.state, &Boot { before: &content, shown: &shown, after: &after }) {
        Some(complaint) => bail!("{text}\n{complaint}"),
        None => Ok(format!("{text}\nas it must be")),
    }
}

fn keep(stage: &Stage, scene: &Scene, name: &str, content: &Content) -> Result<()> {
    content.write(&stage.fixture.folder().join(format!("{}-{name}.img", scene.name)))
}

fn held(content: &Content, layout: &Layout) -> String {
    let Journal { newest, clean, torn } = content.journal(layout);
    let (sequence, state) = (newest.map_or(0, |record| record.sequence), newest.map(|record| record.state));
    format!("the journal holds {sequence}: {}, clean {clean}, torn {torn}", words_or_none(state.as_ref()))
}

fn describe(shown: &Shown) -> String {
    let lines: Vec<String> = shown.lines.iter().map(|line| format!("    {line}")).collect();
    format!("the board came back ({:?}):\n{}", shown.end, lines.join("\n"))
}

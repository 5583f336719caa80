//! Runs of the board: traced, cut after a store, or left alone until it rests.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use super::Stage;
use super::flash::Content;
use super::scene::Scene;
use super::trace::{self, Store};
use crate::plugin::{Plan, Traced as TracedTo};
use crate::qemu::{End, Launch, PluginRun, Shown, run_until};

/// One board's power supply, with a flash file of its own.
pub(super) struct Power<'a> {
    stage: &'a Stage<'a>,
    folder: TempDir,
    flash: PathBuf,
}

/// Whether a run's stores are traced. It takes a fifth longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tracing {
    On,
    Off,
}

/// A run that is over.
pub(super) struct Rested {
    pub(super) shown: Shown,
    /// Its stores into the flash, when they were traced.
    pub(super) stores: Vec<Store>,
    pub(super) after: Content,
}

impl<'a> Power<'a> {
    pub(super) fn new(stage: &'a Stage<'a>) -> Result<Self> {
        let folder = tempfile::tempdir_in(stage.fixture.folder()).context("can not make a folder for the runs")?;
        let flash = folder.path().join("flash.img");
        Ok(Self { stage, folder, flash })
    }

    /// Switches the board on with that flash, and waits until it rests.
    pub(super) fn on(&self, content: &Content, scene: &Scene, tracing: Tracing) -> Result<Rested> {
        let entries = self.folder.path().join("trace");
        let trace = TracedTo { entries: entries.clone(), memory: self.flash.clone(), low: self.base()? };
        let plan = Plan { trace: Some(trace), ..self.plan()? };
        content.write(&self.flash)?;
        let shown = self.run(Some(plan).filter(|_| tracing == Tracing::On), scene)?;
        let stores = if tracing == Tracing::On { trace::read(&entries)? } else { Vec::new() };
        Ok(Rested { shown, stores, after: self.flash()? })
    }

    /// Cuts the power right after that many stores: the flash must be `expected` then.
    pub(super) fn cut(&self, content: &Content, scene: &Scene, after: usize, expected: &Content) -> Result<Option<String>> {
        content.write(&self.flash)?;
        let shown = self.run(Some(Plan { cut_at_store: Some(after as u64), ..self.plan()? }), scene)?;
        if shown.end != End::Cut {
            return Ok(Some(format!("the power was not cut, the run ended by itself: {shown:?}")));
        }
        let differs = self.flash()? != *expected;
        Ok(differs.then(|| "the power cut left another flash than the trace says".to_owned()))
    }

    fn plan(&self) -> Result<Plan> {
        let (base, layout) = (self.base()?, self.stage.fixture.layout());
        Ok(Plan { stores: Some(base..base + layout.flash_extent()), ..Plan::default() })
    }

    fn base(&self) -> Result<u64> {
        self.stage.fixture.layout().flash.base.context("the layout's flash has no address")
    }

    fn flash(&self) -> Result<Content> {
        Content::read(&self.flash, self.stage.fixture.layout())
    }

    fn run(&self, plan: Option<Plan>, scene: &Scene) -> Result<Shown> {
        let path = self.folder.path().join("plan");
        let plugin = plan.map(|plan| plan.write(&path).map(|_| PluginRun { file: self.stage.plugin, plan: &path })).transpose()?;
        let launch = Launch {
            board: self.stage.fixture.board(),
            loader: self.stage.loader,
            flash: &self.flash,
            folder: self.folder.path(),
            plugin,
            fill: None,
        };
        run_until(&launch, self.stage.time, |line| scene.is_over(line))
    }
}

//! The command line of the agent.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use lexopt::Arg;
use twinslot_agent::handoff::PROPERTY;
use twinslot_agent::verdict::Verdict;

pub(crate) const USAGE: &str = "usage:
  twinslot-agent status   --layout LAYOUT.toml --storage DEVICE
  twinslot-agent map-root --layout LAYOUT.toml --storage DEVICE [--handoff FILE] [--cmdline FILE]
  twinslot-agent install  --layout LAYOUT.toml --storage DEVICE --trust TRUST.toml [--handoff FILE] X.bundle
  twinslot-agent confirm  --layout LAYOUT.toml --storage DEVICE --trust TRUST.toml [--handoff FILE]
  twinslot-agent condemn  --layout LAYOUT.toml --storage DEVICE --trust TRUST.toml [--handoff FILE]
  twinslot-agent revert   --layout LAYOUT.toml --storage DEVICE --trust TRUST.toml [--handoff FILE]";

/// Where Linux shows its command line.
const COMMAND_LINE: &str = "/proc/cmdline";

/// What was asked for.
pub(crate) enum Parsed {
    Help,
    Version,
    Command { host: Host, command: Command },
}

impl Parsed {
    /// What has been done to the host by the time that the answer is there.
    pub(crate) const fn effect(&self) -> Effect {
        match self {
            Self::Command { command: Command::Install { .. } | Command::Judge { .. }, .. } => Effect::Whole,
            Self::Command { command: Command::MapRoot { .. }, .. } => Effect::Needed,
            Self::Command { command: Command::Status, .. } | Self::Help | Self::Version => Effect::None,
        }
    }
}

/// What a command has done to the host. It stays done, whether or not the answer can be printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing: it was for the answer.
    None,
    /// All that it was for: the answer only tells of it.
    Whole,
    /// Something that can not be used without the answer.
    Needed,
}

/// What every command needs.
pub(crate) struct Host {
    pub(crate) layout: PathBuf,
    pub(crate) storage: PathBuf,
}

/// A command with what only it needs.
pub(crate) enum Command {
    Status,
    MapRoot { handoff: PathBuf, command_line: PathBuf },
    Install { bundle: PathBuf, trust: PathBuf, handoff: PathBuf },
    Judge { verdict: Verdict, trust: PathBuf, handoff: PathBuf },
}

/// The names of the commands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Status,
    MapRoot,
    Install,
    Judge(Verdict),
}

/// Reads the arguments.
///
/// # Errors
/// Says which one is wrong or missing.
pub(crate) fn parse(mut arguments: lexopt::Parser) -> Result<Parsed> {
    let verb = match arguments.next()? {
        Some(Arg::Long("help") | Arg::Short('h')) => return Ok(Parsed::Help),
        Some(Arg::Long("version") | Arg::Short('V')) => return Ok(Parsed::Version),
        Some(Arg::Value(command)) if command == "status" => Verb::Status,
        Some(Arg::Value(command)) if command == "map-root" => Verb::MapRoot,
        Some(Arg::Value(command)) if command == "install" => Verb::Install,
        Some(Arg::Value(command)) if command == "confirm" => Verb::Judge(Verdict::Confirm),
        Some(Arg::Value(command)) if command == "condemn" => Verb::Judge(Verdict::Condemn),
        Some(Arg::Value(command)) if command == "revert" => Verb::Judge(Verdict::Revert),
        Some(other) => bail!("{}\n{USAGE}", other.unexpected()),
        None => bail!("what to do is missing\n{USAGE}"),
    };
    let Some(options) = Options::parse(verb, arguments)? else { return Ok(Parsed::Help) };
    options.finish(verb)
}

#[derive(Default)]
struct Options {
    layout: Option<PathBuf>,
    storage: Option<PathBuf>,
    trust: Option<PathBuf>,
    handoff: Option<PathBuf>,
    command_line: Option<PathBuf>,
    bundle: Option<PathBuf>,
}

impl Options {
    /// `None` when help was asked for.
    fn parse(verb: Verb, mut arguments: lexopt::Parser) -> Result<Option<Self>> {
        let mut options = Self::default();
        let writes = matches!(verb, Verb::Judge(_) | Verb::Install);
        while let Some(argument) = arguments.next()? {
            let (place, name) = match argument {
                Arg::Long("layout") => (&mut options.layout, "--layout"),
                Arg::Long("storage") => (&mut options.storage, "--storage"),
                Arg::Long("trust") if writes => (&mut options.trust, "--trust"),
                Arg::Long("handoff") if verb != Verb::Status => (&mut options.handoff, "--handoff"),
                Arg::Long("cmdline") if verb == Verb::MapRoot => (&mut options.command_line, "--cmdline"),
                Arg::Value(bundle) if verb == Verb::Install => {
                    set(&mut options.bundle, "the bundle", bundle)?;
                    continue;
                }
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                other => bail!("{}\n{USAGE}", other.unexpected()),
            };
            set(place, name, arguments.value()?)?;
        }
        Ok(Some(options))
    }

    fn finish(self, verb: Verb) -> Result<Parsed> {
        let host = Host { layout: required(self.layout, "--layout")?, storage: required(self.storage, "--storage")? };
        let handoff = self.handoff.unwrap_or_else(|| PROPERTY.into());
        let command = match verb {
            Verb::Status => Command::Status,
            Verb::MapRoot => Command::MapRoot { handoff, command_line: self.command_line.unwrap_or_else(|| COMMAND_LINE.into()) },
            Verb::Install => Command::Install { bundle: required(self.bundle, "the bundle")?, trust: required(self.trust, "--trust")?, handoff },
            Verb::Judge(verdict) => Command::Judge { verdict, trust: required(self.trust, "--trust")?, handoff },
        };
        Ok(Parsed::Command { host, command })
    }
}

fn required(option: Option<PathBuf>, name: &str) -> Result<PathBuf> {
    option.with_context(|| format!("{name} is missing\n{USAGE}"))
}

fn set(option: &mut Option<PathBuf>, name: &str, value: OsString) -> Result<()> {
    if option.replace(value.into()).is_some() {
        bail!("{name} stands twice\n{USAGE}");
    }
    Ok(())
}

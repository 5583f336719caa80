//! One fault again, told in detail.

use anyhow::{Context as _, Result, bail};
use thumb_interpreter::Fault;

use super::campaign::{Attack, Extent};
use super::hosts::{Case, Supply};

/// A fault on a host, as a finding names it: `bad-signature/confirmed:one:123`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Replay {
    pub(super) case: Case,
    pub(super) fault: Fault,
}

impl Replay {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let words: Vec<&str> = text.split(':').collect();
        let [case, kind, number] = words[..] else {
            bail!("a replay is HOST:KIND:NUMBER, like bad-signature/confirmed:one:123, and not {text:?}");
        };
        let decimal = || number.parse::<u64>().with_context(|| format!("{number:?} is no number of an instruction"));
        let fault = match kind {
            "one" => Fault::One(decimal()?),
            "pair" => Fault::Pair(decimal()?),
            "every" => {
                let digits = number.strip_prefix("0x").unwrap_or(number);
                Fault::Every(u32::from_str_radix(digits, 16).with_context(|| format!("{number:?} is no address"))?)
            }
            _ => bail!("there is no fault {kind}; the faults are one, pair, every"),
        };
        Ok(Self { case: Case::named(case)?, fault })
    }

    /// Tries the fault and says what came of it.
    pub(super) fn run(self, supply: &mut Supply) -> Result<String> {
        let host = supply.host(self.case)?;
        let attack = Attack::prepare(self.case, &host, Extent::Full)?;
        let mut machine = attack.machine();
        attack.reference().run_whole(&mut machine, self.fault, attack.limit());
        let console = machine.console();
        let pc = machine.registers()[15];
        let there: Vec<String> = machine.bytes(pc..pc.saturating_add(4)).iter().map(|byte| format!("{byte:02x}")).collect();
        let registers: Vec<String> = machine.registers().iter().map(|register| format!("{register:08x}")).collect();
        let outcome = attack.attempt(&mut machine, self.fault);
        Ok(format!(
            "{}: {}\nwithout the fault, console:\n{}with the fault, console:\n{}registers r0..r15 and flags at the end: {}\nbytes that r15 points to: {}",
            self.case,
            outcome.name(),
            indented(attack.reference().console()),
            indented(&console),
            registers.join(" "),
            there.join(" "),
        ))
    }
}

fn indented(console: &str) -> String {
    console.lines().map(|line| format!("    {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_names_host_kind_and_number() {
        let replay = Replay::parse("bad-signature/trial:every:0x1f0").expect("a replay");
        assert_eq!((replay.case.to_string().as_str(), replay.fault), ("bad-signature/trial", Fault::Every(0x1f0)));
        assert_eq!(Replay::parse("unknown-key/confirmed:pair:17").expect("a replay").fault, Fault::Pair(17));
    }

    #[test]
    fn what_is_no_replay_is_refused_with_the_reason() {
        for (text, part) in [
            ("x", "HOST:KIND:NUMBER"),
            ("bad-signature/trial:two:1", "one, pair, every"),
            ("none:one:1", "the hosts are"),
            ("bad-signature/trial:one:x", "no number"),
        ] {
            assert!(Replay::parse(text).is_err_and(|error| format!("{error:#}").contains(part)), "{text}");
        }
    }
}

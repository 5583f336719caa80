//! Runs the oracle beside our codec and compares answer by answer.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::case::{Case, Input};

/// How far our side may run ahead of the oracle.
const BACKLOG: usize = 512;

/// What came of many cases.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Cases by kind of input and code.
    pub(crate) codes: BTreeMap<(&'static str, u8), u64>,
    /// Disagreements by kind and both answers: how many, and the first of them.
    pub(crate) disagreements: BTreeMap<(&'static str, String, String), (u64, String)>,
}

impl Tally {
    pub(crate) fn cases(&self) -> u64 {
        self.codes.values().sum::<u64>() + self.disagreements.values().map(|(count, _)| count).sum::<u64>()
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (code, count) in other.codes {
            *self.codes.entry(code).or_default() += count;
        }
        for (key, (count, first)) in other.disagreements {
            self.disagreements.entry(key).or_insert((0, first)).0 += count;
        }
    }

    fn compare(&mut self, case: &Case, ours: &str, theirs: &str) {
        let (code, their_code) = (code(ours), code(theirs));
        if ours == theirs {
            let code = code.parse().expect("our own code");
            *self.codes.entry((case.input.name(), code)).or_default() += 1;
        } else {
            let key = (case.input.name(), code.to_owned(), their_code.to_owned());
            let first = || format!("{}\n  ours:   {ours}\n  oracle: {theirs}\n  input:  {}", case.label, case.line());
            self.disagreements.entry(key).or_insert_with(|| (0, first())).0 += 1;
        }
    }

    /// Fails with one disagreement of each sort when there are any.
    pub(crate) fn assert_agreement(&self) {
        for ((kind, ours, theirs), (count, first)) in &self.disagreements {
            eprintln!("{count} times, {kind}: our code {ours}, the oracle's {theirs}; first: {first}");
        }
        assert!(self.disagreements.is_empty(), "the readers disagree: see above; docs/format.md decides who is wrong");
    }
}

fn code(answer: &str) -> &str {
    answer.split(' ').next().unwrap_or_default()
}

impl Input {
    /// The kind, as the oracle calls it.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Header(..) => "header",
            Self::Bundle(..) => "bundle",
            Self::Index { .. } => "index",
            Self::Anchor { .. } => "anchor",
            Self::Signature { .. } => "signature",
            Self::Record(..) => "record",
        }
    }
}

/// Gives every case to the oracle and to a reader of ours.
pub(crate) fn compare(cases: impl Iterator<Item = Case> + Send, ours: impl Fn(&Case) -> String + Send) -> Tally {
    let mut child = start();
    let input = child.stdin.take().expect("a pipe was asked for");
    let output = child.stdout.take().expect("a pipe was asked for");
    let (sender, receiver) = sync_channel(BACKLOG);
    let tally = thread::scope(|scope| {
        scope.spawn(move || feed(cases, ours, input, &sender));
        collect(&receiver, output)
    });
    let status = child.wait().expect("the oracle is our child");
    assert!(status.success(), "the oracle ended with {status}");
    tally
}

fn start() -> Child {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("oracle/oracle.py");
    let child = Command::new("python3").arg("-B").arg(&script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    child.unwrap_or_else(|error| panic!("python3 can not be started ({error}): the oracle needs Python 3.11 or newer; install it and put it on PATH"))
}

/// Sends each case to the oracle, then our own answer to whoever compares.
fn feed(cases: impl Iterator<Item = Case>, ours: impl Fn(&Case) -> String, mut input: ChildStdin, sender: &SyncSender<(Case, String)>) {
    for case in cases {
        input.write_all(case.line().as_bytes()).expect("the oracle reads: see its message above");
        let ours = ours(&case);
        sender.send((case, ours)).expect("the comparison outlives the cases");
    }
}

fn collect(receiver: &Receiver<(Case, String)>, output: ChildStdout) -> Tally {
    let mut tally = Tally::default();
    let mut lines = BufReader::new(output).lines();
    for (case, ours) in receiver {
        let theirs = lines.next().expect("the oracle answers every case: see its message above").expect("the oracle writes text");
        tally.compare(&case, &ours, &theirs);
    }
    tally
}

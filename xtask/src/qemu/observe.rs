//! What a run of a board shows, and when it is over.

use std::path::PathBuf;
use std::time::Duration;

/// One thing that the emulator showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Observed {
    /// A line on the console.
    Line(String),
    /// QEMU reported the end of a boot.
    Reset(Reset),
    /// The console was closed: the emulator is gone.
    Gone,
}

/// How a boot ended, by QEMU's own events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reset {
    /// The watchdog device did it.
    Watchdog,
    /// The guest asked for a reset.
    Guest,
    /// The guest switched itself off.
    PowerOff,
}

/// Bounds of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Wall time.
    pub(crate) time: Duration,
    /// Boots of the loader.
    pub(crate) boots: usize,
    pub(crate) rest: Rest,
}

/// When a board has nothing more to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// The application is idle, or the loader halted.
    Application,
    /// The loader has said what it does: boots or halts.
    Loader,
    /// The program of the vectors has run them all, or has failed.
    Vectors,
}

/// Why a run is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The board came to rest: the application is idle, or the loader halted.
    AtRest,
    /// The emulator ended by itself or was cut.
    Gone,
    /// The limit of time.
    TimedOut,
    /// The limit of boots.
    TooManyBoots,
}

/// Everything that a run showed.
#[derive(Debug, Clone)]
pub(crate) struct Transcript {
    /// Console lines in their order.
    pub(crate) lines: Vec<String>,
    /// Ends of boots in their order, whoever caused them.
    pub(crate) resets: Vec<Reset>,
    pub(crate) ended: Ended,
    pub(crate) wall: Duration,
    /// The raw log stream, undecoded.
    pub(crate) log: PathBuf,
    /// Reports of a watchdog that ran out. QEMU reports each reset, but a watchdog at most once a second: there may be fewer of these than there
    /// were, never more, and none without one.
    pub(crate) watchdogs: usize,
}

impl Transcript {
    pub(crate) fn new(log: PathBuf) -> Self {
        Self { lines: Vec::new(), resets: Vec::new(), ended: Ended::Gone, wall: Duration::ZERO, log, watchdogs: 0 }
    }

    /// Takes in what was observed; `Some` when the run is over.
    pub(crate) fn take(&mut self, observed: Observed, limits: Limits) -> Option<Ended> {
        match observed {
            Observed::Gone => return Some(Ended::Gone),
            Observed::Reset(reset) => self.take_reset(reset),
            Observed::Line(line) => return self.take_line(line, limits),
        }
        None
    }

    /// A watchdog is reported on its own; the reset that it causes is reported like any other.
    fn take_reset(&mut self, reset: Reset) {
        match reset {
            Reset::Watchdog => self.watchdogs += 1,
            Reset::Guest | Reset::PowerOff => self.resets.push(reset),
        }
    }

    fn take_line(&mut self, line: String, limits: Limits) -> Option<Ended> {
        let rests = limits.rest.is_reached_by(&line);
        self.lines.push(line);
        match rests {
            true => Some(Ended::AtRest),
            false if self.boots() > limits.boots => Some(Ended::TooManyBoots),
            false => None,
        }
    }

    /// How often the loader decided.
    pub(crate) fn boots(&self) -> usize {
        self.lines.iter().filter(|line| line.starts_with("twinslot: boot ")).count()
    }

    /// The transcript as text for a person, resets counted below it.
    pub(crate) fn describe(&self) -> String {
        let lines: Vec<String> = self.lines.iter().map(|line| format!("    {line}")).collect();
        format!(
            "console ({:?} after {:.1} s, resets {:?}, watchdog reports {}):\n{}",
            self.ended,
            self.wall.as_secs_f64(),
            self.resets,
            self.watchdogs,
            lines.join("\n")
        )
    }
}

impl Rest {
    /// Whether nothing more will come after this line.
    fn is_reached_by(self, line: &str) -> bool {
        let halts = line.starts_with("twinslot: halt ") || line.starts_with("twinslot: recover ");
        match self {
            Self::Application => halts || line == "app: idle",
            Self::Loader => halts || line.starts_with("twinslot: boot "),
            Self::Vectors => line == "vectors: done" || line == "vectors: the program failed",
        }
    }
}

/// Splits what arrives on a console into lines: carriage returns and ANSI colour codes are dropped, broken UTF-8 is replaced.
pub(crate) fn clean_line(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    let mut clean = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\u{1b}' => skip_escape(&mut letters),
            '\r' | '\n' | '\0' => {}
            _ => clean.push(letter),
        }
    }
    clean
}

/// An escape sequence ends with its first letter.
fn skip_escape(letters: &mut impl Iterator<Item = char>) {
    for letter in letters.by_ref() {
        if letter.is_ascii_alphabetic() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { time: Duration::from_secs(1), boots: 2, rest: Rest::Application };

    fn feed(observed: &[Observed]) -> (Transcript, Option<Ended>) {
        let mut transcript = Transcript::new(PathBuf::new());
        let ended = observed.iter().find_map(|one| transcript.take(one.clone(), LIMITS));
        (transcript, ended)
    }

    fn line(text: &str) -> Observed {
        Observed::Line(text.to_owned())
    }

    #[test]
    fn a_watchdog_and_the_reset_that_it_causes_count_once_each() {
        let (transcript, _) = feed(&[Reset::Watchdog, Reset::Guest, Reset::Guest, Reset::Watchdog, Reset::Guest].map(Observed::Reset));
        assert_eq!(transcript.resets, [Reset::Guest; 3]);
        assert_eq!(transcript.watchdogs, 2);
    }

    #[test]
    fn a_run_ends_when_the_board_rests() {
        for rest in ["app: idle", "twinslot: halt code=1", "twinslot: recover code=42"] {
            assert_eq!(feed(&[line("twinslot: boot slot=a why=confirmed"), line(rest)]).1, Some(Ended::AtRest), "{rest}");
        }
        assert_eq!(feed(&[line("app: idle not")]).1, None);
    }

    #[test]
    fn a_board_that_keeps_booting_is_stopped() {
        let boot = line("twinslot: boot slot=a why=confirmed");
        assert_eq!(feed(&[boot.clone(), boot.clone()]).1, None);
        assert_eq!(feed(&[boot.clone(), boot.clone(), boot]).1, Some(Ended::TooManyBoots));
    }

    #[test]
    fn lines_lose_colours_carriage_returns_and_broken_text() {
        assert_eq!(clean_line(b"\x1b[1;31mtwinslot: halt\x1b[0m code=7\r\n"), "twinslot: halt code=7");
        assert_eq!(clean_line(b"a\xffb"), "a\u{fffd}b");
        assert_eq!(clean_line(b"open \x1b["), "open ");
    }
}

//! A life with what goes wrong in it, in one line that can be written down and lived again.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use twinslot_bootloader::reason::ResetCause;

use crate::board::Board;
use crate::life::Life;
use crate::medium::Fault;
use crate::tear::{Loss, Tear};

/// How a host learns why it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Causes {
    /// As it is.
    True,
    /// Always this one.
    Always(ResetCause),
}

impl Causes {
    /// Every way.
    pub const ALL: [Self; 4] = [Self::True, Self::Always(ResetCause::PowerOn), Self::Always(ResetCause::Watchdog), Self::Always(ResetCause::Unknown)];

    /// What the host is told.
    #[must_use]
    pub const fn told(self, cause: ResetCause) -> ResetCause {
        match self {
            Self::True => cause,
            Self::Always(cause) => cause,
        }
    }
}

impl fmt::Display for Causes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::True => f.write_str("true-cause"),
            Self::Always(cause) => write!(f, "always-{}", cause.name()),
        }
    }
}

/// What goes wrong in a step.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// The power is cut at an operation.
    Cut(usize, Tear, Loss),
    /// The power is cut while nothing is written, before the step.
    PowerFails,
    /// The storage fails once.
    Fault(Fault),
}

/// A life and what goes wrong in it, by the number of the step.
#[derive(Debug, Clone)]
pub struct Script {
    /// The flash.
    pub board: &'static Board,
    /// The life.
    pub life: &'static Life,
    /// How it learns why it started.
    pub causes: Causes,
    /// What goes wrong, by the number of the step, ascending.
    pub troubles: Vec<(usize, Trouble)>,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut(at, tear, loss) => write!(f, "cut@{at}/{tear}/{}", loss_name(*loss)),
            Self::PowerFails => f.write_str("power-fails"),
            Self::Fault(Fault::Unreadable(range)) => write!(f, "unreadable@{}..{}", range.start, range.end),
            Self::Fault(Fault::Swallowed(at)) => write!(f, "swallowed@{at}"),
            Self::Fault(Fault::Denied(at)) => write!(f, "denied@{at}"),
            Self::Fault(Fault::Failed(at)) => write!(f, "failed@{at}"),
            Self::Fault(Fault::OtherBytes(at)) => write!(f, "other-bytes@{at}"),
        }
    }
}

const fn loss_name(loss: Loss) -> &'static str {
    match loss {
        Loss::Nothing => "kept",
        Loss::Everything => "lost",
        Loss::Newest => "newest-lost",
        Loss::AllButNewest => "newest-kept",
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.board.name, self.life.name, self.causes)?;
        self.troubles.iter().try_for_each(|(step, trouble)| write!(f, " {step}:{trouble}"))
    }
}

impl FromStr for Script {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let mut words = line.split_whitespace();
        let mut word = |what: &str| words.next().ok_or_else(|| format!("{what} is missing: BOARD LIFE CAUSES [STEP:TROUBLE]..."));
        let (board, life, causes) = (word("the board")?, word("the life")?, word("the causes")?);
        Ok(Self {
            board: Board::named(board).ok_or_else(|| format!("{board:?} is no board"))?,
            life: Life::named(life).ok_or_else(|| format!("{life:?} is no life"))?,
            causes: Causes::ALL.into_iter().find(|way| way.to_string() == causes).ok_or_else(|| format!("{causes:?} is no way to be told"))?,
            troubles: words.map(trouble_at).collect::<Result<_, _>>()?,
        })
    }
}

fn trouble_at(word: &str) -> Result<(usize, Trouble), String> {
    let (step, trouble) = word.split_once(':').ok_or_else(|| format!("{word:?} is not STEP:TROUBLE"))?;
    Ok((number(step)?, trouble.parse()?))
}

impl FromStr for Trouble {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        if word == "power-fails" {
            return Ok(Self::PowerFails);
        }
        let (kind, detail) = word.split_once('@').ok_or_else(|| format!("{word:?} is no trouble"))?;
        match kind {
            "cut" => cut(detail),
            "unreadable" => Ok(Self::Fault(Fault::Unreadable(range(detail)?))),
            "swallowed" => Ok(Self::Fault(Fault::Swallowed(number(detail)?))),
            "denied" => Ok(Self::Fault(Fault::Denied(number(detail)?))),
            "failed" => Ok(Self::Fault(Fault::Failed(number(detail)?))),
            "other-bytes" => Ok(Self::Fault(Fault::OtherBytes(number(detail)?))),
            _ => Err(format!("{kind:?} is no trouble")),
        }
    }
}

fn cut(detail: &str) -> Result<Trouble, String> {
    let words: Vec<&str> = detail.split('/').collect();
    let [at, tear, loss] = words[..] else { return Err(format!("{detail:?} is not OPERATION/TEAR/LOSS")) };
    let loss = Loss::ALL.into_iter().find(|pattern| loss_name(*pattern) == loss).ok_or_else(|| format!("{loss:?} is no loss"))?;
    Ok(Trouble::Cut(number(at)?, tear.parse()?, loss))
}

fn range(detail: &str) -> Result<Range<usize>, String> {
    let (start, end) = detail.split_once("..").ok_or_else(|| format!("{detail:?} is not START..END"))?;
    Ok(number(start)?..number(end)?)
}

fn number(word: &str) -> Result<usize, String> {
    word.parse().map_err(|_| format!("{word:?} is no number"))
}

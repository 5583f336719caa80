//! What a command gives back: data that is printed once, as text or as JSON, and an exit code.
//!
//! Exit codes: 0 done or accepted, 1 refused (with a stable code and a reason), 2 usage, input or output.

use std::{fmt::Display, path::Path};

use serde::Serialize;
use serde_json::{Map, Value, json};
use twinslot_bootloader::rejection::Rejection;

use crate::refusal::Refusal;

/// What a command found or did.
pub trait Report {
    /// For people.
    fn text(&self) -> String;

    /// For programs.
    fn json(&self) -> Value;
}

impl<T: Display + Serialize> Report for T {
    fn text(&self) -> String {
        self.to_string()
    }

    fn json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_else(|error| json!({ "unprintable": error.to_string() }))
    }
}

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub enum Failure {
    /// What was read is not acceptable: exit code 1.
    Refused(Refusal),
    /// The command could not be carried out: exit code 2.
    Trouble(anyhow::Error),
}

/// What every command returns.
pub type Outcome = Result<Box<dyn Report>, Failure>;

impl Failure {
    /// Says which file an image's refusal is about.
    #[must_use]
    pub fn about(self, path: &Path) -> Self {
        match self {
            Self::Refused(Refusal::Image(rejection)) => Refusal::OneImage { what: path.display().to_string(), rejection }.into(),
            other => other,
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        Self::Refused(rejection.into())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Trouble(error)
    }
}

/// How the outcome is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Text for people; failures on standard error.
    Text,
    /// One JSON object on standard output, whatever the outcome.
    Json,
}

/// What goes where, and the exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Printout {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The exit code.
    pub exit_code: u8,
}

/// Turns an outcome into what is printed.
#[must_use]
pub fn print(outcome: &Outcome, format: Format) -> Printout {
    let exit_code = match outcome {
        Ok(_) => 0,
        Err(Failure::Refused(_)) => 1,
        Err(Failure::Trouble(_)) => 2,
    };
    match format {
        Format::Json => Printout { stdout: line(&as_json(outcome).to_string()), stderr: String::new(), exit_code },
        Format::Text => match outcome {
            Ok(report) => Printout { stdout: line(&report.text()), stderr: String::new(), exit_code },
            Err(failure) => Printout { stdout: String::new(), stderr: line(&as_text(failure)), exit_code },
        },
    }
}

fn as_text(failure: &Failure) -> String {
    match failure {
        Failure::Refused(refusal) => format!("hosttool: refused: {} (code {} {})", reason(refusal), refusal.code(), refusal.name()),
        Failure::Trouble(error) => format!("hosttool: {error:#}"),
    }
}

fn as_json(outcome: &Outcome) -> Value {
    match outcome {
        Ok(report) => with_outcome(report.json()),
        Err(Failure::Refused(refusal)) => {
            json!({ "outcome": "refused", "code": refusal.code(), "name": refusal.name(), "reason": reason(refusal) })
        }
        Err(Failure::Trouble(error)) => json!({ "outcome": "failed", "error": format!("{error:#}") }),
    }
}

/// Quoted TOML ends in a line break.
fn reason(refusal: &Refusal) -> String {
    refusal.to_string().trim_end().to_owned()
}

fn with_outcome(report: Value) -> Value {
    let mut object = Map::new();
    object.insert("outcome".to_owned(), "done".into());
    match report {
        Value::Object(fields) => object.extend(fields),
        other => drop(object.insert("report".to_owned(), other)),
    }
    Value::Object(object)
}

fn line(text: &str) -> String {
    if text.is_empty() || text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") }
}

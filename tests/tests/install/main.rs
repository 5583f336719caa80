//! The writer: what it refuses, what it verifies before it writes, how it resumes, and what becomes of a slot afterwards.

mod hosts;
mod verdicts;
mod writing;

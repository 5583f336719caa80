//! Reads `layout.toml` and `trust.toml`, for board build scripts, the host tool and the agent.
//!
//! A [`Layout`] exists only when every rule of [`layout`] holds, a [`Trust`] only when the verifier accepts it as a trust anchor. Both come from
//! text that is small and local; neither needs the network or the environment. Everything here runs on a host.
#![forbid(unsafe_code)]

pub mod build;
mod excerpt;
pub mod layout;
pub mod test_keys;
pub mod trust;

pub use excerpt::SyntaxError;
pub use layout::{Layout, LayoutError};
pub use trust::{Trust, TrustError};

//! Who mail from other servers is really from.
//!
//! ```text
//! MAIL … DATA ─▶ begin ──────────▶ SPF, iprev ──────────────────────────┐
//! header ──────▶ header ─▶ forged fields out ─▶ keys, ARC, DMARC records ┤ finish ─▶ fields,
//! body ────────▶ body ───▶ hashes, as it streams by ─────────────────────┘           refusal
//! ```
//!
//! Lookups run beside the arrival of the message, each bounded in number and all together in time;
//! what nobody answers is `temperror`. [`Authentication`] puts the parts together behind the
//! transport contract; the parts ([`spf`], [`dkim`], [`dmarc`], [`arc`], [`iprev`]) ask only
//! [`base::env::Dns`], which remembers answers. [`Dkim`] signs mail of our own.

pub mod arc;
mod checking;
mod config;
pub mod dkim;
pub mod dmarc;
mod findings;
pub mod header;
pub mod iprev;
mod lookups;
mod results;
mod seal;
mod signing;
pub mod spf;
pub mod strip;
mod told;

pub use checking::Authentication;
pub use config::{Action, Config};
pub use signing::Dkim;

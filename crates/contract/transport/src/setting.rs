//! Settings of the organisation that are one word each, in the store for all nodes (Exchange:
//! TransportConfig). Where one is not set, what a node's file says holds, or the default.

use async_trait::async_trait;
use base::{Error, Result};
use contract_directory::Actor;
use serde::{Deserialize, Serialize};

/// How many settings there may be: one for each connector, and the others.
pub const SETTINGS_MAX: usize = 500;

/// The longest name: of a connector, with what stands before it.
const NAME_BYTES_MAX: usize = 120;

/// What DMARC policies of others lead to.
pub const DMARC: &str = "authentication.dmarc";
/// What a hard SPF failure leads to.
pub const SPF: &str = "authentication.spf";
/// Whether mail from the machine itself is checked.
pub const CHECK_LOOPBACK: &str = "authentication.check_loopback";
/// The language of reports for senders whose message tells none.
pub const REPORT_LANGUAGE: &str = "report_language";
/// Whether how connections to other servers go is logged.
pub const CONNECTIVITY_LOG: &str = "connectivity_log";
/// Whether what IMAP clients ask is logged.
pub const IMAP_LOG: &str = "protocol_log.imap";
/// With a receive connector's name behind it: whether what its clients say is logged.
pub const RECEIVE_LOG: &str = "protocol_log.receive.";
/// With a send connector's name behind it: whether what is said to its hosts is logged.
pub const SEND_LOG: &str = "protocol_log.send.";

/// A log that tells every line.
pub const VERBOSE: &str = "verbose";

const ACTIONS: &[&str] = &["enforce", "quarantine", "report"];
const LOG_LEVELS: &[&str] = &["none", VERBOSE];
const ON_OFF: &[&str] = &["on", "off"];

/// A setting that there can be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Known {
    /// Its name; one that ends with a dot goes on with a connector's name.
    pub name: &'static str,
    /// What it may be.
    pub values: &'static [&'static str],
    /// What holds where it is not set; `None` where each node's file says so.
    pub default: Option<&'static str>,
    /// What it is for.
    pub about: &'static str,
}

/// Every setting that there can be.
pub const KNOWN: &[Known] = &[
    Known {
        name: DMARC,
        values: ACTIONS,
        default: None,
        about: "what happens to mail that fails the DMARC policy of its author's domain",
    },
    Known {
        name: SPF,
        values: ACTIONS,
        default: None,
        about: "what happens to mail that fails SPF hard where DMARC does not pass",
    },
    Known {
        name: CHECK_LOOPBACK,
        values: ON_OFF,
        default: None,
        about: "whether mail from a node's own machine is checked, too",
    },
    Known {
        name: REPORT_LANGUAGE,
        values: &["en", "de", "fr", "es"],
        default: Some("en"),
        about: "the language of reports where the message tells none",
    },
    Known {
        name: CONNECTIVITY_LOG,
        values: ON_OFF,
        default: Some("on"),
        about: "whether each node logs how its connections to other servers go",
    },
    Known {
        name: IMAP_LOG,
        values: LOG_LEVELS,
        default: Some("none"),
        about: "whether each node logs the commands of IMAP clients",
    },
    Known {
        name: RECEIVE_LOG,
        values: LOG_LEVELS,
        default: Some("none"),
        about: "whether what clients of the receive connector say is logged",
    },
    Known {
        name: SEND_LOG,
        values: LOG_LEVELS,
        default: Some("none"),
        about: "whether what is said to hosts of the send connector is logged",
    },
];

/// A setting that somebody has set.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Setting {
    /// Its name, in lower case.
    pub name: String,
    /// Its value, in lower case.
    pub value: String,
}

impl Setting {
    /// A setting as people write it.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`] where there is no such setting, or it cannot be that; with what it
    /// can be.
    pub fn new(name: &str, value: &str) -> Result<Self> {
        let setting = Self { name: name.to_lowercase(), value: value.to_lowercase() };
        setting.check()?;
        Ok(setting)
    }

    /// As [`Setting::new`].
    ///
    /// # Errors
    /// As [`Setting::new`].
    pub fn check(&self) -> Result<()> {
        let known = known(&self.name)?;
        if known.values.contains(&self.value.as_str()) {
            return Ok(());
        }
        Err(Error::invalid(format!("{} is one of: {}", self.name, known.values.join(", "))))
    }
}

/// What is known of a setting.
///
/// # Errors
/// [`base::Kind::Invalid`] where there is no such setting.
pub fn known(name: &str) -> Result<&'static Known> {
    let is_it = |known: &&Known| match known.name.strip_suffix('.') {
        Some(_) => name.strip_prefix(known.name).is_some_and(|connector| !connector.is_empty()),
        None => known.name == name,
    };
    let found = KNOWN.iter().find(is_it).filter(|_| name.len() <= NAME_BYTES_MAX);
    found.ok_or_else(|| {
        let all = |known: &Known| match known.name.ends_with('.') {
            true => format!("{}NAME", known.name),
            false => known.name.to_owned(),
        };
        let all: Vec<_> = KNOWN.iter().map(all).collect();
        let text =
            format!("\"{}\" is no setting; there are {}", name.escape_debug(), all.join(", "));
        Error::invalid(text)
    })
}

/// Whoever keeps the settings.
#[async_trait]
pub trait OrganisationSettings: Send + Sync + 'static {
    /// What a setting is as this node knows; `None` where nobody has set it. Costs no lookup.
    fn setting(&self, name: &str) -> Option<String>;

    /// All that somebody has set, by name.
    ///
    /// # Errors
    /// The store's.
    async fn settings(&self) -> Result<Vec<Setting>>;

    /// Sets one, and writes an audit record.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`], and the store's.
    async fn set(&self, actor: &Actor, setting: Setting) -> Result<()>;

    /// Takes one back, and writes an audit record.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`] where it is not set, and the store's.
    async fn reset(&self, actor: &Actor, name: &str) -> Result<()>;
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_those_that_there_are() {
        let fits = |name, value| Setting::new(name, value).is_ok();
        for (name, value) in [
            ("report_language", "de"),
            ("Report_Language", "DE"),
            ("authentication.dmarc", "quarantine"),
            ("protocol_log.receive.printers", "verbose"),
            ("protocol_log.imap", "none"),
        ] {
            assert!(fits(name, value), "{name} {value}");
        }
        for (name, value) in [
            ("report_language", "klingon"),
            ("authentication", "enforce"),
            ("protocol_log.receive.", "verbose"),
            ("protocol_log.receive", "verbose"),
            ("protocol_log.imap.x", "verbose"),
            ("protocol_log.imap", "loud"),
            ("", ""),
        ] {
            assert!(!fits(name, value), "{name} {value}");
        }
        assert!(!fits(&format!("{RECEIVE_LOG}{}", "x".repeat(200)), "verbose"));
        let error = Setting::new("speed", "9").unwrap_err();
        assert!(error.text.contains("protocol_log.send.NAME"), "{error}");
    }
}

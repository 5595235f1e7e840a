//! What a parser of the configuration cannot see: that it makes sense as a whole, that files are
//! there and usable. Each problem says where it stands.
//!
//! A node does not start with what could never work. What works today but needs a person, such as
//! a certificate that has run out, is a problem for `rialto config check` and a warning at a start:
//! a server that stays away helps nobody.

use super::certificate::{Certificate, Trouble};
use super::config::{ConfigFile, ListenerSection, NodeConfig, Protocol};
use crate::cli::StoreKind;
use access_listener::TlsMode;
use base::{Error, Result, Timestamp};
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use toml::de::{DeTable, DeValue};

/// The greatest share of the slots that a node may ask for.
const WEIGHT_MAX: u32 = 10_000;

/// The longest name of a node in a cluster.
const NAME_BYTES_MAX: usize = 64;

/// Something that is wrong.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    file: Option<PathBuf>,
    line: Option<usize>,
    /// The key, such as `listener[2].tls`; lists count from 0.
    key: String,
    text: String,
    /// Whether a node must not start with it.
    pub is_fatal: bool,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", file.display())?;
        }
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        if self.file.is_some() {
            write!(f, " ")?;
        }
        write!(f, "{}: {}", self.key, self.text)
    }
}

/// A step on the way to a value: a key, or a place in a list.
#[derive(Clone, Copy)]
enum Step<'a> {
    Key(&'a str),
    Place(usize),
}

struct Checker<'c> {
    config: &'c NodeConfig,
    problems: Vec<Problem>,
}

impl NodeConfig {
    /// Everything that is wrong, in the order of the file's sections.
    pub(crate) fn problems(&self, now: Timestamp) -> Vec<Problem> {
        let mut checker = Checker { config: self, problems: Vec::new() };
        checker.node();
        checker.store();
        checker.tls(now);
        checker.cluster();
        checker.pressure();
        checker.listeners();
        checker.problems
    }

    /// Whether a node may start with it; what is wrong but not fatal is logged.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`], with a line for each problem.
    pub(crate) fn check(&self, now: Timestamp) -> Result<()> {
        let problems = self.problems(now);
        for problem in problems.iter().filter(|problem| !problem.is_fatal) {
            tracing::warn!(%problem, "the configuration");
        }
        let fatal = problems.iter().filter(|problem| problem.is_fatal);
        let lines: Vec<String> = fatal.map(ToString::to_string).collect();
        if lines.is_empty() { Ok(()) } else { Err(Error::invalid(lines.join("\n"))) }
    }
}

impl Checker<'_> {
    fn add(&mut self, path: &[Step<'_>], is_fatal: bool, text: impl Into<String>) {
        let file = self.config.file.as_ref();
        self.problems.push(Problem {
            line: file.and_then(|file| line_of(file, path)),
            file: file.map(|file| file.path.clone()),
            key: name_of(path),
            text: text.into(),
            is_fatal,
        });
    }

    fn node(&mut self) {
        let path = [Step::Key("node"), Step::Key("data")];
        let data = &self.config.node.data;
        let socket = data.join(super::SOCKET);
        if let Err(error) = access_admin::check_socket_path(&socket) {
            self.add(&path, true, error.text);
        }
        if let Ok(found) = std::fs::metadata(data)
            && found.permissions().mode() & 0o077 != 0
        {
            let text = format!("{}: others may look into it; chmod 700", data.display());
            self.add(&path, false, text);
        }
        if self.config.node.host_name.trim().is_empty() {
            self.add(&[Step::Key("node"), Step::Key("host_name")], true, "must not be empty");
        }
    }

    fn store(&mut self) {
        let store = &self.config.store;
        if store.kind == StoreKind::Foundationdb {
            if store.cluster_file.as_ref().is_some_and(|file| !file.is_file()) {
                let path = [Step::Key("store"), Step::Key("cluster_file")];
                let file = store.cluster_file.clone().unwrap_or_default();
                self.add(&path, true, format!("{} is no file", file.display()));
            }
            return;
        }
        let set = [
            ("cluster_file", store.cluster_file.is_some()),
            ("key_prefix", !store.key_prefix.is_empty()),
            ("library", store.library.is_some()),
        ];
        for (key, _) in set.into_iter().filter(|(_, is_set)| *is_set) {
            let path = [Step::Key("store"), Step::Key(key)];
            self.add(&path, true, "only with kind = \"foundationdb\"");
        }
    }

    fn tls(&mut self, now: Timestamp) {
        let Some(files) = &self.config.tls else {
            return;
        };
        for Trouble { key, text, is_fatal } in Certificate::troubles(files, now) {
            self.add(&[Step::Key("tls"), Step::Key(key)], is_fatal, text);
        }
    }

    fn cluster(&mut self) {
        let config = self.config;
        let Some(section) = &config.cluster else {
            return;
        };
        let path = |key| [Step::Key("cluster"), Step::Key(key)];
        if config.store.kind != StoreKind::Foundationdb {
            let text = "the nodes of a cluster share their store: [store] must have kind = \
                        \"foundationdb\"";
            self.add(&[Step::Key("cluster")], true, text);
        }
        let (listen, advertised) = (section.listen, section.advertised());
        if advertised.ip().is_unspecified() || advertised.port() == 0 {
            let key = if section.address.is_some() { "address" } else { "listen" };
            let text = format!(
                "the other nodes cannot reach {advertised}: give the node's own with \"address\""
            );
            self.add(&path(key), true, text);
        }
        if !(1..=WEIGHT_MAX).contains(&section.weight) {
            self.add(&path("weight"), true, format!("1 to {WEIGHT_MAX}"));
        }
        if let Some(other) = config.listeners.iter().find(|other| other.address == listen) {
            let text = format!("listener \"{}\" listens on {listen}, too", other.name);
            self.add(&path("listen"), true, text);
        }
        if config.health.as_ref().is_some_and(|health| health.address == listen) {
            self.add(&path("listen"), true, format!("[health] listens on {listen}, too"));
        }
        if self.config.node.name.len() > NAME_BYTES_MAX {
            let text = format!("at most {NAME_BYTES_MAX} bytes in a cluster");
            self.add(&[Step::Key("node"), Step::Key("name")], true, text);
        }
    }

    fn pressure(&mut self) {
        if let Err(error) = self.config.pressure.check() {
            self.add(&[Step::Key("pressure")], true, error.text);
        }
    }

    fn listeners(&mut self) {
        let config = self.config;
        for (place, listener) in config.listeners.iter().enumerate() {
            let path = |key| [Step::Key("listener"), Step::Place(place), Step::Key(key)];
            let (name, address) = (&listener.name, listener.address);
            if config.tls.is_none() && listener.tls != TlsMode::None {
                let text = format!("listener \"{name}\" needs a certificate: add [tls]");
                self.add(&path("tls"), true, text);
            }
            let is_beyond = !address.ip().to_canonical().is_loopback();
            if listener.protocol != Protocol::Smtp && listener.tls == TlsMode::None && is_beyond {
                let text = format!(
                    "listener \"{name}\" would take passwords in clear on {address}: use \
                     \"starttls\" or \"implicit\", or listen on 127.0.0.1"
                );
                self.add(&path("tls"), true, text);
            }
            let mut earlier = config.listeners[..place].iter();
            if let Some(other) = earlier.find(|other| other.address == address) {
                let text = format!("listener \"{}\" listens on {address} already", other.name);
                self.add(&path("address"), true, text);
            }
            self.proxies(place, listener);
        }
    }

    fn proxies(&mut self, place: usize, listener: &ListenerSection) {
        let path = |key| {
            [Step::Key("listener"), Step::Place(place), Step::Key("proxy_protocol"), Step::Key(key)]
        };
        let (name, Some(proxies)) = (&listener.name, &listener.proxy_protocol) else {
            return;
        };
        if proxies.from.is_empty() {
            let text = format!("listener \"{name}\" would believe nobody: name the proxies");
            self.add(&path("from"), true, text);
        }
        if let Some(range) = proxies.from.iter().find(|range| range.is_everything()) {
            let text = format!(
                "listener \"{name}\" believes everybody ({range}): whoever reaches it can take any \
                 address"
            );
            self.add(&path("from"), false, text);
        }
    }
}

fn name_of(path: &[Step<'_>]) -> String {
    let mut name = String::new();
    for step in path {
        match step {
            Step::Key(key) if name.is_empty() => name.push_str(key),
            Step::Key(key) => name.push_str(&format!(".{key}")),
            Step::Place(place) => name.push_str(&format!("[{place}]")),
        }
    }
    name
}

/// The line of the last step of a path that the file has, counted from 1.
fn line_of(file: &ConfigFile, path: &[Step<'_>]) -> Option<usize> {
    let root = DeTable::parse(&file.text).ok()?;
    let (first, rest) = path.split_first()?;
    let Step::Key(first) = first else { return None };
    let mut found = root.get_ref().get(*first)?;
    for step in rest {
        let inner = match (step, found.get_ref()) {
            (Step::Key(key), DeValue::Table(table)) => table.get(*key),
            (Step::Place(place), DeValue::Array(array)) => array.get(*place),
            _ => None,
        };
        match inner {
            Some(inner) => found = inner,
            None => break,
        }
    }
    let before = file.text.get(..found.span().start)?;
    Some(before.matches('\n').count() + 1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

//! What a parser of the configuration cannot see: that it makes sense as a whole, that files are
//! there and usable. Each problem says where it stands.
//!
//! A node does not start with what could never work. What works today but needs a person, such as
//! a certificate that has run out, is a problem for `rialto config check` and a warning at a start:
//! a server that stays away helps nobody.

use super::certificate::{Certificate, Trouble};
use super::config::{ConfigFile, NodeConfig, Protocol};
use crate::cli::StoreKind;
use access_listener::TlsMode;
use base::{Error, Result, Timestamp};
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use toml::de::{DeTable, DeValue};

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
mod tests {
    use super::*;
    use crate::node::certificate::testing;

    const NODE: &str = "[node]\nname = \"n\"\nhost_name = \"h.example\"\ndata = \"/nowhere/x\"\n";

    /// Lines that begin so are reported, and nothing else. `FILE` stands for the file's name.
    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rialto.toml");
        std::fs::write(&path, text).unwrap();
        let problems = match NodeConfig::read(&path) {
            Ok(config) => config.problems(testing::NOW),
            Err(error) => {
                assert_eq!(expected.len(), 1, "{error}");
                assert!(error.text.contains(expected[0]), "{error} does not tell {expected:?}");
                return;
            }
        };
        let name = path.display().to_string();
        let found: Vec<_> = problems.iter().map(|p| p.to_string().replace(&name, "FILE")).collect();
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found} instead of {expected}");
        }
    }

    fn listener(protocol: &str, address: &str, tls: &str) -> String {
        format!(
            "[[listener]]\nname = \"l\"\naddress = \"{address}\"\nprotocol = \"{protocol}\"\n\
             tls = \"{tls}\"\n"
        )
    }

    #[test]
    fn mistakes_are_named_with_file_line_and_key() {
        check(NODE, &[]);
        check(&format!("{NODE}speed = 9\n"), &["line 5"]);
        check("[node]\nname = 1\n", &["line 2"]);
        let implicit = listener("imap", "127.0.0.1:993", "implicit");
        check(
            &format!("{NODE}{implicit}"),
            &["FILE:9: listener[0].tls: listener \"l\" needs a certificate"],
        );
        let plain = listener("smtp", "127.0.0.1:25", "none");
        check(
            &format!("{NODE}{plain}{plain}"),
            &["FILE:12: listener[1].address: listener \"l\" listens on 127.0.0.1:25 already"],
        );
        check(&NODE.replace("h.example", ""), &["FILE:3: node.host_name: "]);
    }

    #[test]
    fn passwords_are_taken_in_clear_on_this_machine_only() {
        for protocol in ["submission", "imap"] {
            for address in ["0.0.0.0:1", "192.0.2.1:1", "[::]:1", "[2001:db8::1]:1"] {
                let clear = listener(protocol, address, "none");
                check(
                    &format!("{NODE}{clear}"),
                    &["FILE:9: listener[0].tls: listener \"l\" would"],
                );
            }
            for address in ["127.0.0.1:1", "127.8.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
                check(&format!("{NODE}{}", listener(protocol, address, "none")), &[]);
            }
        }
        check(&format!("{NODE}{}", listener("smtp", "0.0.0.0:25", "none")), &[]);
    }

    #[test]
    fn stores_have_their_own_options() {
        check(&format!("{NODE}[store]\nkind = \"embedded\"\n"), &[]);
        check(
            &format!("{NODE}[store]\nkind = \"embedded\"\nkey_prefix = \"x\"\nlibrary = \"y\"\n"),
            &["FILE:7: store.key_prefix: only with", "FILE:8: store.library: only with"],
        );
        check(&format!("{NODE}[store]\nkind = \"foundationdb\"\nkey_prefix = \"x\"\n"), &[]);
        check(
            &format!("{NODE}[store]\nkind = \"foundationdb\"\ncluster_file = \"/no/where\"\n"),
            &["FILE:7: store.cluster_file: /no/where is no file"],
        );
        check(&format!("{NODE}[store]\nkind = \"sqlite\"\n"), &["unknown variant `sqlite`"]);
    }

    #[test]
    fn data_directories_have_short_names_and_are_private() {
        let long = format!("/{}", "x".repeat(100));
        check(&NODE.replace("/nowhere/x", &long), &["FILE:4: node.data: the path of the admin"]);
        let dir = tempfile::tempdir().unwrap();
        let text = NODE.replace("/nowhere/x", &dir.path().display().to_string());
        let set_mode = |mode| {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(dir.path(), permissions).unwrap();
        };
        set_mode(0o700);
        check(&text, &[]);
        set_mode(0o750);
        check(&text, &["FILE:4: node.data: "]);
    }

    #[test]
    fn certificates_are_read_and_understood() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        testing::write(dir.path(), "good", 0, 90);
        testing::write(dir.path(), "other", 0, 90);
        testing::write(dir.path(), "old", -90, -1);
        testing::write(dir.path(), "early", 1, 90);
        testing::write(dir.path(), "soon", -80, 5);
        std::fs::write(at("text.pem"), "no certificate\n").unwrap();
        let with = |certificate: &str, key: &str| {
            let (certificate, key) = (at(certificate), at(key));
            format!("{NODE}[tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n")
        };
        check(&with("good.pem", "good.key"), &[]);
        check(&with("none.pem", "good.key"), &["FILE:6: tls.certificate: "]);
        check(&with("good.pem", "none.key"), &["FILE:7: tls.key: "]);
        check(&with("text.pem", "good.key"), &["FILE:6: tls.certificate: "]);
        check(&with("good.pem", "text.pem"), &["FILE:7: tls.key: "]);
        check(&with("good.pem", "other.key"), &["FILE:7: tls.key: "]);
        let old = "FILE:6: tls.certificate: it has run out on ";
        check(&with("old.pem", "old.key"), &[old]);
        check(&with("early.pem", "early.key"), &["FILE:6: tls.certificate: it is good from "]);
        check(&with("soon.pem", "soon.key"), &["FILE:6: tls.certificate: it will run out in 5 d"]);
    }

    /// An old certificate is better than no server; a wrong key serves nobody.
    #[test]
    fn a_node_starts_with_what_works() {
        let dir = tempfile::tempdir().unwrap();
        testing::write(dir.path(), "old", -90, -1);
        testing::write(dir.path(), "good", 0, 90);
        let config = |certificate: &str, key: &str| {
            let (certificate, key) = (dir.path().join(certificate), dir.path().join(key));
            let tls = format!("[tls]\ncertificate = {certificate:?}\nkey = {key:?}\n");
            let path = dir.path().join("rialto.toml");
            std::fs::write(&path, format!("{NODE}{tls}")).unwrap();
            NodeConfig::read(&path).unwrap()
        };
        config("old.pem", "old.key").check(testing::NOW).unwrap();
        config("good.pem", "old.key").check(testing::NOW).unwrap_err();
    }
}

//! A node's configuration as `rialto dev --nodes` wrote it, and as the world needs it: the node
//! reaches the store through its gate, and listens for its links behind the switch.

use crate::failure::{Failure, Result};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The well-known port of health and counters.
const HEALTH: u16 = 9090;

/// What a world needs to know of a node.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeFile {
    /// The file.
    pub path: PathBuf,
    /// The node's name.
    pub name: String,
    /// Its data directory.
    pub data: PathBuf,
    /// Its ports are this plus the well-known ones.
    pub base: u16,
    /// Where the others reach its links.
    pub link_port: u16,
    table: Table,
}

impl NodeFile {
    /// Reads a file.
    ///
    /// # Errors
    /// If it is none, or lacks what the world needs.
    pub fn read(path: &Path) -> Result<NodeFile> {
        let text = fs::read_to_string(path)
            .map_err(|error| Failure(format!("{}: {error}", path.display())))?;
        NodeFile::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<NodeFile> {
        let table: Table = text.parse().map_err(|e| Failure(format!("{}: {e}", path.display())))?;
        let word = |section: &str, name: &str| {
            let found = table.get(section).and_then(|section| section.get(name)?.as_str());
            found.ok_or_else(|| Failure(format!("{}: no {section}.{name}", path.display())))
        };
        let port = |section: &str, name: &str| {
            let address: SocketAddr = word(section, name)?.parse().map_err(|_| {
                Failure(format!("{}: {section}.{name} is no address", path.display()))
            })?;
            Ok::<u16, Failure>(address.port())
        };
        let data = PathBuf::from(word("node", "data")?);
        let base = port("health", "address")?.saturating_sub(HEALTH);
        let link_port = port("cluster", "address").or_else(|_| port("cluster", "listen"))?;
        let name = word("node", "name")?.to_owned();
        Ok(NodeFile { path: path.to_owned(), name, data, base, link_port, table })
    }

    /// Has the node reach the store by this cluster file.
    pub fn set_cluster_file(&mut self, file: &Path) {
        self.set("store", "cluster_file", Value::String(file.display().to_string()));
    }

    /// Has the node listen for its links on this port of loopback, while the others go on to use the
    /// one that they know.
    pub fn listen_behind(&mut self, port: u16) {
        let at = |port| Value::String(SocketAddr::from((Ipv4Addr::LOCALHOST, port)).to_string());
        let known = self.link_port;
        self.set("cluster", "listen", at(port));
        self.set("cluster", "address", at(known));
    }

    /// Has all listeners believe whoever connects from this address who the client is, and require
    /// to be told (docs/cluster.md, "PROXY protocol").
    pub fn believe(&mut self, address: Ipv4Addr) {
        let from = Value::Array(vec![Value::String(format!("{address}/32"))]);
        let believed = Table::from_iter([("from".to_owned(), from)]);
        let listeners = self.table.get_mut("listener").and_then(Value::as_array_mut);
        for listener in listeners.into_iter().flatten().filter_map(Value::as_table_mut) {
            listener.insert("proxy_protocol".to_owned(), Value::Table(believed.clone()));
        }
    }

    /// As a file of another node, which has not been there before.
    pub fn rename(&mut self, path: PathBuf, name: &str, data: PathBuf) {
        self.set("node", "name", Value::String(name.to_owned()));
        self.set("node", "host_name", Value::String(format!("{name}.rialto.test")));
        self.set("node", "data", Value::String(data.display().to_string()));
        (self.path, self.name, self.data) = (path, name.to_owned(), data);
    }

    /// Moves every port that it names up.
    pub fn raise_ports(&mut self, by: u16) {
        self.base += by;
        self.link_port += by;
        for (_, value) in &mut self.table {
            raise(value, by);
        }
    }

    fn set(&mut self, section: &str, name: &str, value: Value) {
        let section = self.table.entry(section).or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(section) = section {
            section.insert(name.to_owned(), value);
        }
    }

    /// Writes the file.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn write(&self) -> Result<()> {
        let text = toml::to_string(&self.table).map_err(|error| Failure(error.to_string()))?;
        Ok(fs::write(&self.path, text)?)
    }
}

fn raise(value: &mut Value, by: u16) {
    match value {
        Value::String(text) => {
            if let Ok(mut address) = text.parse::<SocketAddr>() {
                address.set_port(address.port() + by);
                *text = address.to_string();
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| raise(value, by)),
        Value::Table(table) => table.iter_mut().for_each(|(_, value)| raise(value, by)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[node]\nname = \"node-1\"\nhost_name = \"x\"\ndata = \"/d/node-1/data\"\n\
        [store]\nkind = \"foundationdb\"\ncluster_file = \"/d/fdb.cluster\"\n\
        [health]\naddress = \"127.0.0.1:20090\"\n[cluster]\nlisten = \"127.0.0.1:18400\"\n\
        [[listener]]\nname = \"imap\"\naddress = \"127.0.0.1:11143\"\nprotocol = \"imap\"\n";

    #[test]
    fn what_the_world_changes_is_changed_and_all_else_stays() {
        let mut file = NodeFile::parse(Path::new("x.toml"), TEXT).unwrap();
        assert_eq!((file.name.as_str(), file.base, file.link_port), ("node-1", 11_000, 18_400));
        file.set_cluster_file(Path::new("/w/gate"));
        file.listen_behind(9);
        file.believe(Ipv4Addr::new(127, 0, 0, 2));
        let text = toml::to_string(&file.table).unwrap();
        let again = NodeFile::parse(Path::new("x.toml"), &text).unwrap();
        assert_eq!((again.base, again.link_port), (11_000, 18_400));
        assert!(text.contains("listen = \"127.0.0.1:9\"") && text.contains("/w/gate"), "{text}");
        assert!(text.contains("127.0.0.2/32"), "{text}");
        assert!(text.contains("kind = \"foundationdb\"") && text.contains("127.0.0.1:11143"));
    }

    #[test]
    fn a_file_for_one_more_node_is_made_from_that_of_another() {
        let mut file = NodeFile::parse(Path::new("x.toml"), TEXT).unwrap();
        file.rename("y.toml".into(), "node-3", "/d/node-3/data".into());
        file.raise_ports(2_000);
        let text = toml::to_string(&file.table).unwrap();
        assert_eq!((file.base, file.link_port), (13_000, 20_400));
        for expected in ["127.0.0.1:13143", "127.0.0.1:22090", "127.0.0.1:20400", "/d/node-3/data"]
        {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = NodeFile::parse(Path::new("x.toml"), "[node]\nname = \"a\"\n").unwrap_err();
        assert!(error.0.contains("no node.data"), "{error}");
    }
}

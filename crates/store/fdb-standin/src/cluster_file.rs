//! The file that says where the server is: `description:id@ip:port[,ip:port…]`.

use crate::codes;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Where the real library looks when nothing else is said.
const DEFAULT_PATH: &str = "/etc/foundationdb/fdb.cluster";

/// The line for a server at `address`.
pub fn text(address: SocketAddr) -> String {
    format!("rialto:standin@{address}\n")
}

/// Writes the file for a server at `address`.
///
/// # Errors
/// Those of the disk.
pub fn write(path: &Path, address: SocketAddr) -> std::io::Result<()> {
    std::fs::write(path, text(address))
}

/// The file to use when the caller names none: `FDB_CLUSTER_FILE`, then `fdb.cluster` here, then
/// the default place.
fn default_path() -> PathBuf {
    match std::env::var_os("FDB_CLUSTER_FILE") {
        Some(named) if !named.is_empty() => named.into(),
        _ if Path::new("fdb.cluster").exists() => "fdb.cluster".into(),
        _ => DEFAULT_PATH.into(),
    }
}

/// The server's address from a cluster file (`None` or empty: the default one).
///
/// # Errors
/// 1515 where there is no file, 2104 where it makes no sense.
pub(crate) fn read(path: Option<&OsStr>) -> Result<SocketAddr, i32> {
    let path = match path {
        Some(path) if !path.is_empty() => PathBuf::from(path),
        _ => default_path(),
    };
    let text = std::fs::read_to_string(path).map_err(|_| codes::NO_CLUSTER_FILE)?;
    parse(&text)
}

/// The first coordinator of a connection string. Lines that begin with `#` do not count.
///
/// # Errors
/// 2104.
pub(crate) fn parse(text: &str) -> Result<SocketAddr, i32> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or("").trim());
    let line: String = lines.collect();
    let (names, places) = line.split_once('@').ok_or(codes::BAD_CONNECTION_STRING)?;
    let named = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let ok = names.split_once(':').is_some_and(|(description, id)| named(description) && named(id));
    let first = places.split(',').next().unwrap_or("").trim();
    let first = first.strip_suffix(":tls").unwrap_or(first);
    match first.parse() {
        Ok(address) if ok => Ok(address),
        _ => Err(codes::BAD_CONNECTION_STRING),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let expected = expected.map(|e| e.parse().expect("an address"));
        assert_eq!(parse(text).ok(), expected, "{text}");
    }

    #[test]
    fn cluster_files_are_read_as_the_real_one_reads_them() {
        check("a:b@127.0.0.1:4500", Some("127.0.0.1:4500"));
        check("# words\n a_1:b2@127.0.0.1:4500,10.0.0.1:4500 \n", Some("127.0.0.1:4500"));
        check("a:b@127.0.0.1:4500:tls", Some("127.0.0.1:4500"));
        check(&text("127.0.0.1:1".parse().expect("an address")), Some("127.0.0.1:1"));
        for bad in ["", "a:b", "a@127.0.0.1:4500", "a:b@", "a:b@127.0.0.1", "a-b:c@127.0.0.1:1"] {
            check(bad, None);
        }
    }
}

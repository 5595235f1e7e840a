//! Where a scanner listens.

use crate::connector::is_host;
use base::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// The longest path of a socket, in bytes: what Linux's `sockaddr_un` holds.
const PATH_BYTES_MAX: usize = 107;

/// Where a scanner listens. Stable in the store: append variants, never reorder.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ScannerPlace {
    /// TCP.
    Tcp {
        /// A name or an address.
        host: String,
        /// The port.
        port: u16,
    },
    /// A socket on the machine of each node.
    Unix(String),
}

impl ScannerPlace {
    /// Refuses what can never be reached.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`], with the text.
    pub fn check(&self) -> Result<()> {
        let works = match self {
            Self::Tcp { host, port } => {
                *port != 0 && (host.parse::<IpAddr>().is_ok() || is_host(host))
            }
            Self::Unix(path) => {
                path.starts_with('/')
                    && path.len() <= PATH_BYTES_MAX
                    && !path.chars().any(char::is_control)
            }
        };
        if works {
            return Ok(());
        }
        let shown = self.to_string();
        let shown = shown.escape_debug();
        Err(Error::invalid(format!("\"{shown}\" is no place: HOST:PORT or unix:/PATH")))
    }
}

impl fmt::Display for ScannerPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

impl FromStr for ScannerPlace {
    type Err = Error;

    /// Reads `HOST:PORT`, `[IPV6]:PORT` or `unix:/PATH`.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`], with the text.
    fn from_str(text: &str) -> Result<Self> {
        let place = match text.strip_prefix("unix:") {
            Some(path) => Self::Unix(path.to_owned()),
            None => {
                let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
                let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
                let host = match inner {
                    Some(inner) => inner.parse::<Ipv6Addr>().map(|ip| ip.to_string()),
                    // An IPv6 address needs its brackets: who knows where the port begins?
                    None if host.contains(':') => Ok(String::new()),
                    None => Ok(host.to_ascii_lowercase()),
                };
                let host = host.unwrap_or_default();
                Self::Tcp { host, port: port.parse().unwrap_or(0) }
            }
        };
        let wrong = || {
            let shown = text.escape_debug();
            Error::invalid(format!("\"{shown}\" is no place: HOST:PORT or unix:/PATH"))
        };
        place.check().map(|()| place).map_err(|_| wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_shown() {
        let check = |text: &str, expect: Option<&str>| {
            let found = text.parse::<ScannerPlace>().ok().map(|place| place.to_string());
            assert_eq!(found.as_deref(), expect, "{text:?}");
        };
        check("127.0.0.1:3310", Some("127.0.0.1:3310"));
        check("[::1]:11333", Some("[::1]:11333"));
        check("Rspamd.example:11333", Some("rspamd.example:11333"));
        check("localhost:1", Some("localhost:1"));
        check("unix:/run/clamav/clamd.ctl", Some("unix:/run/clamav/clamd.ctl"));
        let long = format!("unix:/{}", "x".repeat(107));
        for wrong in [
            "",
            ":",
            "host",
            "host:",
            "host:0",
            "host:65536",
            ":25",
            "a b:1",
            "::1:25",
            "[::1]",
            "[x]:1",
            "unix:",
            "unix:clamd.ctl",
            "unix:/a\nb",
            &long,
        ] {
            check(wrong, None);
        }
    }
}

//! PROXY protocol, versions 1 and 2: who a client behind a load balancer really is.
//!
//! A proxy that the configuration trusts begins each connection with a header that names the client.
//! What comes from anywhere else is never looked at for one: there a header is what the client
//! says, and the protocol refuses it (attack 13). Shapes and the least sizes that a receiver must
//! take are of HAProxy's `proxy-protocol.txt` of 2020 (§2.1 and §2.2).
//!
//! Only the header is taken off the stream, never a byte behind it: a TLS handshake may follow.

use crate::config::ProxyProtocol;
use base::Deadline;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};

/// A proxy sends its header with the connection; what takes longer only holds a place.
pub(crate) const HEADER_TIME: Duration = Duration::from_secs(5);

/// What every header of version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// What every header of version 1 begins with.
const WORD: &[u8] = b"PROXY ";
/// The longest line of version 1, with its line end.
const LINE_BYTES_MAX: usize = 107;
/// The fixed part of version 2.
const FIXED_BYTES: usize = 16;
/// The most that may follow the fixed part: addresses (216 bytes at most) and what proxies add,
/// such as the names of a client's certificate, which nobody reads here.
const REST_BYTES_MAX: usize = 4_096;

/// Why a header is not one.
#[derive(Debug)]
pub(crate) enum Wrong {
    /// The connection ended before its first byte, as a health check does.
    Nothing,
    /// It ended or broke within the header.
    Broken(io::Error),
    /// It did not come in time.
    Late,
    /// It says something else.
    Garbage(&'static str),
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nothing => f.write_str("closed without a byte"),
            Self::Broken(error) => write!(f, "ended within the header: {error}"),
            Self::Late => f.write_str("no whole header in time"),
            Self::Garbage(what) => f.write_str(what),
        }
    }
}

impl ProxyProtocol {
    /// Whether who connects from here must say for whom.
    pub(crate) fn trusts(&self, peer: IpAddr) -> bool {
        self.from.iter().any(|range| range.contains(peer))
    }
}

/// Takes a header off a stream: the client's address, or `None` where the proxy speaks for itself
/// or does not know. What was read is appended to `taken`, for the log.
pub(crate) async fn read_header<S>(
    stream: &mut S,
    taken: &mut Vec<u8>,
) -> Result<Option<SocketAddr>, Wrong>
where
    S: AsyncRead + Unpin + ?Sized,
{
    let deadline = Deadline::after(HEADER_TIME);
    match tokio::time::timeout_at(deadline.instant(), header(stream, taken)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Wrong::Late),
    }
}

async fn header<S>(stream: &mut S, taken: &mut Vec<u8>) -> Result<Option<SocketAddr>, Wrong>
where
    S: AsyncRead + Unpin + ?Sized,
{
    while taken.len() < SIGNATURE.len() {
        more(stream, taken, SIGNATURE.len() - taken.len()).await?;
        let is_word = taken.starts_with(WORD) || WORD.starts_with(taken);
        if !is_word && !SIGNATURE.starts_with(taken) {
            return Err(Wrong::Garbage("no PROXY header"));
        }
    }
    if !taken.starts_with(SIGNATURE) {
        // Byte by byte: nothing else tells where the line ends without taking what follows it.
        while !taken.ends_with(b"\n") {
            if taken.len() >= LINE_BYTES_MAX {
                return Err(Wrong::Garbage("a line that is too long"));
            }
            more(stream, taken, 1).await?;
        }
        return version_1(taken).ok_or(Wrong::Garbage("a line that is not version 1's"));
    }
    all(stream, taken, FIXED_BYTES).await?;
    let rest_bytes = match taken.get(14..16) {
        Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
        _ => 0,
    };
    if rest_bytes > REST_BYTES_MAX {
        return Err(Wrong::Garbage("a header that is too long"));
    }
    all(stream, taken, FIXED_BYTES + rest_bytes).await?;
    version_2(taken)
}

/// Reads until there are so many bytes.
async fn all<S>(stream: &mut S, taken: &mut Vec<u8>, bytes: usize) -> Result<(), Wrong>
where
    S: AsyncRead + Unpin + ?Sized,
{
    while taken.len() < bytes {
        more(stream, taken, bytes - taken.len()).await?;
    }
    Ok(())
}

/// Reads at least one byte and at most so many.
async fn more<S>(stream: &mut S, taken: &mut Vec<u8>, bytes_max: usize) -> Result<(), Wrong>
where
    S: AsyncRead + Unpin + ?Sized,
{
    let mut limited = stream.take(bytes_max as u64);
    match limited.read_buf(taken).await {
        Ok(0) if taken.is_empty() => Err(Wrong::Nothing),
        Ok(0) => Err(Wrong::Broken(io::ErrorKind::UnexpectedEof.into())),
        Ok(_) => Ok(()),
        Err(_) if taken.is_empty() => Err(Wrong::Nothing),
        Err(error) => Err(Wrong::Broken(error)),
    }
}

/// A whole line: family, two addresses, two ports; or that the client is not known.
fn version_1(line: &[u8]) -> Option<Option<SocketAddr>> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix("\r\n")?.strip_prefix("PROXY ")?;
    if line == "UNKNOWN" || line.starts_with("UNKNOWN ") {
        return Some(None);
    }
    let fields: Vec<&str> = line.split(' ').collect();
    let [family, source, destination, source_port, destination_port] = fields[..] else {
        return None;
    };
    let ip = |text: &str| match family {
        "TCP4" => text.parse().ok().map(IpAddr::V4),
        "TCP6" => text.parse().ok().map(IpAddr::V6),
        _ => None,
    };
    ip(destination)?;
    port(destination_port)?;
    Some(Some(SocketAddr::new(ip(source)?, port(source_port)?)))
}

/// Decimal, without sign and leading zeros.
fn port(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_short = text == "0" || !text.starts_with('0');
    text.parse().ok().filter(|_| is_plain && is_short)
}

/// A whole header with signature, length and all that the length announces.
fn version_2(header: &[u8]) -> Result<Option<SocketAddr>, Wrong> {
    let short = Wrong::Garbage("an address that is cut off");
    let Some((fixed, rest)) = header.split_at_checked(FIXED_BYTES) else {
        return Err(short);
    };
    let (is_local, family) = match (fixed.get(12), fixed.get(13)) {
        (Some(0x20), Some(family)) => (true, *family),
        (Some(0x21), Some(family)) => (false, *family),
        _ => return Err(Wrong::Garbage("a version or command that does not exist")),
    };
    if is_local {
        return Ok(None);
    }
    match family {
        // Unspecified, and clients of a local socket: they have no address to count.
        0x00 | 0x31 => Ok(None),
        0x11 => match rest.get(..12) {
            Some(&[a, b, c, d, _, _, _, _, high, low, ..]) => {
                let ip = Ipv4Addr::new(a, b, c, d);
                Ok(Some(SocketAddr::new(ip.into(), u16::from_be_bytes([high, low]))))
            }
            _ => Err(short),
        },
        0x21 => {
            let source: Option<[u8; 16]> = rest.get(..16).and_then(|ip| ip.try_into().ok());
            match (source, rest.get(32..36)) {
                (Some(ip), Some(&[high, low, _, _])) => {
                    let ip = Ipv6Addr::from(ip);
                    Ok(Some(SocketAddr::new(ip.into(), u16::from_be_bytes([high, low]))))
                }
                _ => Err(short),
            }
        }
        _ => Err(Wrong::Garbage("a transport that is no TCP connection")),
    }
}

#[cfg(test)]
mod tests;

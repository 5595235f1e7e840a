//! Ranges of addresses: `10.1.2.0/24`, `10.1.2.3`, `10.1.2.10-10.1.2.20`.

use base::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The widest range for which trust can be meant: 10.0.0.0/8 and fc00::/7, the largest networks
/// that are anybody's own.
const WIDE_V4: u128 = 1 << 24;
const WIDE_V6: u128 = 1 << 121;

/// All addresses from one to another, of one family. An IPv4 address is one, however it is written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct AddressRange {
    first: IpAddr,
    last: IpAddr,
}

impl AddressRange {
    /// All addresses of both families.
    pub fn everything() -> [Self; 2] {
        let (v4, v6) = (Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into());
        [
            Self { first: v4, last: Ipv4Addr::BROADCAST.into() },
            Self { first: v6, last: Ipv6Addr::from_bits(u128::MAX).into() },
        ]
    }

    /// Whether an address is in it.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        // `IpAddr` orders by family first.
        ip.is_ipv4() == self.first.is_ipv4() && self.first <= ip && ip <= self.last
    }

    /// How many addresses it has, less one: the smaller, the more is said of a client in it.
    pub fn size(&self) -> u128 {
        bits(self.last) - bits(self.first)
    }

    /// Whether some address is in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.first) || other.contains(self.first)
    }

    /// Whether it is larger than a network of somebody's own can be.
    pub fn is_wide(&self) -> bool {
        self.size() >= if self.first.is_ipv4() { WIDE_V4 } else { WIDE_V6 }
    }

    /// The length of the prefix that all of its addresses have and no others.
    fn prefix_bits(&self) -> Option<u32> {
        let size = self.size();
        let aligned = size & size.wrapping_add(1) == 0 && bits(self.first) & size == 0;
        let width = if self.first.is_ipv4() { 32 } else { 128 };
        aligned.then(|| width - (u128::BITS - size.leading_zeros()))
    }
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_bits().into(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

fn no_range(text: &str, why: impl fmt::Display) -> Error {
    Error::invalid(format!("\"{}\" is no range of addresses: {why}", text.escape_debug()))
}

fn address(whole: &str, text: &str) -> Result<IpAddr> {
    let text = text.trim();
    text.parse().map_err(|_| no_range(whole, format!("\"{}\" is no address", text.escape_debug())))
}

/// The addresses that begin with the same bits as `first`.
fn network(whole: &str, first: IpAddr, prefix: &str) -> Result<AddressRange> {
    let width = if first.is_ipv4() { 32 } else { 128 };
    let prefix_bits = prefix.parse::<u32>().ok().filter(|bits| *bits <= width);
    let prefix_bits =
        prefix_bits.ok_or_else(|| no_range(whole, format!("a prefix has 0 to {width} bits")))?;
    let host = 1_u128.checked_shl(width - prefix_bits).map_or(u128::MAX, |size| size - 1);
    let with = |ip: u128| match first {
        IpAddr::V4(_) => Ipv4Addr::from_bits(u32::try_from(ip).unwrap_or(u32::MAX)).into(),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(ip)),
    };
    let begin = with(bits(first) & !host);
    if begin != first {
        return Err(no_range(whole, format!("it begins at {begin}/{prefix_bits}")));
    }
    Ok(AddressRange { first, last: with(bits(first) | host) })
}

impl FromStr for AddressRange {
    type Err = Error;

    /// # Errors
    /// [`base::Kind::Invalid`]: what is wrong. Bits behind a prefix are: they are a mistake in one
    /// of the two.
    fn from_str(text: &str) -> Result<Self> {
        let Self { first, last } = match (text.split_once('/'), text.split_once('-')) {
            (Some((first, prefix)), _) => network(text, address(text, first)?, prefix.trim())?,
            (None, Some((first, last))) => {
                Self { first: address(text, first)?, last: address(text, last)? }
            }
            (None, None) => {
                let only = address(text, text)?;
                Self { first: only, last: only }
            }
        };
        let (was_v6, first, last) = (first.is_ipv6(), first.to_canonical(), last.to_canonical());
        if first.is_ipv4() != last.is_ipv4() {
            let why = match was_v6 {
                true => "it is partly IPv4",
                false => "it begins as IPv4 and ends as IPv6",
            };
            return Err(no_range(text, why));
        }
        if first > last {
            return Err(no_range(text, "it ends before it begins"));
        }
        Ok(Self { first, last })
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix_bits() {
            _ if self.first == self.last => write!(f, "{}", self.first),
            Some(bits) => write!(f, "{}/{bits}", self.first),
            None => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

impl TryFrom<String> for AddressRange {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<AddressRange> for String {
    fn from(range: AddressRange) -> Self {
        range.to_string()
    }
}

//! Ranges of addresses, as `10.0.0.0/8` or `2001:db8::1`.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// All addresses that begin with the same bits. An IPv4 address is one, however it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct IpRange {
    first: IpAddr,
    prefix_bits: u8,
}

impl IpRange {
    /// Whether an address is one of them.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.first, ip.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(ip)) => {
                (first.to_bits() ^ ip.to_bits()) & mask_v4(self.prefix_bits) == 0
            }
            (IpAddr::V6(first), IpAddr::V6(ip)) => {
                (first.to_bits() ^ ip.to_bits()) & mask_v6(self.prefix_bits) == 0
            }
            _ => false,
        }
    }

    /// Whether it is every address of its family.
    pub fn is_everything(&self) -> bool {
        self.prefix_bits == 0
    }
}

fn mask_v4(bits: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0)
}

fn mask_v6(bits: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0)
}

impl FromStr for IpRange {
    type Err = String;

    /// # Errors
    /// What is wrong. Bits behind the prefix are: they are a mistake in one of the two.
    fn from_str(text: &str) -> Result<Self, String> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let first: IpAddr =
            address.parse().map_err(|_| format!("\"{text}\" is no address or range"))?;
        let bits_max = if first.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match bits.map(u8::from_str) {
            None => bits_max,
            Some(Ok(bits)) if bits <= bits_max => bits,
            Some(_) => return Err(format!("\"{text}\": the prefix is 0 to {bits_max} bits")),
        };
        let begin = match first {
            IpAddr::V4(ip) => IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits() & mask_v4(prefix_bits))),
            IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & mask_v6(prefix_bits))),
        };
        if first != begin {
            return Err(format!("\"{text}\": the range begins at {begin}/{prefix_bits}"));
        }
        match (first.to_canonical(), first) {
            (IpAddr::V4(v4), IpAddr::V6(_)) if prefix_bits >= 96 => {
                Ok(Self { first: v4.into(), prefix_bits: prefix_bits - 96 })
            }
            _ => Ok(Self { first, prefix_bits }),
        }
    }
}

impl TryFrom<String> for IpRange {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<IpRange> for String {
    fn from(range: IpRange) -> Self {
        range.to_string()
    }
}

impl fmt::Display for IpRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix_bits)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn ranges_contain_what_begins_alike() {
        let check = |range: &str, inside: &[&str], outside: &[&str]| {
            let parsed: IpRange = range.parse().unwrap();
            let again: IpRange = parsed.to_string().parse().unwrap();
            assert_eq!(parsed, again);
            for (list, expect) in [(inside, true), (outside, false)] {
                for ip in list {
                    assert_eq!(parsed.contains(ip.parse().unwrap()), expect, "{ip} in {range}");
                }
            }
        };
        check("10.0.0.0/8", &["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"], &["11.0.0.0"]);
        check("127.0.0.1/32", &["127.0.0.1"], &["127.0.0.2", "::1"]);
        check("127.0.0.1", &["127.0.0.1"], &["127.0.0.0"]);
        check("0.0.0.0/0", &["0.0.0.0", "255.255.255.255"], &["::1"]);
        check("192.0.2.128/25", &["192.0.2.128", "192.0.2.255"], &["192.0.2.127"]);
        check("::1", &["::1"], &["::2", "127.0.0.1"]);
        check("2001:db8::/33", &["2001:db8:7fff::1"], &["2001:db8:8000::", "10.0.0.1"]);
        check("::/0", &["::", "2001:db8::1"], &["10.0.0.1"]);
        check("::ffff:10.0.0.0/104", &["10.1.1.1"], &["11.1.1.1"]);
    }

    #[test]
    fn mistakes_are_told() {
        for (text, expect) in [
            ("", "no address"),
            ("10.0.0", "no address"),
            ("example.com", "no address"),
            ("10.0.0.0/", "0 to 32"),
            ("10.0.0.0/33", "0 to 32"),
            ("::/129", "0 to 128"),
            ("10.0.0.1/8", "begins at 10.0.0.0/8"),
            ("2001:db8::1/64", "begins at 2001:db8::/64"),
        ] {
            let error = text.parse::<IpRange>().unwrap_err();
            assert!(error.contains(expect), "{error}");
        }
    }
}

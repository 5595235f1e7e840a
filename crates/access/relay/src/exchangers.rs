//! Which hosts take mail for a next hop, and at which addresses (RFC 5321 §5.1).
//!
//! The order of preference is kept; hosts that are equally good are shuffled, so that they share
//! the load. Where we ourselves are among the hosts, only better ones than we are may be tried:
//! everything else would send mail in circles.

use crate::Config;
use crate::answer::judged;
use crate::limits::{ADDRESSES_MAX, DNS_TIME, EXCHANGERS_MAX};
use base::env::{DnsError, Env, Located, MailExchanger, Random};
use contract_transport::courier::{Answer, Destination, Unreachable};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// One host to try.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Exchanger {
    /// Its name, or an address as text.
    pub(crate) name: String,
    pub(crate) port: u16,
}

/// The hosts that take mail for a next hop.
pub(crate) struct Exchangers {
    /// In groups of equal preference, best first.
    pub(crate) groups: Vec<Vec<Exchanger>>,
    /// Whether the hosts' names can be relied on: DNSSEC vouches for them, or our operator has
    /// named them.
    pub(crate) is_secure: bool,
}

/// Where a host is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    /// Where to try, in this order.
    pub(crate) addresses: Vec<SocketAddr>,
    /// The names at which its TLSA records may be (RFC 7672 §2.2.3), none where DNSSEC vouches for
    /// nothing.
    pub(crate) bases: Vec<String>,
}

/// Why a host has no address to try.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum NoAddress {
    /// It is ourselves.
    Ours,
    /// It has none that can be used.
    Nowhere(Answer),
    /// Nobody could say.
    Unknown(Answer),
}

/// Looks hosts up.
pub(crate) struct Finder<'a> {
    pub(crate) config: &'a Config,
    pub(crate) env: &'a Env,
    /// Whether the hosts are what a domain says of itself, so that they are not to be trusted.
    pub(crate) is_domain: bool,
}

impl<'a> Finder<'a> {
    pub(crate) fn new(config: &'a Config, env: &'a Env, destination: &Destination) -> Self {
        Self { config, env, is_domain: matches!(destination, Destination::Domain(_)) }
    }

    /// The hosts.
    pub(crate) async fn exchangers(
        &self,
        destination: &Destination,
        port: u16,
    ) -> Result<Exchangers, Unreachable> {
        let domain = match destination {
            Destination::SmartHosts(hosts) => {
                let host = |host: &contract_transport::courier::Host| {
                    vec![Exchanger { name: folded(&host.name), port: host.port }]
                };
                return Ok(Exchangers {
                    groups: hosts.iter().map(host).collect(),
                    is_secure: true,
                });
            }
            Destination::Domain(domain) => domain,
        };
        if let Some(address) = literal(domain) {
            let groups = vec![vec![Exchanger { name: address.to_string(), port }]];
            return Ok(Exchangers { groups, is_secure: false });
        }
        let found = tokio::time::timeout(DNS_TIME, self.env.dns.exchangers(domain)).await;
        let (records, is_secure) = match found.unwrap_or_else(|_| Err(too_slow())) {
            Ok(found) => (usable(found.records, domain)?, found.is_secure),
            // The domain itself is the host where it names none (RFC 5321 §5.1). Its addresses are
            // of the zone that would have the exchangers: where DNSSEC vouches for them, it would
            // not have let anybody hide those.
            Err(DnsError::NoRecords) => {
                (vec![MailExchanger { preference: 0, host: folded(domain) }], true)
            }
            Err(DnsError::NoDomain) => {
                let text = format!("the domain {domain} does not exist");
                return Err(Unreachable::Never(judged(550, "5.1.2", text)));
            }
            Err(DnsError::NoAnswer(why)) => {
                let text = format!("the exchangers of {domain} could not be found out: {why}");
                return Err(Unreachable::Later(judged(0, "4.4.3", text)));
            }
        };
        Ok(Exchangers { groups: self.in_groups(records, port), is_secure })
    }

    fn in_groups(&self, mut records: Vec<MailExchanger>, port: u16) -> Vec<Vec<Exchanger>> {
        shuffle(&mut records, &*self.env.random);
        // Stable, so equals stay shuffled.
        records.sort_by_key(|record| record.preference);
        records.truncate(EXCHANGERS_MAX);
        records
            .chunk_by(|a, b| a.preference == b.preference)
            .map(|group| {
                let host = |record: &MailExchanger| Exchanger { name: record.host.clone(), port };
                group.iter().map(host).collect()
            })
            .collect()
    }

    /// Where a host is: both families by turns, IPv6 first, each shuffled.
    pub(crate) async fn addresses(&self, exchanger: &Exchanger) -> Result<Place, NoAddress> {
        let name = &exchanger.name;
        if self.is_domain && self.is_own_name(name) {
            return Err(NoAddress::Ours);
        }
        let found = tokio::time::timeout(DNS_TIME, self.env.dns.locate(name)).await;
        let (found, bases) = match found.unwrap_or_else(|_| Err(too_slow())) {
            Ok(located) => {
                let bases = bases(name, &located);
                (self.permitted(name, located.addresses)?, bases)
            }
            Err(error @ (DnsError::NoDomain | DnsError::NoRecords)) => {
                let text = format!("the host {name} has no address: {error}");
                return Err(NoAddress::Nowhere(judged(550, "5.4.4", text)));
            }
            Err(DnsError::NoAnswer(why)) => {
                let text = format!("the address of {name} could not be found out: {why}");
                return Err(NoAddress::Unknown(judged(0, "4.4.3", text)));
            }
        };
        let (mut six, mut four): (Vec<IpAddr>, Vec<IpAddr>) =
            found.into_iter().partition(IpAddr::is_ipv6);
        shuffle(&mut six, &*self.env.random);
        shuffle(&mut four, &*self.env.random);
        let turns = six.len().max(four.len());
        let by_turns = (0..turns).flat_map(|n| [six.get(n), four.get(n)]).flatten();
        let at_port = |address: &IpAddr| SocketAddr::new(*address, exchanger.port);
        let addresses = by_turns.take(ADDRESSES_MAX).map(at_port).collect();
        Ok(Place { addresses, bases })
    }

    /// Leaves out addresses at which no stranger's exchanger can be.
    fn permitted(&self, name: &str, found: Vec<IpAddr>) -> Result<Vec<IpAddr>, NoAddress> {
        if !self.is_domain {
            return Ok(found);
        }
        let own = |ip: &IpAddr| {
            let ip = ip.to_canonical();
            self.config.own_addresses.iter().any(|own| own.to_canonical() == ip)
        };
        let here = |ip: &IpAddr| ip.to_canonical().is_loopback() || ip.is_unspecified();
        if found.iter().any(|ip| own(ip) || (here(ip) && !self.config.local_exchangers)) {
            return Err(NoAddress::Ours);
        }
        let outside = |ip: &IpAddr| self.config.local_exchangers || !is_local(*ip);
        let permitted: Vec<IpAddr> = found.into_iter().filter(outside).collect();
        if permitted.is_empty() {
            let text = format!("the host {name} has only addresses of closed networks");
            return Err(NoAddress::Nowhere(judged(550, "5.4.4", text)));
        }
        Ok(permitted)
    }

    fn is_own_name(&self, name: &str) -> bool {
        let mut own = std::iter::once(&self.config.host_name).chain(&self.config.own_names);
        own.any(|own| folded(own) == name)
    }
}

/// The names at which a host's TLSA records may be: what it is really called before what it was
/// called, as far as DNSSEC vouches for the way there (RFC 7672 §2.2.2, §2.2.3).
fn bases(asked: &str, located: &Located) -> Vec<String> {
    let is_alias = located.name != asked;
    let mut bases = Vec::new();
    if located.is_secure {
        bases.push(located.name.clone());
    }
    if is_alias && located.is_name_secure {
        bases.push(asked.to_owned());
    }
    bases
}

/// The records without those that name no host. A domain that has no others takes no mail
/// (RFC 7505 §3).
fn usable(records: Vec<MailExchanger>, domain: &str) -> Result<Vec<MailExchanger>, Unreachable> {
    let usable: Vec<MailExchanger> =
        records.into_iter().filter(|record| !record.host.is_empty()).collect();
    if usable.is_empty() {
        let text = format!("the domain {domain} takes no mail");
        return Err(Unreachable::Never(judged(556, "5.1.10", text)));
    }
    Ok(usable)
}

/// The address that an address literal names: `[192.0.2.1]`, `[IPv6:2001:db8::1]`.
fn literal(domain: &str) -> Option<IpAddr> {
    let inside = domain.strip_prefix('[')?.strip_suffix(']')?;
    let tagged = inside.get(..5).filter(|tag| tag.eq_ignore_ascii_case("IPv6:"));
    tagged.map_or(inside, |tag| &inside[tag.len()..]).parse().ok()
}

fn folded(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

pub(crate) fn too_slow() -> DnsError {
    DnsError::NoAnswer("no name server answered in time".to_owned())
}

fn shuffle<T>(items: &mut [T], random: &dyn Random) {
    for last in (1..items.len()).rev() {
        items.swap(last, random.below(last as u64 + 1) as usize);
    }
}

/// Whether an address lies in a closed network, or is none of a host at all.
pub(crate) fn is_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || first == 0
                // Multicast, reserved, broadcast.
                || first >= 224
                // Shared by customers of one provider (RFC 6598).
                || (first == 100 && (64..128).contains(&second))
        }
        IpAddr::V6(ip) => {
            // Addresses of sites, which are no longer given out.
            let is_of_site = ip.segments()[0] & 0xffc0 == 0xfec0;
            is_of_site
                || embedded(ip).is_some_and(|inner| is_local(IpAddr::V4(inner)))
                || ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.is_unique_local()
                || ip.is_unicast_link_local()
        }
    }
}

/// The IPv4 address to which packets to such an address may be handed on: by a NAT64, by 6to4, or
/// as what was once called compatible.
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let (high, low) = match ip.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..]
        | [0, 0, 0, 0, 0, 0, high, low] => (high, low),
        _ => return None,
    };
    Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_19_addresses_of_closed_networks() {
        for (text, expected) in [
            ("127.0.0.1", true),
            ("10.1.2.3", true),
            ("172.16.0.1", true),
            ("192.168.0.1", true),
            ("169.254.169.254", true),
            ("100.64.0.1", true),
            ("0.0.0.0", true),
            ("224.0.0.1", true),
            ("255.255.255.255", true),
            ("::1", true),
            ("::", true),
            ("fd00::1", true),
            ("fe80::1", true),
            ("ff02::1", true),
            ("::ffff:10.0.0.1", true),
            ("64:ff9b::10.0.0.1", true),
            ("64:ff9b::127.0.0.1", true),
            ("2002:c0a8:1::1", true),
            ("2002:7f00:1::", true),
            ("::10.0.0.1", true),
            ("fec0::1", true),
            ("feff::1", true),
            ("64:ff9b::192.0.2.1", false),
            ("2002:c000:201::1", false),
            ("::192.0.2.1", false),
            ("192.0.2.1", false),
            ("100.128.0.1", false),
            ("2001:db8::1", false),
            ("::ffff:192.0.2.1", false),
        ] {
            assert_eq!(text.parse().map(is_local), Ok(expected), "{text}");
        }
    }

    #[test]
    fn names_for_tlsa_records() {
        let check = |name: &str, is_secure, is_name_secure, expected: &[&str]| {
            let name = name.to_owned();
            let located = Located { addresses: vec![], name, is_secure, is_name_secure };
            assert_eq!(bases("mx.test", &located), expected, "{located:?}");
        };
        check("mx.test", true, true, &["mx.test"]);
        check("mx.test", false, false, &[]);
        check("real.test", true, true, &["real.test", "mx.test"]);
        check("real.test", false, true, &["mx.test"]);
        check("real.test", false, false, &[]);
    }

    #[test]
    fn literals() {
        for (text, expected) in [
            ("[192.0.2.1]", Some("192.0.2.1")),
            ("[IPv6:2001:db8::1]", Some("2001:db8::1")),
            ("[ipv6:2001:db8::1]", Some("2001:db8::1")),
            ("192.0.2.1", None),
            ("[x]", None),
            ("[]", None),
        ] {
            assert_eq!(literal(text), expected.and_then(|text| text.parse().ok()), "{text}");
        }
    }
}

//! The evaluation of SPF records: `check_host()` of RFC 7208 §4.

use super::macros::{MacroString, Place, Values};
use super::record::{Directive, Mechanism, Prefix, Record, is_spf};
use super::{Client, Spf, SpfResult, is_domain};
use base::env::{Dns, DnsError, Family, Found};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::net::IpAddr;

/// Terms that ask the DNS, in all records together (RFC 7208 §4.6.4).
const LOOKUP_TERMS_MAX: u32 = 10;

/// Questions that nobody has an answer to.
const VOID_LOOKUPS_MAX: u32 = 2;

/// Mail exchangers of one domain, and names of one address, that are looked at.
const HOSTS_MAX: usize = 10;

/// The longest explanation that is passed on, in bytes.
const EXPLANATION_BYTES_MAX: usize = 400;

/// Why an evaluation ends early.
enum Stop {
    Temporary,
    Permanent,
}

/// Whether `domain` lets the client send mail from `local@domain`. For a null sender, and to check
/// HELO, `local` is empty and the domain what the client calls itself (RFC 7208 §2.3).
pub async fn check_host(dns: &dyn Dns, client: &Client<'_>, local: &str, domain: &str) -> Spf {
    if !is_domain(domain) {
        return SpfResult::None.into();
    }
    let local = if local.is_empty() { "postmaster" } else { local };
    let client = Client { ip: client.ip.to_canonical(), ..*client };
    let mut evaluation =
        Evaluation { dns, client, local, sender_domain: domain, lookups: 0, voids: 0, names: None };
    match evaluation.check(domain.trim_end_matches('.').to_owned()).await {
        Ok(Answer { result: SpfResult::Fail, explanation: Some((spec, domain)) }) => {
            let explanation = evaluation.explain(&spec, &domain).await;
            Spf { result: SpfResult::Fail, explanation }
        }
        Ok(answer) => answer.result.into(),
        Err(Stop::Temporary) => SpfResult::TempError.into(),
        Err(Stop::Permanent) => SpfResult::PermError.into(),
    }
}

struct Evaluation<'a> {
    dns: &'a dyn Dns,
    client: Client<'a>,
    local: &'a str,
    sender_domain: &'a str,
    lookups: u32,
    voids: u32,
    /// The client's validated names, once they were needed.
    names: Option<Vec<String>>,
}

/// What a record says, and where the reason stands.
struct Answer {
    result: SpfResult,
    explanation: Option<(MacroString, String)>,
}

/// What macros stand for at some point of an evaluation.
struct Scope<'a> {
    client: &'a Client<'a>,
    local: &'a str,
    sender_domain: &'a str,
    domain: &'a str,
    name: &'a str,
}

impl Values for Scope<'_> {
    fn value(&self, letter: char) -> String {
        match letter {
            's' => format!("{}@{}", self.local, self.sender_domain),
            'l' => self.local.to_owned(),
            'o' => self.sender_domain.to_owned(),
            'd' => self.domain.to_owned(),
            'i' => dotted(self.client.ip),
            'p' => self.name.to_owned(),
            'v' if self.client.ip.is_ipv4() => "in-addr".to_owned(),
            'v' => "ip6".to_owned(),
            'h' => self.client.helo.to_owned(),
            'c' => self.client.ip.to_string(),
            'r' => self.client.receiver.to_owned(),
            't' => self.client.unix_s.to_string(),
            _ => String::new(),
        }
    }
}

/// An address with a dot between its parts: half-bytes for IPv6 (RFC 7208 §7.3).
fn dotted(address: IpAddr) -> String {
    match address {
        IpAddr::V4(four) => four.to_string(),
        IpAddr::V6(six) => {
            let halves = six.octets().into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
            halves.map(|half| format!("{half:X}")).collect::<Vec<_>>().join(".")
        }
    }
}

impl<'a> Evaluation<'a> {
    fn check(&mut self, domain: String) -> BoxFuture<'_, Result<Answer, Stop>> {
        async move {
            let record = match self.record(&domain).await? {
                Some(record) => record,
                None => return Ok(Answer { result: SpfResult::None, explanation: None }),
            };
            for Directive { result, mechanism } in &record.directives {
                if self.matches(mechanism, &domain).await? {
                    let explanation = record.explanation.map(|spec| (spec, domain));
                    return Ok(Answer { result: *result, explanation });
                }
            }
            let Some(redirect) = &record.redirect else {
                return Ok(Answer { result: SpfResult::Neutral, explanation: None });
            };
            self.count_lookup()?;
            let target = self.target(redirect, &domain).await?.ok_or(Stop::Permanent)?;
            match self.check(target).await? {
                Answer { result: SpfResult::None, .. } => Err(Stop::Permanent),
                answer => Ok(answer),
            }
        }
        .boxed()
    }

    /// The record of a domain, if it has one.
    async fn record(&self, domain: &str) -> Result<Option<Record>, Stop> {
        let texts = match self.dns.texts(domain).await {
            Ok(found) => found.records,
            Err(DnsError::NoDomain | DnsError::NoRecords) => return Ok(None),
            Err(DnsError::NoAnswer(_)) => return Err(Stop::Temporary),
        };
        let mut records = texts.iter().filter(|text| is_spf(text));
        match (records.next(), records.next()) {
            (None, _) => Ok(None),
            (Some(record), None) => Record::parse(record).map(Some).ok_or(Stop::Permanent),
            (Some(_), Some(_)) => Err(Stop::Permanent),
        }
    }

    async fn matches(&mut self, mechanism: &Mechanism, domain: &str) -> Result<bool, Stop> {
        match mechanism {
            Mechanism::All => return Ok(true),
            Mechanism::Ip4(network, bits) => {
                return Ok(shares(self.client.ip, IpAddr::V4(*network), *bits));
            }
            Mechanism::Ip6(network, bits) => {
                return Ok(shares(self.client.ip, IpAddr::V6(*network), *bits));
            }
            _ => self.count_lookup()?,
        }
        let target = match mechanism {
            Mechanism::A(Some(spec), _) | Mechanism::Mx(Some(spec), _) => spec,
            Mechanism::Include(spec) | Mechanism::Exists(spec) => spec,
            Mechanism::Ptr(Some(spec)) => spec,
            _ => &MacroString::default(),
        };
        let target = match self.target_or(target, domain).await? {
            Some(target) => target,
            // No such name can exist; a record that is included from there does not.
            None if matches!(mechanism, Mechanism::Include(_)) => return Err(Stop::Permanent),
            None => return Ok(false),
        };
        match mechanism {
            Mechanism::Include(_) => match self.check(target).await?.result {
                SpfResult::Pass => Ok(true),
                SpfResult::None | SpfResult::PermError => Err(Stop::Permanent),
                SpfResult::TempError => Err(Stop::Temporary),
                SpfResult::Neutral | SpfResult::Fail | SpfResult::SoftFail => Ok(false),
            },
            Mechanism::A(_, prefix) => self.is_host(&target, *prefix).await,
            Mechanism::Mx(_, prefix) => self.is_exchanger(&target, *prefix).await,
            Mechanism::Ptr(_) => {
                let names = self.validated_names().await;
                Ok(names.iter().any(|name| is_within(name, &target)))
            }
            Mechanism::Exists(_) => {
                let found = self.dns.addresses_of(&target, Family::V4).await;
                Ok(!self.found(found)?.is_empty())
            }
            Mechanism::All | Mechanism::Ip4(..) | Mechanism::Ip6(..) => Ok(false),
        }
    }

    async fn is_host(&mut self, host: &str, prefix: Prefix) -> Result<bool, Stop> {
        let ip = self.client.ip;
        let found = self.dns.addresses_of(host, Family::of(ip)).await;
        let bits = if ip.is_ipv4() { prefix.v4 } else { prefix.v6 };
        Ok(self.found(found)?.into_iter().any(|address| shares(ip, address, bits)))
    }

    async fn is_exchanger(&mut self, domain: &str, prefix: Prefix) -> Result<bool, Stop> {
        let found = self.dns.exchangers(domain).await;
        let exchangers = self.found(found)?;
        if exchangers.len() > HOSTS_MAX {
            return Err(Stop::Permanent);
        }
        for exchanger in exchangers {
            if !exchanger.host.is_empty() && self.is_host(&exchanger.host, prefix).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Names of the client's address that have this address themselves (RFC 7208 §5.5). They are
    /// looked up once, however often a record asks.
    async fn validated_names(&mut self) -> &[String] {
        let names = match self.names.take() {
            Some(known) => known,
            None => self.look_up_names().await,
        };
        self.names.insert(names)
    }

    async fn look_up_names(&self) -> Vec<String> {
        let ip = self.client.ip;
        let names = match self.dns.names(ip).await {
            Ok(found) => found.records,
            Err(_) => return Vec::new(),
        };
        let mut validated = Vec::new();
        for name in names.into_iter().take(HOSTS_MAX) {
            if let Ok(found) = self.dns.addresses_of(&name, Family::of(ip)).await
                && found.records.contains(&ip)
            {
                validated.push(name);
            }
        }
        validated
    }

    fn count_lookup(&mut self) -> Result<(), Stop> {
        self.lookups += 1;
        if self.lookups > LOOKUP_TERMS_MAX { Err(Stop::Permanent) } else { Ok(()) }
    }

    /// Records of an answer, none for a void lookup.
    fn found<T>(&mut self, found: Result<Found<T>, DnsError>) -> Result<Vec<T>, Stop> {
        match found {
            Ok(found) => Ok(found.records),
            Err(DnsError::NoAnswer(_)) => Err(Stop::Temporary),
            Err(DnsError::NoDomain | DnsError::NoRecords) => {
                self.voids += 1;
                if self.voids > VOID_LOOKUPS_MAX { Err(Stop::Permanent) } else { Ok(Vec::new()) }
            }
        }
    }

    /// The name that a term is about: the current domain where it names none.
    async fn target_or(
        &mut self,
        spec: &MacroString,
        domain: &str,
    ) -> Result<Option<String>, Stop> {
        if *spec == MacroString::default() {
            return Ok(Some(domain.to_owned()));
        }
        self.target(spec, domain).await
    }

    /// A name after expansion; `None` where it can be nobody's.
    async fn target(&mut self, spec: &MacroString, domain: &str) -> Result<Option<String>, Stop> {
        let text = self.expand(spec, domain).await;
        let mut name = text.strip_suffix('.').unwrap_or(&text);
        while name.len() > 253 {
            match name.split_once('.') {
                Some((_, rest)) => name = rest,
                None => return Ok(None),
            }
        }
        Ok(is_domain(name).then(|| name.to_owned()))
    }

    async fn expand(&mut self, text: &MacroString, domain: &str) -> String {
        if text.wants_name() {
            self.validated_names().await;
        }
        let names = self.names.as_deref().unwrap_or_default();
        let name = names.iter().find(|name| name.eq_ignore_ascii_case(domain));
        let name = name.or_else(|| names.iter().find(|name| is_within(name, domain)));
        let name = name.or(names.first()).map_or("unknown", String::as_str);
        let Self { client, local, sender_domain, .. } = self;
        text.expand(&Scope { client, local, sender_domain, domain, name })
    }

    /// What the domain has to say; nothing where that is not one well-formed text.
    async fn explain(&mut self, spec: &MacroString, domain: &str) -> Option<String> {
        let name = self.target(spec, domain).await.ok().flatten()?;
        let texts = self.dns.texts(&name).await.ok()?.records;
        let [text] = &texts[..] else { return None };
        let text = std::str::from_utf8(text).ok().filter(|text| text.is_ascii())?;
        let text = MacroString::parse(text, Place::Explanation)?;
        let text = self.expand(&text, domain).await;
        let printable = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        (printable && text.len() <= EXPLANATION_BYTES_MAX).then_some(text)
    }
}

/// Whether a name is `domain` or below it.
fn is_within(name: &str, domain: &str) -> bool {
    let domain = domain.trim_end_matches('.');
    match name.len().checked_sub(domain.len()) {
        Some(0) => name.eq_ignore_ascii_case(domain),
        Some(at) => {
            name.is_char_boundary(at)
                && name[..at].ends_with('.')
                && name[at..].eq_ignore_ascii_case(domain)
        }
        None => false,
    }
}

/// Whether two addresses of one family have their first bits in common.
fn shares(left: IpAddr, right: IpAddr, bits: u8) -> bool {
    match (left, right) {
        (IpAddr::V4(left), IpAddr::V4(right)) => {
            let differing = u32::from(left) ^ u32::from(right);
            differing.leading_zeros() >= u32::from(bits)
        }
        (IpAddr::V6(left), IpAddr::V6(right)) => {
            let differing = u128::from(left) ^ u128::from(right);
            differing.leading_zeros() >= u32::from(bits)
        }
        _ => false,
    }
}

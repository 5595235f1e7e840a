//! How many sessions each connector has, in all and of each source. The listener has counted
//! before, with the limits of the node's configuration.

use crate::config::Config;
use crate::terms::Terms;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// The counts, by connector.
#[derive(Default)]
pub(crate) struct Places(Mutex<HashMap<String, Counts>>);

#[derive(Default)]
struct Counts {
    all: usize,
    sources: HashMap<IpAddr, usize>,
}

/// One session's place; given back when dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    terms: Arc<Terms>,
    source: IpAddr,
}

/// Why there is no place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoPlace {
    /// The connector has as many sessions as it may have.
    Full,
    /// The source has.
    SourceFull,
}

impl Places {
    /// Takes a place.
    pub(crate) fn take(
        self: &Arc<Self>,
        terms: &Arc<Terms>,
        client: IpAddr,
    ) -> Result<Place, NoPlace> {
        let (config, source) = (&terms.config, source_of(client));
        let mut places = self.0.lock();
        let counts = places.entry(terms.connector.name.clone()).or_default();
        let of_source = counts.sources.get(&source).copied().unwrap_or(0);
        let is_full = |count: usize, max: Option<usize>| max.is_some_and(|max| count >= max);
        // Somebody has a place already in either case, so nothing is left behind.
        if is_full(counts.all, config.connections_max) {
            return Err(NoPlace::Full);
        }
        if is_full(of_source, config.connections_per_source_max) && !is_spared(config, client) {
            return Err(NoPlace::SourceFull);
        }
        counts.all += 1;
        *counts.sources.entry(source).or_default() += 1;
        drop(places);
        Ok(Place { places: self.clone(), terms: terms.clone(), source })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.places.0.lock();
        let name = &self.terms.connector.name;
        let Some(counts) = places.get_mut(name) else { return };
        counts.all = counts.all.saturating_sub(1);
        if let Some(count) = counts.sources.get_mut(&self.source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.sources.remove(&self.source);
            }
        }
        if counts.all == 0 {
            places.remove(name);
        }
    }
}

/// What counts as one source: an IPv4 address or an IPv6 /64, which one machine may have whole.
pub(crate) fn source_of(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !0 << 64).into(),
    }
}

/// Whether a client is free of limits per source: the machine itself, if so configured.
pub(crate) fn is_spared(config: &Config, client: IpAddr) -> bool {
    config.loopback_exempt && client.to_canonical().is_loopback()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use contract_transport::receive::{ReceiveConnector, Role};

    #[test]
    fn attack_17_a_connector_has_places_in_all_and_for_each_source() {
        let connector = Arc::new(ReceiveConnector::of_role(Role::Server));
        let config = Config {
            connections_max: Some(3),
            connections_per_source_max: Some(2),
            loopback_exempt: true,
            ..Config::default()
        };
        let terms = Arc::new(Terms { connector, config });
        let places = Arc::new(Places::default());
        let take = |client: &str| places.take(&terms, client.parse().unwrap());
        let (one, _two) = (take("2001:db8::1").unwrap(), take("2001:db8::2").unwrap());
        assert_eq!(take("2001:db8::3").err(), Some(NoPlace::SourceFull));
        let other = take("192.0.2.1").unwrap();
        assert_eq!(take("192.0.2.2").err(), Some(NoPlace::Full));
        drop((one, other));
        let _again = take("2001:db8::3").unwrap();
        let _last = take("127.0.0.1").unwrap();
        drop((_two, _again, _last));
        let at_home: Vec<_> = (0..3).map(|_| take("127.0.0.1").unwrap()).collect();
        drop(at_home);
        assert!(places.0.lock().is_empty(), "nothing is remembered");
    }
}

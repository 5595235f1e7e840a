//! Who may connect: counts of open connections, in all and for each source.
//!
//! The counts live as long as the connections: an [`Admission`] travels inside its connection and
//! gives its place back when it is dropped, whatever ended the session.

use crate::config::ListenerConfig;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use tokio::sync::watch;

/// Why a connection is turned away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The listener has as many connections as it may have.
    Full,
    /// The client's address or neighbourhood has as many as it may have.
    SourceFull,
    /// The server stops, and the session did not end by itself.
    Stopping,
}

impl Refusal {
    fn label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::SourceFull => "source_full",
            Self::Stopping => "stopping",
        }
    }

    /// Counts a client that was turned away.
    pub(crate) fn count(self, listener: &Arc<str>) {
        metrics::counter!("rialto_listener_refused_total",
            "listener" => listener.clone(), "reason" => self.label())
        .increment(1);
    }
}

/// The counts of one listener.
pub(crate) struct Admissions {
    connections_max: usize,
    per_source_max: usize,
    per_network_max: usize,
    loopback_exempt: bool,
    sources: Mutex<HashMap<IpAddr, usize>>,
    open: watch::Sender<usize>,
}

/// One open connection's place; given back when dropped.
pub(crate) struct Admission {
    admissions: Arc<Admissions>,
    /// The counters it stands in: source and neighbourhood.
    counted: Option<[IpAddr; 2]>,
}

impl Admissions {
    pub(crate) fn new(config: &ListenerConfig) -> Arc<Self> {
        Arc::new(Self {
            connections_max: config.connections_max,
            per_source_max: config.per_source_max,
            per_network_max: config.per_network_max,
            loopback_exempt: config.loopback_exempt,
            sources: Mutex::default(),
            open: watch::Sender::new(0),
        })
    }

    /// Takes a place for a client.
    pub(crate) fn admit(self: &Arc<Self>, client: IpAddr) -> Result<Admission, Refusal> {
        let mut admission = self.admit_unnamed()?;
        admission.name(client, client)?;
        Ok(admission)
    }

    /// Takes a place for a client of which only the proxy is known yet; it counts for no source
    /// until it has been named.
    pub(crate) fn admit_unnamed(self: &Arc<Self>) -> Result<Admission, Refusal> {
        let full = !self.open.send_if_modified(|open| {
            let room = *open < self.connections_max;
            *open += usize::from(room);
            room
        });
        if full {
            return Err(Refusal::Full);
        }
        // From here on dropping it gives the place back.
        Ok(Admission { admissions: self.clone(), counted: None })
    }

    /// Open connections; changes can be awaited.
    pub(crate) fn open(&self) -> watch::Receiver<usize> {
        self.open.subscribe()
    }
}

impl Admission {
    /// Counts it for its source, once. `peer` is who connected: the loopback address that another
    /// machine speaks of is not this machine.
    pub(crate) fn name(&mut self, client: IpAddr, peer: IpAddr) -> Result<(), Refusal> {
        let all = &self.admissions;
        let is_here = client.to_canonical().is_loopback() && peer.to_canonical().is_loopback();
        if self.counted.is_some() || all.loopback_exempt && is_here {
            return Ok(());
        }
        let keys = source_and_network(client.to_canonical());
        let mut sources = all.sources.lock();
        let count = |key: &IpAddr| sources.get(key).copied().unwrap_or(0);
        if count(&keys[0]) >= all.per_source_max || count(&keys[1]) >= all.per_network_max {
            return Err(Refusal::SourceFull);
        }
        for key in keys {
            *sources.entry(key).or_default() += 1;
        }
        drop(sources);
        self.counted = Some(keys);
        Ok(())
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if let Some(keys) = self.counted {
            let mut sources = self.admissions.sources.lock();
            for key in keys {
                if let Some(count) = sources.get_mut(&key) {
                    *count -= 1;
                    if *count == 0 {
                        sources.remove(&key);
                    }
                }
            }
        }
        self.admissions.open.send_modify(|open| *open -= 1);
    }
}

/// The two keys under which a client counts. They can never be equal: a neighbourhood is written
/// with its last bits set, which no client's own key has (IPv4: in 240/4, which is not routed).
fn source_and_network(client: IpAddr) -> [IpAddr; 2] {
    match client {
        IpAddr::V4(ip) => {
            let network = Ipv4Addr::from_bits(ip.to_bits() >> 8 | 0xff00_0000);
            [client, network.into()]
        }
        IpAddr::V6(ip) => {
            let bits = ip.to_bits();
            let source = Ipv6Addr::from_bits(bits & !0 << 64);
            let network = Ipv6Addr::from_bits(bits & !0 << 80 | 1);
            [source.into(), network.into()]
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::TlsMode;

    fn admissions(all: usize, source: usize, network: usize) -> Arc<Admissions> {
        let mut config = ListenerConfig::new("test", "127.0.0.1:0".parse().unwrap(), TlsMode::None);
        config.connections_max = all;
        config.per_source_max = source;
        config.per_network_max = network;
        Admissions::new(&config)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn attack_17_one_source_or_neighbourhood_cannot_take_every_place() {
        let admissions = admissions(100, 2, 3);
        let check = |client: &str, expect: Result<(), Refusal>| {
            let got = admissions.admit(ip(client));
            assert_eq!(got.as_ref().map(|_| ()).map_err(|r| *r), expect, "{client}");
            got.ok()
        };
        let _one = check("192.0.2.1", Ok(()));
        let two = check("::ffff:192.0.2.1", Ok(()));
        check("192.0.2.1", Err(Refusal::SourceFull));
        let _three = check("192.0.2.2", Ok(()));
        check("192.0.2.3", Err(Refusal::SourceFull));
        let _elsewhere = check("192.0.3.1", Ok(()));
        drop(two);
        let _again = check("192.0.2.3", Ok(()));
        // A whole IPv6 /64 is one source, a /48 one neighbourhood.
        let _a = check("2001:db8:1:1::1", Ok(()));
        let _b = check("2001:db8:1:1::2", Ok(()));
        check("2001:db8:1:1::3", Err(Refusal::SourceFull));
        let _c = check("2001:db8:1:2::1", Ok(()));
        check("2001:db8:1:3::1", Err(Refusal::SourceFull));
        // The machine itself is exempt.
        let _many: Vec<_> = (0..10).map(|_| check("127.0.0.1", Ok(())).unwrap()).collect();
    }

    #[test]
    fn places_come_back_and_nothing_is_remembered() {
        let admissions = admissions(2, 10, 10);
        let one = admissions.admit(ip("192.0.2.1")).ok();
        let two = admissions.admit(ip("192.0.2.2")).ok();
        assert_eq!(admissions.admit(ip("192.0.2.3")).err(), Some(Refusal::Full));
        drop((one, two));
        assert_eq!(*admissions.open().borrow(), 0);
        assert!(admissions.sources.lock().is_empty());
        assert!(admissions.admit(ip("192.0.2.3")).is_ok());
    }
}

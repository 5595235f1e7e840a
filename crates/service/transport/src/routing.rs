//! Which send connector takes mail for a domain: a pure decision.
//!
//! The address space that fits a domain best wins, then the lowest cost, then the name; connectors
//! that are disabled or take no message of that size are passed over.

use contract_transport::connector::SendConnector;
use std::cmp::Reverse;
use std::sync::Arc;

/// What was decided.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Choice {
    /// This one.
    Connector(Arc<SendConnector>),
    /// There are connectors for the domain, but the message is larger than any of them takes, in
    /// bytes.
    TooLarge(u64),
    /// There is none.
    Nowhere,
}

/// Whether there can be a connector for a domain.
pub(crate) fn is_routable(domain: &str) -> bool {
    domain.is_ascii() && !domain.starts_with('[')
}

/// Chooses among connectors for a domain in ASCII, lower case.
pub(crate) fn choose<'c>(
    connectors: impl Iterator<Item = &'c Arc<SendConnector>>,
    domain: &str,
    size_bytes: u64,
) -> Choice {
    if !is_routable(domain) {
        return Choice::Nowhere;
    }
    let (mut best, mut largest) = (None, None);
    for connector in connectors.filter(|connector| connector.enabled) {
        let fits = |space: &contract_transport::connector::AddressSpace| {
            Some((space.fits(domain)?, Reverse(space.cost)))
        };
        let Some((fit, cost)) = connector.spaces.iter().filter_map(fits).max() else { continue };
        if let Some(limit) = connector.size_bytes_max.filter(|limit| size_bytes > *limit) {
            largest = largest.max(Some(limit));
            continue;
        }
        let rank = (fit, cost, Reverse(&connector.name));
        if best.as_ref().is_none_or(|(known, _)| rank > *known) {
            best = Some((rank, connector));
        }
    }
    match (best, largest) {
        (Some((_, connector)), _) => Choice::Connector(connector.clone()),
        (None, Some(limit)) => Choice::TooLarge(limit),
        (None, None) => Choice::Nowhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract_transport::connector::{AddressSpace, Route};
    use contract_transport::courier::Manner;

    fn connector(name: &str, spaces: &[(&str, u32)]) -> SendConnector {
        let space = |(pattern, cost): &(&str, u32)| AddressSpace {
            pattern: (*pattern).to_owned(),
            cost: *cost,
        };
        SendConnector {
            name: name.to_owned(),
            enabled: true,
            spaces: spaces.iter().map(space).collect(),
            route: Route::MailExchangers,
            manner: Manner::default(),
            size_bytes_max: None,
            connections_max: 20,
        }
    }

    fn check(connectors: &[SendConnector], domain: &str, size_bytes: u64, expect: &str) {
        let connectors: Vec<_> = connectors.iter().cloned().map(Arc::new).collect();
        let found = match choose(connectors.iter(), domain, size_bytes) {
            Choice::Connector(connector) => connector.name.clone(),
            Choice::TooLarge(limit) => format!("over {limit}"),
            Choice::Nowhere => "nowhere".to_owned(),
        };
        assert_eq!(found, expect, "{domain}, {size_bytes} bytes");
    }

    #[test]
    fn the_best_address_space_wins_then_the_lowest_cost() {
        let some = [
            connector("all", &[("*", 5)]),
            connector("cheap", &[("*", 1)]),
            connector("org", &[("*.org", 90)]),
            connector("example", &[("*.example.org", 90), ("other.test", 1)]),
            connector("exact", &[("mail.example.org", 100)]),
            connector("twin-b", &[("twin.test", 3)]),
            connector("twin-a", &[("twin.test", 3)]),
        ];
        check(&some, "example.net", 1, "cheap");
        check(&some, "example.org", 1, "org");
        check(&some, "a.example.org", 1, "example");
        check(&some, "b.a.example.org", 1, "example");
        check(&some, "mail.example.org", 1, "exact");
        check(&some, "notexample.org", 1, "org");
        check(&some, "org", 1, "cheap");
        check(&some, "other.test", 1, "example");
        check(&some, "twin.test", 1, "twin-a");
        check(&some, "[192.0.2.1]", 1, "nowhere");
        check(&some, "b\u{fc}cher.test", 1, "nowhere");
        check(&some[2..3], "example.net", 1, "nowhere");
        check(&[], "example.net", 1, "nowhere");
    }

    #[test]
    fn connectors_that_cannot_take_it_are_passed_over() {
        let mut some = [connector("best", &[("x.test", 1)]), connector("second", &[("*", 9)])];
        some[0].size_bytes_max = Some(10);
        check(&some, "x.test", 10, "best");
        check(&some, "x.test", 11, "second");
        some[1].size_bytes_max = Some(20);
        check(&some, "x.test", 21, "over 20");
        check(&some, "y.test", 21, "over 20");
        some[0].enabled = false;
        check(&some, "x.test", 1, "second");
        some[1].enabled = false;
        check(&some, "x.test", 1, "nowhere");
    }
}

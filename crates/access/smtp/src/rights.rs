//! What a session may do by its connector and by who has signed in.

use crate::reply;
use crate::session::Session;
use codec_smtp::Reply;
use contract_transport::REQUIRE_TLS_LEVEL;
use contract_transport::receive::{Permissions, TlsDemand};

impl Session {
    pub(crate) fn permissions(&self) -> &Permissions {
        &self.terms.connector.permissions
    }

    /// Whether STARTTLS can be said.
    pub(crate) fn offers_tls(&self) -> bool {
        self.terms.connector.tls != TlsDemand::None && self.connection.can_start_tls()
    }

    /// Whether a message may demand TLS wherever it goes (RFC 8689 §4.1): it comes under TLS, and
    /// every node understands that it does.
    pub(crate) fn offers_require_tls(&self) -> bool {
        let level = self.shared.mailboxes.feature_level();
        self.connection.is_tls() && level >= REQUIRE_TLS_LEVEL
    }

    /// Why no message may be begun.
    pub(crate) fn refuses_mail(&self) -> Option<Reply> {
        let is_tls = self.connection.is_tls();
        if self.terms.connector.tls == TlsDemand::Required && !is_tls {
            return Some(Reply::tls_required());
        }
        let Permissions { anonymous, users, partners, servers, relay } = *self.permissions();
        if self.login.is_some() || anonymous || servers || relay || (partners && is_tls) {
            return None;
        }
        // What is missing comes after STARTTLS in any case.
        let needs_tls = self.offers_tls() || !users;
        Some(if needs_tls { Reply::tls_required() } else { Reply::auth_required() })
    }

    /// Whether it may send to everybody.
    pub(crate) fn may_relay(&self) -> bool {
        let Permissions { servers, relay, .. } = self.permissions();
        self.login.is_some() || *servers || *relay
    }

    /// Whether it counts as one of the organisation.
    pub(crate) fn is_of_us(&self) -> bool {
        self.login.is_some() || self.permissions().servers
    }

    /// Whether a client is known, so that nobody makes it wait for its guesses.
    pub(crate) fn is_known(&self) -> bool {
        let Permissions { servers, partners, .. } = *self.permissions();
        servers || (partners && self.connection.is_tls())
    }

    /// The first line.
    pub(crate) fn greeting(&self) -> Reply {
        let host = &self.config().host_name;
        match &self.terms.connector.banner {
            Some(banner) => reply::greeting(host, banner),
            None => Reply::greeting(host),
        }
    }
}

//! The cluster's own certificates: who may speak on a node link.
//!
//! Each cluster has an [`Authority`] of its own. Its certificate and key are kept where all nodes
//! find them (the store, beside the installation row) and are used for nothing but node links. A
//! node makes a [`NodeKey`], which never leaves it, and gets a certificate that carries the
//! cluster's id and the node's id as one URI, `rialto://<cluster id>/node/<node id>`
//! ([`NodeIdentity`]). Both ends of a link present one and check the other's against [`Roots`].
//!
//! A new node has nothing but a [`JoinToken`] that an operator carried to it. The token names the
//! authority by its fingerprint, so the new node knows whom it tells the secret; the secret lets
//! its request be signed, once ([`join()`], [`TokenRow::claim`]). Certificates are renewed long
//! before they run out ([`CertificateFacts::needs_rotation`]); [`Credentials::replace`] swaps them
//! under running links. All times come from the environment's clock.
//!
//! Keys and signatures use the randomness of the TLS library, not that of the environment: a seed
//! that replays a run must not replay its secrets.

mod authority;
mod certificate;
mod credentials;
mod identity;
mod join;
mod token;
mod verify;

pub use authority::{Authority, CERTIFICATE_LIFE, CLOCK_SKEW_MAX, Roots};
pub use certificate::{CertificateFacts, NodeKey};
pub use credentials::{Credentials, join_client_config};
pub use identity::NodeIdentity;
pub use join::{Admission, Admitted, Claim, JoinReply, JoinRequest, Joined, join};
pub use token::{JoinToken, TOKEN_LIFE_MAX, TokenRow};

pub(crate) use credentials::{ALPN_JOIN, ALPN_LINK};

#[cfg(test)]
mod tests;

//! A new node asks for its first certificate.
//!
//! The new node connects without a certificate, finds the authority that its [`JoinToken`] names,
//! and sends one [`JoinRequest`]. Any node of the cluster answers: it checks the request, has the
//! token used up and a node id given ([`Admission`], a store transaction and a Raft entry that the
//! caller makes), and signs. A request may be repeated by the same key and gets the same id, so a
//! lost answer costs nothing.

use super::authority::request_fingerprint;
use super::{Authority, CertificateFacts, JoinToken, NodeIdentity, NodeKey, Roots};
use crate::placement::NodeProfile;
use async_trait::async_trait;
use base::{BootId, Error, Kind, NodeId, Result, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a new node sends.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// Which token.
    pub token_id: u64,
    /// Its secret.
    pub secret: [u8; 32],
    /// The request for a certificate, PKCS #10 DER.
    pub certificate_request: Vec<u8>,
    /// This start of it.
    pub boot: BootId,
    /// What it says of itself: where the others will reach it, and what it can.
    pub profile: NodeProfile,
}

impl fmt::Debug for JoinRequest {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinRequest({:x}, {}, {})", self.token_id, self.profile.address, self.boot)
    }
}

/// What it is told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct JoinReply {
    /// Who it is from now on.
    pub identity: NodeIdentity,
    /// Its certificate, DER.
    pub certificate: Vec<u8>,
    /// Whom it accepts.
    pub roots: Roots,
    /// Which Raft of the cluster it belongs to: drawn when the cluster was founded.
    pub incarnation: u128,
    /// The nodes that it will hear from, and where their links listen.
    pub members: Vec<(NodeId, String)>,
}

/// A request whose signature has been checked, for [`Admission::admit`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    /// Which token: the row [`TokenRow::key`](super::TokenRow::key).
    pub token_id: u64,
    /// For [`TokenRow::claim`](super::TokenRow::claim).
    pub secret_hash: [u8; 32],
    /// For [`TokenRow::claim`](super::TokenRow::claim); the same key gets the same node id.
    pub key_fingerprint: [u8; 32],
    /// The start that asks.
    pub boot: BootId,
    /// What the node says of itself.
    pub profile: NodeProfile,
}

/// A new node that was let in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Admitted {
    /// Its id, for ever.
    pub node: NodeId,
    /// See [`JoinReply::incarnation`].
    pub incarnation: u128,
    /// See [`JoinReply::members`].
    pub members: Vec<(NodeId, String)>,
}

/// Decides on new nodes; implemented over the store and Raft.
#[async_trait]
pub trait Admission: Send + Sync + 'static {
    /// Uses the token up in one store transaction, then has Raft give the node an id. The same
    /// claim again gives the same id.
    ///
    /// # Errors
    /// [`Kind::BadCredentials`] as [`TokenRow::claim`](super::TokenRow::claim);
    /// [`Kind::Unavailable`] without a store or a majority.
    async fn admit(&self, claim: &Claim) -> Result<Admitted>;
}

/// Answers a new node's request.
///
/// # Errors
/// [`Kind::Invalid`] for a request that is not signed by its own key; those of
/// [`Admission::admit`].
pub async fn join(
    authority: &Authority,
    roots: &Roots,
    admission: &dyn Admission,
    request: &JoinRequest,
    now: Timestamp,
) -> Result<JoinReply> {
    let claim = Claim {
        token_id: request.token_id,
        secret_hash: *blake3::hash(&request.secret).as_bytes(),
        key_fingerprint: request_fingerprint(&request.certificate_request)?,
        boot: request.boot,
        profile: request.profile.clone(),
    };
    let Admitted { node, incarnation, members } = admission.admit(&claim).await?;
    let identity = NodeIdentity { cluster_id: authority.cluster_id(), node };
    let certificate = authority.issue(&request.certificate_request, node, now)?;
    Ok(JoinReply { identity, certificate, roots: roots.clone(), incarnation, members })
}

impl JoinRequest {
    /// The request of a new node that was given a token.
    ///
    /// # Errors
    /// [`Kind::Internal`] if the cryptographic library fails.
    pub fn new(
        token: &JoinToken,
        key: &NodeKey,
        boot: BootId,
        profile: NodeProfile,
    ) -> Result<Self> {
        let certificate_request = key.request()?;
        let (token_id, secret) = (token.id, token.secret);
        Ok(Self { token_id, secret, certificate_request, boot, profile })
    }
}

/// What a new node keeps of the answer.
pub struct Joined {
    /// The answer.
    pub reply: JoinReply,
    /// What the certificate says.
    pub facts: CertificateFacts,
}

impl JoinReply {
    /// Checks that the answer fits together and comes from the authority that the token names.
    ///
    /// # Errors
    /// [`Kind::BadCredentials`] if it does not.
    pub fn accept(self, token: &JoinToken) -> Result<Joined> {
        let facts = CertificateFacts::of(&self.certificate)?;
        let mut known = self.roots.certificates.iter().map(|der| Roots::fingerprint(der));
        if facts.identity != self.identity || !known.any(|found| found == token.authority) {
            let text = "The answer to the request to join is not from this token's cluster";
            return Err(Error::new(Kind::BadCredentials, text));
        }
        Ok(Joined { reply: self, facts })
    }
}

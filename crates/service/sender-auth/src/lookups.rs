//! What is asked of the DNS for a message, all at once and each answer waited for until the same
//! moment.

use crate::arc::{ArcResult, Chain};
use crate::dkim::{DkimResult, Kind, PublicKey, Signature, SignatureError, fetch_key};
use crate::dmarc::{self, Proven, Unknown, Walk};
use crate::header::Header;
use crate::iprev::{self, Iprev};
use crate::spf::{self, Spf, SpfResult};
use base::env::Dns;
use bytes::Bytes;
use codec_mime::author::{Naming, authors, naming};
use contract_transport::authentication::Client;
use futures::future::{join, join_all, join3};
use std::collections::{BTreeSet, HashMap};
use tokio::time::{Instant, timeout_at};

/// Signatures that are looked at, from the top; what else there may be is passed over (attack 18).
const SIGNATURES_MAX: usize = 10;

/// Author domains that are looked at.
const AUTHOR_DOMAINS_MAX: usize = 4;

/// What is known of the client.
pub(crate) struct ClientFound {
    pub(crate) helo: Spf,
    /// `None` for a null sender.
    pub(crate) sender: Option<Spf>,
    pub(crate) iprev: Iprev,
}

impl ClientFound {
    pub(crate) fn unknown(client: &Client) -> Self {
        let unknown = Spf::from(SpfResult::TempError);
        let sender = client.sender.is_some().then(|| unknown.clone());
        Self { helo: unknown, sender, iprev: Iprev::TempError }
    }

    /// The result that DMARC goes by, and the domain that was checked.
    pub(crate) fn spf<'a>(&'a self, client: &'a Client) -> (&'a Spf, &'a str) {
        match (&self.sender, &client.sender) {
            (Some(spf), Some(sender)) => (spf, &sender.domain),
            _ => (&self.helo, &client.helo),
        }
    }
}

/// Asks about the client.
pub(crate) async fn client(
    dns: &dyn Dns,
    client: &Client,
    (receiver, unix_s): (&str, i64),
    until: Instant,
) -> ClientFound {
    let host = spf::Client { ip: client.ip, helo: &client.helo, receiver, unix_s };
    let helo_domain = ascii(&client.helo);
    let helo = timeout_at(until, spf::check_host(dns, &host, "", &helo_domain));
    let sender = async {
        let sender = client.sender.as_ref()?;
        let domain = ascii(&sender.domain);
        let check = spf::check_host(dns, &host, &sender.local, &domain);
        Some(timeout_at(until, check).await.unwrap_or_else(|_| SpfResult::TempError.into()))
    };
    let name = timeout_at(until, iprev::check(dns, client.ip));
    let (helo, sender, iprev) = join3(helo, sender, name).await;
    ClientFound {
        helo: helo.unwrap_or_else(|_| SpfResult::TempError.into()),
        sender,
        iprev: iprev.unwrap_or(Iprev::TempError),
    }
}

/// What a message says of itself.
pub(crate) struct Claims {
    header: Header,
    /// Of the first signatures.
    pub(crate) signatures: Vec<Result<Signature, SignatureError>>,
    pub(crate) chain: Result<Chain, ArcResult>,
    pub(crate) author: Author,
}

/// Whose name a message bears.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Author {
    /// Somebody's of these domains, in lower case; nearly always one.
    Of(Vec<String>),
    /// Nobody's.
    Missing,
    /// There is more than one From field.
    Several,
    /// It cannot be read the one way that everybody would.
    Unclear,
}

impl Claims {
    pub(crate) fn read(raw: Bytes) -> Self {
        let header = Header::new(raw.clone());
        let author = author(&raw, &header);
        let signatures = header
            .named("dkim-signature")
            .take(SIGNATURES_MAX)
            .map(|field| Signature::parse(field.value, Kind::Dkim))
            .collect();
        let chain = Chain::read(&header);
        Self { header, signatures, chain, author }
    }

    /// Whether a key's signature over the header holds.
    pub(crate) fn is_signed(&self, number: usize, key: &PublicKey) -> bool {
        let (Some(Ok(signature)), Some(own)) =
            (self.signatures.get(number), self.header.named("dkim-signature").nth(number))
        else {
            return false;
        };
        let input = crate::dkim::header_input(&self.header, signature, own);
        key.verifies(&input, &signature.signature)
    }
}

/// Whose name a message with this header bears.
pub(crate) fn author(raw: &[u8], header: &Header) -> Author {
    let odd = |field: codec_mime::header::Field<'_>| naming(&field, raw, b"From") == Naming::Odd;
    // A name that some programs read as From, and others do not, tells of no author.
    match codec_mime::header::fields(raw).any(odd) {
        true => Author::Unclear,
        false => Author::read(header),
    }
}

impl Author {
    fn read(header: &Header) -> Self {
        let mut fields = header.named("from");
        let field = match (fields.next(), fields.next()) {
            (None, _) => return Self::Missing,
            (Some(field), None) => field,
            (Some(_), Some(_)) => return Self::Several,
        };
        let Some(authors) = authors(field.value) else { return Self::Unclear };
        let mut domains = BTreeSet::new();
        for author in authors {
            let Ok(domain) = std::str::from_utf8(&author.domain) else { return Self::Unclear };
            match idna::domain_to_ascii(domain.trim_end_matches('.')) {
                Ok(domain) if !domain.is_empty() => domains.insert(domain),
                _ => return Self::Unclear,
            };
        }
        if domains.len() > AUTHOR_DOMAINS_MAX {
            return Self::Unclear;
        }
        Self::Of(domains.into_iter().collect())
    }
}

/// What is known of a message's claims.
pub(crate) struct ClaimsFound {
    /// For each signature that could be read.
    pub(crate) keys: Vec<Option<Result<PublicKey, (DkimResult, &'static str)>>>,
    /// All of the chain but the body.
    pub(crate) arc: ArcResult,
    /// For each author domain.
    pub(crate) authors: Vec<Result<Walk, Unknown>>,
    /// Of domains that may align with an author's.
    pub(crate) organisations: HashMap<String, String>,
}

impl ClaimsFound {
    pub(crate) fn unknown(claims: &Claims) -> Self {
        let unknown = (DkimResult::TempError, "the key was not looked up");
        let authors = match &claims.author {
            Author::Of(domains) => domains.iter().map(|_| Err(Unknown)).collect(),
            _ => Vec::new(),
        };
        Self {
            keys: claims.signatures.iter().map(|_| Some(Err(unknown))).collect(),
            arc: claims.chain.as_ref().err().copied().unwrap_or(ArcResult::TempError),
            authors,
            organisations: HashMap::new(),
        }
    }
}

/// Asks about a message's claims. `sender_domain` is the one SPF was asked about.
pub(crate) async fn claims(
    dns: &dyn Dns,
    claims: &Claims,
    sender_domain: &str,
    until: Instant,
) -> ClaimsFound {
    let keys = join_all(claims.signatures.iter().map(async |signature| {
        let signature = signature.as_ref().ok()?;
        let timed_out = Err((DkimResult::TempError, "the key was not looked up in time"));
        Some(timeout_at(until, fetch_key(dns, signature)).await.unwrap_or(timed_out))
    }));
    let arc = async {
        match &claims.chain {
            Ok(chain) => chain.check(&claims.header, dns, until).await,
            Err(result) => *result,
        }
    };
    let (keys, (arc, (authors, organisations))) =
        join(keys, join(arc, policies(dns, claims, sender_domain, until))).await;
    ClaimsFound { keys, arc, authors, organisations }
}

async fn policies(
    dns: &dyn Dns,
    claims: &Claims,
    sender_domain: &str,
    until: Instant,
) -> (Vec<Result<Walk, Unknown>>, HashMap<String, String>) {
    let Author::Of(domains) = &claims.author else { return (Vec::new(), HashMap::new()) };
    let walk = async |domain: &str| {
        timeout_at(until, Walk::from(dns, domain)).await.unwrap_or(Err(Unknown))
    };
    let authors = join_all(domains.iter().map(|domain| walk(domain))).await;
    let signers = claims.signatures.iter().flatten();
    let proofs =
        signers.map(|signature| Proven { domain: signature.domain.clone(), by_spf: false });
    let sender = Proven { domain: sender_domain.to_owned(), by_spf: true };
    let others: BTreeSet<String> = proofs
        .chain([sender])
        .filter(|proof| {
            let known = |author: &Walk| dmarc::may_align(author, proof);
            !domains.contains(&proof.domain) && authors.iter().flatten().any(known)
        })
        .map(|proof| proof.domain)
        .collect();
    let found = join_all(others.into_iter().map(async |domain| {
        let walk = walk(&domain).await.ok()?;
        let organisation = walk.organisation().to_owned();
        Some((domain, organisation))
    }));
    let mut organisations: HashMap<_, _> = found.await.into_iter().flatten().collect();
    // One author may have signed for another.
    organisations.extend(
        authors
            .iter()
            .flatten()
            .map(|author| (author.domain().to_owned(), author.organisation().to_owned())),
    );
    (authors, organisations)
}

/// A name as the DNS has it, in lower case; as it is where it cannot be one.
pub(crate) fn ascii(domain: &str) -> String {
    idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_ascii_lowercase())
}

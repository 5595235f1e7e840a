//! What TLSA records say of a certificate (RFC 6698, RFC 7671, as SMTP uses them: RFC 7672).
//!
//! Of the four usages SMTP knows two (RFC 7672 §3.1.3): the host's own certificate, whatever else
//! it says, and an authority that the certificate and its chain must lead to. Records of other
//! kinds, or that are no records at all, are unusable: they ask for encryption and for nothing more.

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, SHA512, SHA512_OUTPUT_LEN, digest};
use base::env::Tlsa;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, OtherError, RootCertStore};
use std::fmt;
use std::sync::Arc;

/// The records of one host that are looked at. Who publishes more wants us to work.
const RECORDS_MAX: usize = 32;

/// Numbers of RFC 6698 §2.1.
const TRUST_ANCHOR: u8 = 2;
const OWN_CERTIFICATE: u8 = 3;
const WHOLE: u8 = 0;
const PUBLIC_KEY: u8 = 1;
const AS_IS: u8 = 0;
const BY_SHA256: u8 = 1;
const BY_SHA512: u8 = 2;

/// What a host's certificate is judged by.
#[derive(Debug)]
pub(crate) struct Dane {
    /// Usable ones only.
    records: Vec<Tlsa>,
    /// The names of which a certificate under a trust anchor must have one.
    names: Vec<ServerName<'static>>,
}

/// Why a certificate is refused, in words.
#[derive(Debug)]
struct Refused(&'static str);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Refused {}

fn refused(why: &'static str) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(Refused(why)))))
}

impl Dane {
    /// What the records ask of a certificate; `None` if none of them can be used. `names` are those
    /// that the host may be called by: its own, and the domain's whose mail it takes (RFC 7672
    /// §3.2.2).
    pub(crate) fn new(records: Vec<Tlsa>, names: &[&str]) -> Option<Self> {
        let usable: Vec<Tlsa> = records.into_iter().take(RECORDS_MAX).filter(is_usable).collect();
        // Of the digests of a thing only the strongest counts (RFC 7671 §9).
        let is_stronger = |one: &Tlsa, other: &Tlsa| {
            (one.usage, one.selector) == (other.usage, other.selector)
                && (one.matching, other.matching) == (BY_SHA512, BY_SHA256)
        };
        let is_strongest = |record: &Tlsa| !usable.iter().any(|one| is_stronger(one, record));
        let records: Vec<Tlsa> = usable.iter().filter(|one| is_strongest(one)).cloned().collect();
        let name = |name: &&str| ServerName::try_from((*name).to_owned()).ok();
        let names = names.iter().filter_map(name).collect();
        (!records.is_empty()).then_some(Self { records, names })
    }

    /// Judges what a host shows.
    ///
    /// # Errors
    /// [`Error::InvalidCertificate`], with the reason in words.
    pub(crate) fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Result<(), Error> {
        // Neither names nor dates matter where the certificate itself is named (RFC 7671 §5.1).
        if self.of(OWN_CERTIFICATE).any(|record| matches(record, certificate)) {
            return Ok(());
        }
        let mut anchors = RootCertStore::empty();
        for record in self.of(TRUST_ANCHOR) {
            for shown in chain.iter().filter(|shown| matches(record, shown)) {
                // One that is no certificate of an authority leads nowhere.
                let _useless = anchors.add(shown.clone().into_owned());
            }
            // A host need not send an authority that stands in the record as it is.
            if (record.selector, record.matching) == (WHOLE, AS_IS) {
                let _useless = anchors.add(CertificateDer::from(record.data.clone()));
            }
        }
        if anchors.is_empty() {
            return Err(refused("the certificate does not match any TLSA record"));
        }
        let certificate = ParsedCertificate::try_from(certificate)?;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &anchors,
            chain,
            now,
            algorithms.all,
        )?;
        if self.names.iter().any(|name| verify_server_name(&certificate, name).is_ok()) {
            return Ok(());
        }
        Err(refused("the certificate is of the right authority, but for other names"))
    }

    fn of(&self, usage: u8) -> impl Iterator<Item = &Tlsa> {
        self.records.iter().filter(move |record| record.usage == usage)
    }
}

fn is_usable(record: &Tlsa) -> bool {
    let Tlsa { usage, selector, matching, data } = record;
    matches!(*usage, TRUST_ANCHOR | OWN_CERTIFICATE)
        && matches!(*selector, WHOLE | PUBLIC_KEY)
        && match *matching {
            AS_IS if *selector == WHOLE => {
                ParsedCertificate::try_from(&CertificateDer::from(data.as_slice())).is_ok()
            }
            AS_IS => !data.is_empty(),
            BY_SHA256 => data.len() == SHA256_OUTPUT_LEN,
            BY_SHA512 => data.len() == SHA512_OUTPUT_LEN,
            _ => false,
        }
}

/// Whether a certificate is what a record describes.
fn matches(record: &Tlsa, certificate: &CertificateDer<'_>) -> bool {
    let has = |bytes: &[u8]| match record.matching {
        AS_IS => bytes == record.data,
        BY_SHA256 => digest(&SHA256, bytes).as_ref() == record.data,
        BY_SHA512 => digest(&SHA512, bytes).as_ref() == record.data,
        _ => false,
    };
    match record.selector {
        WHOLE => has(certificate),
        PUBLIC_KEY => ParsedCertificate::try_from(certificate)
            .is_ok_and(|certificate| has(certificate.subject_public_key_info().as_ref())),
        _ => false,
    }
}

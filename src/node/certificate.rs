//! The node's certificate: what is in its files, and replacing it while the node runs.
//!
//! The files are read again on SIGHUP, on `rialto certificate reload`, and when they have changed.
//! New connections use the new certificate, open ones stay as they are. What cannot be used
//! changes nothing and is logged: renewal tools write two files one after the other, so a pair
//! that does not fit for a moment is normal.

use super::config::{TlsFiles, read};
use access_admin::CertificateView;
use access_listener::{CancellationToken, TlsSettings};
use aws_lc_rs::digest::{SHA256, digest};
use base::env::{Clock, Env};
use base::{Error, Result, Timestamp};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::signal::unix::Signal;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{ASN1Time, X509Certificate};

/// How often it is looked whether the files have changed.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// A certificate with less time left than this is worth a word.
const SOON_DAYS: i64 = 7;

const DAY_S: i64 = 24 * 3600;

/// What a certificate says.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    /// The names that it is for.
    names: Vec<String>,
    not_before: ASN1Time,
    not_after: ASN1Time,
    /// SHA-256 of the public key, in hexadecimal.
    key_digest: String,
}

/// Something wrong with the files: the key of `[tls]` that names the file, and what.
pub(crate) struct Trouble {
    pub key: &'static str,
    pub text: String,
    /// Whether it cannot be used at all.
    pub is_fatal: bool,
}

impl Trouble {
    fn fatal(key: &'static str, text: impl Into<String>) -> Self {
        Self { key, text: text.into(), is_fatal: true }
    }

    fn advice(text: String) -> Self {
        Self { key: "certificate", text, is_fatal: false }
    }
}

impl Certificate {
    /// Everything that is wrong with the files.
    pub(crate) fn troubles(files: &TlsFiles, now: Timestamp) -> Vec<Trouble> {
        let of_file = |key, path: &Path| read(path).map_err(|e| Trouble::fatal(key, e.text));
        let (chain, key) =
            match (of_file("certificate", &files.certificate), of_file("key", &files.key)) {
                (Ok(chain), Ok(key)) => (chain, key),
                (chain, key) => return chain.err().into_iter().chain(key.err()).collect(),
            };
        let certificates = match parse_chain(&chain) {
            Ok(certificates) => certificates,
            Err(text) => {
                let text = format!("{}: {text}", files.certificate.display());
                return vec![Trouble::fatal("certificate", text)];
            }
        };
        if let Err(error) = PrivateKeyDer::from_pem_slice(&key) {
            let text = format!("{}: no private key in PEM ({error})", files.key.display());
            return vec![Trouble::fatal("key", text)];
        }
        if let Err(error) = TlsSettings::from_pem(&chain, &key) {
            let text = format!("it does not fit the certificate: {}", error.text);
            return vec![Trouble::fatal("key", text)];
        }
        let numbered = certificates.iter().enumerate();
        numbered.filter_map(|(number, found)| found.advice(number, now)).collect()
    }

    fn advice(&self, number: usize, now: Timestamp) -> Option<Trouble> {
        let whose = match number {
            0 => "it".to_owned(),
            other => format!("certificate {} of the file", other + 1),
        };
        let (begin, end) = (self.not_before, self.not_after);
        let left_s = end.timestamp() - now.unix_s();
        let text = if left_s < 0 {
            format!("{whose} has run out on {end}")
        } else if begin.timestamp() > now.unix_s() {
            format!("{whose} is good from {begin} only")
        } else if number == 0 && left_s < SOON_DAYS * DAY_S {
            format!("{whose} will run out in {} days, on {end}", left_s / DAY_S)
        } else {
            return None;
        };
        Some(Trouble::advice(text))
    }

    /// As it is shown to administrators.
    fn view(&self, files: &TlsFiles, now: Timestamp) -> CertificateView {
        CertificateView {
            file: files.certificate.display().to_string(),
            names: self.names.clone(),
            not_before: self.not_before.to_string(),
            not_after: self.not_after.to_string(),
            days_left: (self.not_after.timestamp() - now.unix_s()).div_euclid(DAY_S),
            public_key_sha256: self.key_digest.clone(),
        }
    }
}

/// All certificates of a PEM file.
fn parse_chain(pem: &[u8]) -> Result<Vec<Certificate>, String> {
    let ders = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let ders = ders.map_err(|error| error.to_string())?;
    if ders.is_empty() {
        return Err("no certificate in PEM".to_owned());
    }
    ders.iter().map(|der| parse(der)).collect()
}

fn parse(der: &[u8]) -> Result<Certificate, String> {
    let (_, found): (_, X509Certificate<'_>) =
        x509_parser::parse_x509_certificate(der).map_err(|error| error.to_string())?;
    let alternatives = found.subject_alternative_name().ok().flatten();
    let names = alternatives.iter().flat_map(|names| &names.value.general_names);
    let names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match (<[u8; 4]>::try_from(*bytes), *bytes) {
            (Ok(v4), _) => Some(std::net::Ipv4Addr::from(v4).to_string()),
            (_, bytes) => {
                <[u8; 16]>::try_from(bytes).ok().map(|v6| std::net::Ipv6Addr::from(v6).to_string())
            }
        },
        _ => None,
    });
    let names = names.collect();
    let validity = found.validity();
    let digest = digest(&SHA256, found.tbs_certificate.subject_pki.raw);
    let key_digest = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let (not_before, not_after) = (validity.not_before, validity.not_after);
    Ok(Certificate { names, not_before, not_after, key_digest })
}

/// What tells one state of a file from another.
type Stamp = [Option<(u64, i64, i64, u64)>; 2];

fn stamp(files: &TlsFiles) -> Stamp {
    let of = |path: &Path| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.ino(), found.mtime(), found.mtime_nsec(), found.len()))
    };
    [of(&files.certificate), of(&files.key)]
}

/// The certificate in use.
pub(crate) struct CertificateKeeper {
    files: TlsFiles,
    settings: Arc<TlsSettings>,
    clock: Arc<dyn Clock>,
    current: Mutex<Current>,
}

struct Current {
    certificate: Certificate,
    /// The files as they were when they were read last, whether they could be used or not.
    seen: Stamp,
}

impl CertificateKeeper {
    /// Reads the files.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`] if they cannot be used.
    pub(crate) fn open(files: TlsFiles, env: &Env) -> Result<Arc<Self>> {
        let seen = stamp(&files);
        let (chain, key) = files.read()?;
        let settings = TlsSettings::from_pem(&chain, &key)?;
        let current = Mutex::new(Current { certificate: first(&chain)?, seen });
        Ok(Arc::new(Self { files, settings, clock: env.clock.clone(), current }))
    }

    /// What listeners present.
    pub(crate) fn settings(&self) -> Arc<TlsSettings> {
        self.settings.clone()
    }

    /// The certificate in use.
    pub(crate) fn view(&self) -> CertificateView {
        self.current().certificate.view(&self.files, self.clock.now())
    }

    /// Reads the files again; gives the certificate that is used from now on, or would be.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`] if they cannot be used; then nothing changes.
    pub(crate) fn reload(&self, what_if: bool) -> Result<CertificateView> {
        let now = self.clock.now();
        let seen = stamp(&self.files);
        if !what_if {
            self.current().seen = seen;
        }
        let fatal = Certificate::troubles(&self.files, now).into_iter().find(|t| t.is_fatal);
        if let Some(Trouble { key, text, .. }) = fatal {
            return Err(Error::invalid(format!("tls.{key}: {text}")));
        }
        let (chain, key) = self.files.read()?;
        let certificate = first(&chain)?;
        let view = certificate.view(&self.files, now);
        if !what_if {
            self.settings.replace_pem(&chain, &key)?;
            self.current().certificate = certificate;
            tracing::info!(not_after = view.not_after, names = ?view.names, "a new certificate");
        }
        Ok(view)
    }

    /// Reads the files again if they have changed since they were read last.
    fn look(&self) {
        if stamp(&self.files) != self.current().seen {
            self.try_reload("changed");
        }
    }

    fn try_reload(&self, why: &str) {
        if let Err(error) = self.reload(false) {
            tracing::warn!(%error, why, "the certificate cannot be used; the old one stays");
        }
    }

    /// Looks at the files for ever, and at once when the process is sent `hangups`.
    pub(crate) async fn watch(self: Arc<Self>, hangups: Option<Signal>, stop: CancellationToken) {
        let mut hangups = hangups;
        loop {
            let hung_up = async {
                match &mut hangups {
                    Some(signal) => signal.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.clock.sleep(LOOK_EVERY) => self.look(),
                _ = hung_up => self.try_reload("SIGHUP"),
            }
        }
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn first(chain: &[u8]) -> Result<Certificate> {
    let found = parse_chain(chain).map_err(Error::invalid)?;
    found.into_iter().next().ok_or_else(|| Error::invalid("no certificate in PEM"))
}

/// Certificates for tests.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod testing {
    use base::Timestamp;
    use rcgen::{CertificateParams, KeyPair};
    use std::path::Path;
    use std::time::Duration;

    /// When the tests are run: 2030-06-15.
    pub(crate) const NOW: Timestamp = Timestamp { unix_ms: 1_907_712_000_000 };

    /// Writes `name.pem` and `name.key`, good from and until so many days after now.
    pub(crate) fn write(dir: &Path, name: &str, from: i64, until: i64) {
        let now = rcgen::date_time_ymd(2030, 6, 15);
        let at = |days: i64| {
            let by = Duration::from_secs(days.unsigned_abs() * 24 * 3600 + 60);
            if days < 0 || (days == 0 && from == 0) { now - by } else { now + by }
        };
        let mut params = CertificateParams::new([format!("{name}.example")]).unwrap();
        (params.not_before, params.not_after) = (at(from), at(until));
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(dir.join(format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A keeper of `used.pem` and `used.key`, which hold the certificate `one`.
    fn keeper(dir: &Path) -> Arc<CertificateKeeper> {
        for name in ["one", "two"] {
            testing::write(dir, name, 0, 90);
        }
        put(dir, "one", "one");
        let files = TlsFiles { certificate: dir.join("used.pem"), key: dir.join("used.key") };
        CertificateKeeper::open(files, &Env::real()).unwrap()
    }

    fn put(dir: &Path, certificate: &str, key: &str) {
        // As renewal tools do it: a new file is renamed over the old one.
        for (from, to) in
            [(format!("{certificate}.pem"), "used.pem"), (format!("{key}.key"), "used.key")]
        {
            std::fs::copy(dir.join(from), dir.join("new")).unwrap();
            std::fs::rename(dir.join("new"), dir.join(to)).unwrap();
        }
    }

    #[test]
    fn files_that_changed_are_used_and_bad_ones_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let keeper = keeper(dir.path());
        let names = || keeper.view().names;
        keeper.look();
        assert_eq!(names(), ["one.example"]);
        put(dir.path(), "two", "one");
        keeper.look();
        assert_eq!(names(), ["one.example"], "the key does not fit yet");
        assert!(keeper.reload(false).unwrap_err().text.starts_with("tls.key: "));
        put(dir.path(), "two", "two");
        assert_eq!(keeper.reload(true).unwrap().names, ["two.example"]);
        assert_eq!(names(), ["one.example"], "--what-if changes nothing");
        keeper.look();
        assert_eq!(names(), ["two.example"]);
        std::fs::write(dir.path().join("used.pem"), "").unwrap();
        keeper.look();
        assert_eq!(names(), ["two.example"]);
        std::fs::remove_file(dir.path().join("used.pem")).unwrap();
        keeper.look();
        assert!(keeper.reload(false).unwrap_err().text.starts_with("tls.certificate: "));
        assert_eq!(names(), ["two.example"]);
    }
}

//! The certificate authority of `rialto dev`, made at the first start and kept.

use super::TlsFiles;
use base::{Error, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use std::path::Path;

/// The authority's certificate, for clients to trust.
pub(crate) const CA_FILE: &str = "ca.pem";

const CHAIN_FILE: &str = "server.pem";
const KEY_FILE: &str = "server.key";

/// The certificate of a data directory, made if it is missing; it names `localhost`, `127.0.0.1`,
/// the domain and everything below it. The authority's key is not kept: nothing else is ever
/// signed with it.
///
/// # Errors
/// [`base::Kind::Invalid`] if the directory cannot be written.
pub(crate) fn ensure(data: &Path, domain: &str) -> Result<TlsFiles> {
    let wrong = |error: std::io::Error| Error::invalid(format!("{}: {error}", data.display()));
    super::data_dir::ensure(data)?;
    let files = TlsFiles { certificate: data.join(CHAIN_FILE), key: data.join(KEY_FILE) };
    if files.certificate.exists() && files.key.exists() && data.join(CA_FILE).exists() {
        return Ok(files);
    }
    let made = make(domain).map_err(|error| Error::internal(format!("certificate: {error}")))?;
    std::fs::write(data.join(CA_FILE), &made.authority).map_err(wrong)?;
    write_secret(&files.key, &made.key).map_err(wrong)?;
    std::fs::write(&files.certificate, &made.chain).map_err(wrong)?;
    Ok(files)
}

struct Made {
    authority: String,
    chain: String,
    key: String,
}

fn make(domain: &str) -> std::result::Result<Made, rcgen::Error> {
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "Rialto dev authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority_key = KeyPair::generate()?;
    let authority_pem = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);

    let names =
        ["localhost", "127.0.0.1", "::1", domain, &format!("*.{domain}")].map(str::to_owned);
    let mut server = CertificateParams::new(names)?;
    server.distinguished_name.push(DnType::CommonName, domain);
    let key = KeyPair::generate()?;
    let certificate = server.signed_by(&key, &issuer)?;
    let chain = format!("{}{authority_pem}", certificate.pem());
    Ok(Made { authority: authority_pem, chain, key: key.serialize_pem() })
}

/// Writes a file that only its owner may read.
fn write_secret(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn nobody_else_may_look_at_the_key() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let files = ensure(&data, "x.test").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&data), mode(&files.key)), (0o700, 0o600));
        let before = std::fs::read(&files.certificate).unwrap();
        ensure(&data, "x.test").unwrap();
        assert_eq!(std::fs::read(&files.certificate).unwrap(), before, "it is kept");
    }
}

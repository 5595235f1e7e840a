//! Where a domain wants its reports: TXT records (RFC 8460 §3) and the addresses in them (RFC 9989
//! §4.7 `rua`).

/// The most addresses that are taken from one record (RFC 9990 §3.1 asks for two at least).
const ADDRESSES_MAX: usize = 5;

/// The longest address, in bytes (RFC 5321 §4.5.3.1.3).
const ADDRESS_BYTES_MAX: usize = 254;

/// An address for reports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Destination {
    /// `local@domain`, plain ASCII.
    pub address: String,
    /// The largest report that is wanted there, in bytes.
    pub bytes_max: Option<u64>,
}

impl Destination {
    /// The address's domain, in lower case.
    pub fn domain(&self) -> String {
        let (_, domain) = self.address.rsplit_once('@').unwrap_or_default();
        domain.to_ascii_lowercase()
    }
}

/// Whether a domain wants reports on TLS, and its `mailto:` addresses for them: `None` unless exactly
/// one of its texts is a record. Other kinds of addresses are passed over.
pub fn tls_destinations(texts: &[Vec<u8>]) -> Option<Vec<Destination>> {
    let mut records = texts.iter().filter_map(|text| {
        let text = std::str::from_utf8(text).ok()?;
        let (version, fields) = text.split_once(';')?;
        (version.trim_end() == "v=TLSRPTv1").then_some(fields)
    });
    let fields = records.next()?;
    if records.next().is_some() {
        return None;
    }
    let mut values = fields.split(';').filter_map(|field| {
        let (name, value) = field.split_once('=')?;
        (name.trim() == "rua").then_some(value)
    });
    Some(destinations(values.next()?))
}

/// The `mailto:` addresses for aggregate reports of a domain's policy; `None` unless exactly one of
/// its texts is a record of DMARC.
pub fn dmarc_destinations(texts: &[Vec<u8>]) -> Option<Vec<Destination>> {
    let mut records = texts.iter().filter(|text| is_dmarc(text));
    let record = std::str::from_utf8(records.next()?).ok()?;
    if records.next().is_some() {
        return None;
    }
    let mut values = record.split(';').filter_map(|field| {
        let (name, value) = field.split_once('=')?;
        name.trim().eq_ignore_ascii_case("rua").then_some(value)
    });
    Some(values.next().map(destinations).unwrap_or_default())
}

/// Whether a text is a record of DMARC (RFC 9989 §4.8): also what says that a domain takes reports
/// for another one (RFC 9990 §4).
pub fn is_dmarc(text: &[u8]) -> bool {
    let first = text.split(|byte| *byte == b';').next().unwrap_or_default();
    let Some(at) = first.iter().position(|byte| *byte == b'=') else { return false };
    let (name, value) = (first[..at].trim_ascii(), first[at + 1..].trim_ascii());
    name.eq_ignore_ascii_case(b"v") && value == b"DMARC1"
}

/// Whether a record of DMARC is that of a public suffix (`psd=y`).
pub fn is_of_suffix(text: &[u8]) -> bool {
    text.split(|byte| *byte == b';').any(|field| {
        let squeezed: Vec<u8> =
            field.iter().filter(|byte| !byte.is_ascii_whitespace()).copied().collect();
        squeezed.eq_ignore_ascii_case(b"psd=y")
    })
}

/// The `mailto:` addresses of a list of addresses, each with its size limit: `mailto:a@b!10m`.
pub fn destinations(list: &str) -> Vec<Destination> {
    list.split(',').filter_map(|one| destination(one.trim())).take(ADDRESSES_MAX).collect()
}

fn destination(uri: &str) -> Option<Destination> {
    let (scheme, rest) = uri.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("mailto") {
        return None;
    }
    // Header fields behind "?" are nobody's business.
    let rest = rest.split('?').next()?;
    let (address, limit) = match rest.rsplit_once('!') {
        Some((address, limit)) => (address, Some(bytes(limit)?)),
        None => (rest, None),
    };
    let address = decoded(address)?;
    is_address(&address).then_some(Destination { address, bytes_max: limit })
}

/// `10m`: a number, and a power of 1,024 (RFC 7489 §6.2).
fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok()?;
    let power = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return None,
    };
    number.checked_mul(1024_u64.pow(power))
}

/// Without percent signs (RFC 3986 §2.1).
fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let high = char::from(rest.next()?).to_digit(16)?;
        let low = char::from(rest.next()?).to_digit(16)?;
        out.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(out).ok()
}

fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let plain = |c: char| c.is_ascii_alphanumeric() || ".!#$%&'*+-/=?^_`{|}~".contains(c);
    let label = |label: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        !label.is_empty() && label.len() < 64 && label.chars().all(plain)
    };
    text.len() <= ADDRESS_BYTES_MAX
        && !local.is_empty()
        && local.chars().all(plain)
        && domain.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(list: &[Destination]) -> String {
        let one = |one: &Destination| match one.bytes_max {
            Some(limit) => format!("{}<={limit}", one.address),
            None => one.address.clone(),
        };
        list.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn addresses_in_lists() {
        let check = |list: &str, expected: &str| {
            assert_eq!(shown(&destinations(list)), expected, "{list}");
        };
        check("mailto:a@b.test", "a@b.test");
        check("mailto:a@b.test!10m, MAILTO:c@d.test!5", "a@b.test<=10485760 c@d.test<=5");
        check("https://x.test/, mailto:a@b.test?subject=x", "a@b.test");
        check("mailto:a%2Bb@c.test", "a+b@c.test");
        check("mailto:a%0d%0ax@c.test,mailto:%4,mailto:%zz@c.test,mailto:a@,mailto:@b,a@b", "");
        check("mailto:a@b.test!10x,mailto:a@b.test!,mailto:a@b.test!99999999999999g", "");
        check("mailto:a b@c.test,mailto:<a@c.test>,mailto:a@c..test", "");
        check(&["mailto:a@b.test"; 9].join(","), &["a@b.test"; 5].join(" "));
        check(&format!("mailto:{}@b.test", "x".repeat(300)), "");
    }

    #[test]
    fn a_record_of_dmarc() {
        let check = |texts: &[&str], expected: Option<&str>| {
            let texts: Vec<_> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
            let found = dmarc_destinations(&texts).map(|found| shown(&found));
            assert_eq!(found.as_deref(), expected, "{texts:?}");
        };
        check(&["v=DMARC1; p=none; rua=mailto:a@b.test!1k"], Some("a@b.test<=1024"));
        check(
            &["x", " v = DMARC1;p=none;RUA=mailto:a@b.test , mailto:c@d.test"],
            Some("a@b.test c@d.test"),
        );
        check(&["v=DMARC1; p=none"], Some(""));
        check(&["v=DMARC1", "v=DMARC1"], None);
        check(&["v=DMARC2; rua=mailto:a@b.test", "p=none; v=DMARC1", ""], None);
        assert!(is_of_suffix(b"v=DMARC1; psd = y") && !is_of_suffix(b"v=DMARC1; psd=n; x=psd=y"));
    }

    #[test]
    fn a_record_for_reports_on_tls() {
        let check = |texts: &[&str], expected: Option<&str>| {
            let texts: Vec<_> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
            let found = tls_destinations(&texts).map(|found| shown(&found));
            assert_eq!(found.as_deref(), expected, "{texts:?}");
        };
        check(&["v=TLSRPTv1;rua=mailto:reports@example.com"], Some("reports@example.com"));
        check(&["v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt"], Some(""));
        check(
            &["other", "v=TLSRPTv1 ; x=y; rua=mailto:a@b.test,mailto:c@d.test;"],
            Some("a@b.test c@d.test"),
        );
        check(&["v=TLSRPTv1; rua=mailto:a@b.test", "v=TLSRPTv1; rua=mailto:c@d.test"], None);
        check(&["v=TLSRPTv2; rua=mailto:a@b.test"], None);
        check(&["v=TLSRPTv1;"], None);
        check(&[], None);
    }
}

//! What the bytes of MTA-STS mean: the TXT record that says there is a policy, and the policy
//! (RFC 8461 §3.1, §3.2). Both are written by whoever owns a domain, or claims to.

use contract_transport::sts::StsMode;

/// The most exchangers a policy may name.
const EXCHANGERS_MAX: usize = 256;

/// The longest name of a host, in bytes.
const NAME_BYTES_MAX: usize = 253;

/// The longest id of a policy (RFC 8461 §3.1).
const ID_BYTES_MAX: usize = 32;

/// For how long a policy may count: a year (RFC 8461 §3.2).
const AGE_S_MAX: u32 = 31_557_600;

/// What a policy says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Read {
    pub(crate) mode: StsMode,
    pub(crate) exchangers: Vec<String>,
    pub(crate) max_age_s: u32,
}

/// The id of the policy that a domain's TXT records tell of; `None` unless exactly one does.
pub(crate) fn id(texts: &[Vec<u8>]) -> Option<String> {
    let mut records = texts.iter().filter_map(|text| {
        let text = std::str::from_utf8(text).ok()?;
        let (version, fields) = text.split_once(';')?;
        (version.trim_end() == "v=STSv1").then_some(fields)
    });
    let fields = records.next()?;
    if records.next().is_some() {
        return None;
    }
    let mut ids = fields.split(';').filter_map(|field| {
        let (name, value) = field.split_once('=')?;
        (name.trim() == "id").then_some(value.trim())
    });
    let id = ids.next()?;
    let is_id = (1..=ID_BYTES_MAX).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_id.then(|| id.to_owned())
}

/// Reads a policy.
///
/// # Errors
/// Why it is none, in words.
pub(crate) fn read(bytes: &[u8]) -> Result<Read, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "the policy is no text")?;
    let (mut version, mut mode, mut max_age) = (None, None, None);
    let mut exchangers = Vec::new();
    for line in text.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.trim().is_empty() {
            continue;
        }
        let (name, value) = line.split_once(':').ok_or("a line of the policy is no field")?;
        let value = value.trim();
        match name.trim() {
            // Of a field that comes again only the first counts (RFC 8461 §3.2).
            "version" => _ = version.get_or_insert(value),
            "mode" => _ = mode.get_or_insert(value),
            "max_age" => _ = max_age.get_or_insert(value),
            "mx" if exchangers.len() == EXCHANGERS_MAX => {
                return Err("the policy names too many exchangers");
            }
            "mx" => exchangers.push(pattern(value).ok_or("an exchanger of the policy is no host")?),
            _ => {}
        }
    }
    if version != Some("STSv1") {
        return Err("the policy is of no version that we know");
    }
    let mode = match mode {
        Some("enforce") => StsMode::Enforce,
        Some("testing") => StsMode::Testing,
        Some("none") => StsMode::None,
        _ => return Err("the policy has no mode that we know"),
    };
    let digits = max_age.filter(|age| age.len() <= 10 && age.bytes().all(|b| b.is_ascii_digit()));
    let age: Option<u64> = digits.and_then(|age| age.parse().ok());
    let age = age.ok_or("the policy does not say for how long it counts")?;
    if exchangers.is_empty() && mode != StsMode::None {
        return Err("the policy names no exchanger");
    }
    let max_age_s = u32::try_from(age).unwrap_or(AGE_S_MAX).min(AGE_S_MAX);
    Ok(Read { mode, exchangers, max_age_s })
}

/// A host, or any host with one label before a domain, as we compare it.
fn pattern(text: &str) -> Option<String> {
    let folded = text.trim_end_matches('.').to_ascii_lowercase();
    let domain = folded.strip_prefix("*.").unwrap_or(&folded);
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let label = |label: &str| !label.is_empty() && label.len() < 64 && label.chars().all(plain);
    let is_host = folded.len() <= NAME_BYTES_MAX && domain.split('.').all(label);
    is_host.then_some(folded)
}

/// Whether a policy names a host (RFC 8461 §4.1).
pub(crate) fn names(exchangers: &[String], host: &str) -> bool {
    exchangers.iter().any(|pattern| match pattern.strip_prefix("*.") {
        Some(domain) => {
            host.split_once('.').is_some_and(|(first, rest)| !first.is_empty() && rest == domain)
        }
        None => pattern == host,
    })
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;

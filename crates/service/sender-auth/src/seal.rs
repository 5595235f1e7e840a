//! Sealing: what we found in a message of others before we pass it on (RFC 8617 §5.1).
//!
//! Who gets a message from us that somebody else wrote sees our address and a header that we may
//! have changed, so its SPF and perhaps its signatures fail there. A seal says what they were when
//! it came to us; who trusts us may go by that.

use crate::arc::{ArcResult, Chain, SEAL, SETS_MAX};
use crate::dkim::{Canonical, Folded, SIGNED_FIELDS, Signer, occurrences, tags};
use crate::header::{Field, Header};
use base::Result;

/// The fields of our set, to be put in front of a message whose results we wrote down in `results`
/// when it came; empty where nothing can be said: its chain could not be checked, has ended or is
/// full, or is not the one that was checked.
///
/// # Errors
/// [`base::Kind::Invalid`] for a header with too many fields to sign; [`base::Kind::Internal`].
pub(crate) fn set(
    signer: &Signer,
    header: &Header,
    (body_hash, signed_s): (&[u8; 32], i64),
    results: &str,
) -> Result<String> {
    let Some(place) = Place::of(header, found(results)) else { return Ok(String::new()) };
    let Place { number, validity, before } = place;
    let told = format!("ARC-Authentication-Results: i={number}; {}\r\n", results.trim());

    // Signatures of others belong to what we vouch for, but who comes later may add its own.
    let mut names: Vec<&str> = Vec::new();
    for name in SIGNED_FIELDS {
        names.extend(std::iter::repeat_n(*name, occurrences(header, name)? + 1));
    }
    names.extend(std::iter::repeat_n(SIGNATURE, occurrences(header, SIGNATURE)?));
    let field = Folded::new(&format!("ARC-Message-Signature: i={number};"));
    let message = signer.over_message(field, &names, header, (body_hash, signed_s))?;

    let mut input = before;
    for field in [&told, &message] {
        Canonical::Relaxed.field(Field::of(field.as_bytes()), &mut input);
    }
    let mut seal = Folded::new(&format!("ARC-Seal: i={number};"));
    seal.word(&format!("a={};", signer.key.algorithm()));
    seal.word(&format!("t={signed_s};"));
    seal.word(&format!("cv={validity};"));
    seal.word(&format!("d={};", signer.domain));
    seal.word(&format!("s={};", signer.selector));
    Ok(signer.finish(seal, input)? + &message + &told)
}

const SIGNATURE: &str = "dkim-signature";

/// Where in its chain our set comes.
struct Place {
    number: usize,
    /// `cv=`.
    validity: &'static str,
    /// What our seal is over before our own set.
    before: Vec<u8>,
}

impl Place {
    fn of(header: &Header, found: ArcResult) -> Option<Self> {
        match (found, Chain::read(header)) {
            (ArcResult::None, Err(ArcResult::None)) => {
                Some(Self { number: 1, validity: "none", before: Vec::new() })
            }
            (ArcResult::Pass, Ok(chain)) => {
                let number = chain.last().0 + 1;
                let before = chain.sets_input(header);
                (number <= SETS_MAX).then_some(Self { number, validity: "pass", before })
            }
            // A broken chain is ended by whoever finds that, with a seal over its own set alone
            // (RFC 8617 §5.1.2); one that has been ended is left alone.
            (ArcResult::Fail, _) => {
                let (number, validity) = highest(header)?;
                let goes_on = number < SETS_MAX && !validity.eq_ignore_ascii_case("fail");
                let place = Self { number: number + 1, validity: "fail", before: Vec::new() };
                goes_on.then_some(place)
            }
            _ => None,
        }
    }
}

/// The number of the last seal, and what it says of the chain.
fn highest(header: &Header) -> Option<(usize, String)> {
    let seals = header.named(SEAL).filter_map(|seal| {
        let tags = tags::parse(seal.value)?;
        let number = tags::find(&tags, "i")?.parse::<usize>().ok()?;
        Some((number, tags::find(&tags, "cv").unwrap_or_default().to_owned()))
    });
    seals.max_by_key(|(number, _)| *number)
}

/// What our own results say of the chain. They are written by [`crate::results`]: only there a line
/// ends between two results, never within what others have said.
fn found(results: &str) -> ArcResult {
    let word = results.split(";\r\n\t").find_map(|result| result.strip_prefix("arc="));
    let word = word.map(|rest| rest.split_ascii_whitespace().next().unwrap_or_default());
    match word {
        None => ArcResult::None,
        Some(word) => [ArcResult::Pass, ArcResult::Fail]
            .into_iter()
            .find(|result| result.word() == word)
            .unwrap_or(ArcResult::TempError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_words_on_a_chain_are_found_and_nobody_elses() {
        let check = |results: &str, expected: ArcResult| {
            assert_eq!(found(results), expected, "{results:?}");
        };
        check(" mx;\r\n\tspf=pass smtp.mailfrom=a@b.test\r\n", ArcResult::None);
        check(" mx;\r\n\tarc=pass (i=1 by x.test)\r\n", ArcResult::Pass);
        check(
            " mx;\r\n\tspf=none x;\r\n\tarc=pass (i=1 by x.test);\r\n\tdmarc=fail",
            ArcResult::Pass,
        );
        check(" mx;\r\n\tarc=fail\r\n", ArcResult::Fail);
        check(" mx;\r\n\tarc=temperror (i=1 by x.test)\r\n", ArcResult::TempError);
        check(" mx;\r\n\tarc=passable\r\n", ArcResult::TempError);
        check(" mx;\r\n\tspf=fail smtp.mailfrom=\"x; arc=pass\"\r\n", ArcResult::None);
    }
}

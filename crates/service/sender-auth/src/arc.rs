//! ARC: what servers on a message's way say they found (RFC 8617).
//!
//! A chain that holds is told; whom to believe is not decided here.

use crate::dkim::{
    Canonical, DkimResult, Kind, Signature, fetch_key, header_input, own_input, tags,
};
use crate::header::{Field, Header};
use base::env::Dns;
use futures::StreamExt;
use tokio::time::{Instant, timeout_at};

/// The longest chain (RFC 8617 §4.2.1).
pub(crate) const SETS_MAX: usize = 50;

/// Keys that are looked up at once.
const LOOKUPS_AT_ONCE: usize = 8;

/// What came of a chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ArcResult {
    /// There is none.
    None,
    /// It holds.
    Pass,
    /// It does not.
    Fail,
    /// Nobody knows at the moment.
    TempError,
}

impl ArcResult {
    /// The word in an `Authentication-Results` field.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::TempError => "temperror",
        }
    }
}

/// A chain that is complete in form; nothing of it has been checked.
#[derive(Debug)]
pub struct Chain {
    /// Of each set, the first first: where its fields stand among those of their name.
    sets: Vec<Set>,
}

#[derive(Debug)]
struct Set {
    results: usize,
    message: usize,
    seal: usize,
    message_signature: Signature,
    seal_signature: Signature,
}

const RESULTS: &str = "arc-authentication-results";
const MESSAGE: &str = "arc-message-signature";
pub(crate) const SEAL: &str = "arc-seal";

impl Chain {
    /// Reads the chain of a header.
    ///
    /// # Errors
    /// [`ArcResult::None`] where there is none, [`ArcResult::Fail`] where it has no proper form
    /// (RFC 8617 §5.2).
    pub fn read(header: &Header) -> Result<Self, ArcResult> {
        let counts = [RESULTS, MESSAGE, SEAL].map(|name| header.count(name));
        match counts {
            [0, 0, 0] => return Err(ArcResult::None),
            [results, message, seal]
                if results == message && message == seal && seal <= SETS_MAX => {}
            _ => return Err(ArcResult::Fail),
        }
        let results = in_order(header, RESULTS, results_instance)?;
        let messages = in_order(header, MESSAGE, tagged_instance)?;
        let seals = in_order(header, SEAL, tagged_instance)?;
        let mut sets = Vec::new();
        for (number, ((results, message), seal)) in
            results.into_iter().zip(messages).zip(seals).enumerate()
        {
            sets.push(Set::read(header, number, results, message, seal)?);
        }
        Ok(Self { sets })
    }

    /// The signature over the message that the last server made.
    pub fn message_signature(&self) -> Option<&Signature> {
        self.sets.last().map(|set| &set.message_signature)
    }

    /// How many servers there were, and the last one's domain.
    pub fn last(&self) -> (usize, &str) {
        let domain = self.sets.last().map_or("", |set| &set.seal_signature.domain);
        (self.sets.len(), domain)
    }

    /// Checks all but the body: each seal, and the last signature.
    pub async fn check(&self, header: &Header, dns: &dyn Dns, until: Instant) -> ArcResult {
        let seals = (0..self.sets.len()).map(Input::Seal);
        let inputs = std::iter::once(Input::Message).chain(seals);
        let mut checks = futures::stream::iter(inputs)
            .map(|input| self.check_one(input, header, dns, until))
            .buffer_unordered(LOOKUPS_AT_ONCE);
        let mut all = ArcResult::Pass;
        while let Some(result) = checks.next().await {
            match result {
                ArcResult::Pass => {}
                ArcResult::TempError => all = ArcResult::TempError,
                ArcResult::None | ArcResult::Fail => return ArcResult::Fail,
            }
        }
        all
    }

    async fn check_one(
        &self,
        input: Input,
        header: &Header,
        dns: &dyn Dns,
        until: Instant,
    ) -> ArcResult {
        let signature = match input {
            Input::Message => self.message_signature(),
            Input::Seal(number) => self.sets.get(number).map(|set| &set.seal_signature),
        };
        let Some(signature) = signature else { return ArcResult::Fail };
        let key = match timeout_at(until, fetch_key(dns, signature)).await {
            Ok(Ok(key)) => key,
            Ok(Err((DkimResult::TempError, _))) | Err(_) => return ArcResult::TempError,
            Ok(Err(_)) => return ArcResult::Fail,
        };
        let input = match input {
            Input::Message => self.message_input(header),
            Input::Seal(number) => self.seal_input(header, number),
        };
        if key.verifies(&input, &signature.signature) { ArcResult::Pass } else { ArcResult::Fail }
    }

    fn message_input(&self, header: &Header) -> Vec<u8> {
        let Some(set) = self.sets.last() else { return Vec::new() };
        match header.named(MESSAGE).nth(set.message) {
            Some(own) => header_input(header, &set.message_signature, own),
            None => Vec::new(),
        }
    }

    /// Every field of every set, in order: what the next seal is over, before its own set.
    pub(crate) fn sets_input(&self, header: &Header) -> Vec<u8> {
        let mut input = Vec::with_capacity(4096);
        for set in &self.sets {
            let places = [(RESULTS, set.results), (MESSAGE, set.message), (SEAL, set.seal)];
            for field in places.iter().filter_map(|(name, at)| header.named(name).nth(*at)) {
                Canonical::Relaxed.field(field, &mut input);
            }
        }
        input
    }

    /// Everything up to a set, in order; its own seal without the signature (RFC 8617 §5.1.1).
    fn seal_input(&self, header: &Header, number: usize) -> Vec<u8> {
        let mut input = Vec::with_capacity(4096);
        for (place, set) in self.sets[..=number].iter().enumerate() {
            let field = |name, at| header.named(name).nth(at);
            let fields = [field(RESULTS, set.results), field(MESSAGE, set.message)];
            for field in fields.into_iter().flatten() {
                Canonical::Relaxed.field(field, &mut input);
            }
            match field(SEAL, set.seal) {
                Some(seal) if place == number => own_input(Canonical::Relaxed, seal, &mut input),
                Some(seal) => Canonical::Relaxed.field(seal, &mut input),
                None => {}
            }
        }
        input
    }
}

#[derive(Clone, Copy)]
enum Input {
    Message,
    Seal(usize),
}

impl Set {
    fn read(
        header: &Header,
        number: usize,
        results: usize,
        message: usize,
        seal: usize,
    ) -> Result<Self, ArcResult> {
        let value = |name, at| header.named(name).nth(at).map(|field: Field<'_>| field.value);
        let message_value = value(MESSAGE, message).ok_or(ArcResult::Fail)?;
        let seal_value = value(SEAL, seal).ok_or(ArcResult::Fail)?;
        let fail = |_| ArcResult::Fail;
        let message_signature = Signature::parse(message_value, Kind::ArcMessage).map_err(fail)?;
        let seal_signature = Signature::parse(seal_value, Kind::ArcSeal).map_err(fail)?;
        let tags = tags::parse(seal_value).ok_or(ArcResult::Fail)?;
        let expected = if number == 0 { "none" } else { "pass" };
        let holds = tags::find(&tags, "cv").is_some_and(|cv| cv.eq_ignore_ascii_case(expected));
        // A signature over a seal would be one over what is added after it.
        if !holds || message_signature.fields.iter().any(|name| name == SEAL) {
            return Err(ArcResult::Fail);
        }
        Ok(Self { results, message, seal, message_signature, seal_signature })
    }
}

/// Where the fields of a name stand, by instance: each number from one on, exactly once.
fn in_order(
    header: &Header,
    name: &str,
    instance: impl Fn(&[u8]) -> Option<usize>,
) -> Result<Vec<usize>, ArcResult> {
    let mut places = vec![None; header.count(name)];
    for (place, field) in header.named(name).enumerate() {
        let number = instance(field.value).and_then(|number| number.checked_sub(1));
        let slot = number.and_then(|number| places.get_mut(number)).ok_or(ArcResult::Fail)?;
        if slot.replace(place).is_some() {
            return Err(ArcResult::Fail);
        }
    }
    places.into_iter().collect::<Option<_>>().ok_or(ArcResult::Fail)
}

fn tagged_instance(value: &[u8]) -> Option<usize> {
    tags::find(&tags::parse(value)?, "i")?.parse().ok()
}

fn results_instance(value: &[u8]) -> Option<usize> {
    let first = value.split(|byte| *byte == b';').next()?;
    tagged_instance(first)
}

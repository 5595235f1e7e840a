//! What of an answer counts, and whether a "no" is to be believed.
//!
//! An answer may bring records of any name: only those of the name that was asked count, or of the
//! name at which its aliases end. hickory-net 0.26 takes a denial for good as soon as all records
//! beside it are of unsigned zones, whichever those are; so a zone that nobody asked about could
//! deny what another one has signed. With DNSSEC a denial without signatures counts only if a
//! record shows that the name itself is in an unsigned zone: no such record can be made at or above
//! a name that is signed.

use super::dnssec::is_secure;
use base::env::DnsError;
use hickory_resolver::TokioResolver;
use hickory_resolver::net::{DnsError as Refusal, NetError, NoRecords};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::rdata::CNAME;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

/// How many aliases are followed, and how many names are looked at on the way up.
const STEPS_MAX: usize = 10;

/// Zones of which hickory asks nobody.
const UNASKED: [&str; 3] = ["invalid.", "onion.", "localhost."];

const FORGED: &str = "DNSSEC: the answer is not what its zone has signed";
const FORGED_DENIAL: &str = "DNSSEC: that there is no such record is not what its zone has signed";

/// The records that answer a question.
pub(super) struct Reply {
    /// The aliases, and what is at their end.
    pub(super) records: Vec<Record>,
    /// Where the aliases end.
    pub(super) name: Name,
}

impl Reply {
    /// What answers the question; `None` where nothing does.
    fn new(
        asked: Name,
        answers: &[Record],
        kind: RecordType,
        is_checked: bool,
    ) -> Result<Option<Self>, DnsError> {
        let mut reply = Self { records: Vec::new(), name: asked };
        // Each alias leads on from where the last one ended, in whatever order they came.
        for _ in 0..=answers.len() {
            let of = |kind: RecordType| answers.iter().filter(move |one| one.record_type() == kind);
            let here: Vec<Record> =
                of(kind).filter(|one| one.name == reply.name).cloned().collect();
            if !here.is_empty() {
                reply.records.extend(here);
                break;
            }
            let aliases: Vec<Record> =
                of(RecordType::CNAME).filter(|one| one.name == reply.name).cloned().collect();
            let Some(RData::CNAME(CNAME(target))) = aliases.first().map(|one| &one.data) else {
                break;
            };
            reply.name = target.clone();
            reply.records.extend(aliases);
        }
        // Not all sections of an answer are judged as a whole: each record must be good by itself.
        // What was not judged at all is of this machine: of /etc/hosts.
        if is_checked && reply.records.iter().any(|one| one.proof.is_bogus()) {
            return Err(DnsError::NoAnswer(FORGED.to_owned()));
        }
        let is_answer = reply.records.iter().any(|one| one.record_type() == kind);
        Ok(is_answer.then_some(reply))
    }

    /// What the first record stands for, if it is an alias.
    fn target(&self) -> Option<Name> {
        match &self.records.first()?.data {
            RData::CNAME(CNAME(target)) => Some(target.clone()),
            _ => None,
        }
    }

    /// Whether all of it is vouched for, aliases included.
    pub(super) fn is_secure(&self) -> bool {
        is_secure(&self.records)
    }
}

/// Asks; `is_checked` where the client checks signatures.
pub(super) async fn ask(
    resolver: &TokioResolver,
    name: &str,
    kind: RecordType,
    is_checked: bool,
) -> Result<Reply, DnsError> {
    let complete = format!("{}.", name.trim_end_matches('.'));
    // What is no name does not exist, and nobody need be asked.
    let asked = Name::from_utf8(complete).map_err(|_| DnsError::NoDomain)?;
    // For some names hickory asks nobody, and nobody can forge what it says.
    let is_unasked = |zone| Name::from_ascii(zone).is_ok_and(|zone| zone.zone_of(&asked));
    let is_checked = is_checked && !UNASKED.into_iter().any(is_unasked);
    ask_for(resolver, asked, (kind, is_checked), STEPS_MAX).await
}

async fn ask_for(
    resolver: &TokioResolver,
    asked: Name,
    (kind, is_checked): (RecordType, bool),
    steps: usize,
) -> Result<Reply, DnsError> {
    let error = match resolver.lookup(asked.clone(), kind).await {
        Ok(answer) => {
            return match Reply::new(asked.clone(), answer.answers(), kind, is_checked)? {
                Some(reply) => Ok(reply),
                None => follow(resolver, asked, (kind, is_checked), steps).await,
            };
        }
        Err(error) => error,
    };
    match &error {
        NetError::Dns(Refusal::NoRecordsFound(none)) => {
            let is_denial =
                matches!(none.response_code, ResponseCode::NXDomain | ResponseCode::NoError);
            if is_checked && is_denial && !Box::pin(is_denied(resolver, asked, none)).await {
                return Err(DnsError::NoAnswer(FORGED_DENIAL.to_owned()));
            }
            Err(nothing(none.response_code))
        }
        // What could not be signed because the zone will not: made up from a wildcard, without a
        // proof that nothing better is there, or that there is nothing.
        NetError::Dns(Refusal::Nsec { query, response, proof, .. })
            if proof.is_insecure() && is_of_zone(&response.authorities, query.name()) =>
        {
            if !response.answers.iter().any(|one| one.record_type() == kind) {
                return Err(nothing(response.metadata.response_code));
            }
            let mut answers = response.answers.clone();
            let secure = answers.iter_mut().filter(|one| one.proof.is_secure());
            secure.for_each(|one| one.proof = *proof);
            let reply = Reply::new(query.name().clone(), &answers, kind, is_checked)?;
            reply.ok_or_else(|| beside_the_point(is_checked))
        }
        _ => Err(reason(&error)),
    }
}

/// Asks for what an alias stands for, a step at a time: hickory leaves out the aliases on the way to
/// what it remembers.
async fn follow(
    resolver: &TokioResolver,
    asked: Name,
    (kind, is_checked): (RecordType, bool),
    steps: usize,
) -> Result<Reply, DnsError> {
    let nothing = || beside_the_point(is_checked);
    let steps = steps.checked_sub(1).ok_or_else(nothing)?;
    let answer = resolver.lookup(asked.clone(), RecordType::CNAME).await.map_err(|_| nothing())?;
    let alias = Reply::new(asked, answer.answers(), RecordType::CNAME, is_checked)?;
    let alias = alias.ok_or_else(nothing)?;
    let target = alias.target().ok_or_else(nothing)?;
    let mut reply = Box::pin(ask_for(resolver, target, (kind, is_checked), steps)).await?;
    reply.records.splice(0..0, alias.records);
    Ok(reply)
}

/// Something else was said than what was asked: with DNSSEC no proof of anything.
fn beside_the_point(is_checked: bool) -> DnsError {
    match is_checked {
        true => DnsError::NoAnswer(FORGED_DENIAL.to_owned()),
        false => DnsError::NoRecords,
    }
}

/// Whether a denial is to be believed by a client that checks signatures.
async fn is_denied(resolver: &TokioResolver, asked: Name, none: &NoRecords) -> bool {
    let is_unsigned = |one: &Record| one.proof.is_insecure();
    if none.authorities.as_deref().is_some_and(|all| !all.iter().all(is_unsigned)) {
        // hickory has checked these, or has seen that the zone is not signed.
        return true;
    }
    // It is about the end of the aliases. The name that it repeats is what the name server says,
    // so the way there is gone once more.
    let mut name = asked;
    for _ in 0..STEPS_MAX {
        if name == *none.query.name() {
            break;
        }
        let Ok(answer) = resolver.lookup(name.clone(), RecordType::CNAME).await else {
            return false;
        };
        let alias = Reply::new(name, answer.answers(), RecordType::CNAME, true);
        let target = alias.ok().flatten().and_then(|alias| alias.target());
        let Some(target) = target else { return false };
        name = target;
    }
    if name != *none.query.name() {
        return false;
    }
    match none.authorities.as_deref() {
        Some(all) if !all.is_empty() => all.iter().any(|one| one.name.zone_of(&name)),
        // Nothing is beside it, or hickory has left it out.
        _ => is_in_unsigned_zone(resolver, name).await,
    }
}

/// Whether the zone of a name is known not to be signed.
async fn is_in_unsigned_zone(resolver: &TokioResolver, name: Name) -> bool {
    let mut zone = name;
    for _ in 0..STEPS_MAX {
        if zone.is_root() {
            return false;
        }
        match resolver.lookup(zone.clone(), RecordType::NS).await {
            Ok(answer) => {
                let is_server =
                    |one: &&Record| one.record_type() == RecordType::NS && one.name == zone;
                if let Some(server) = answer.answers().iter().find(is_server) {
                    return server.proof.is_insecure();
                }
            }
            Err(NetError::Dns(Refusal::NoRecordsFound(_) | Refusal::Nsec { .. })) => {}
            Err(_) => return false,
        }
        zone = zone.base_name();
    }
    false
}

/// Whether the signed records of a denial are of the zone in which a name is. Nobody may put in
/// those of a zone of his own, of which hickory would say that it cannot be checked.
fn is_of_zone(authorities: &[Record], name: &Name) -> bool {
    let mut hashed = authorities
        .iter()
        .filter(|one| one.record_type() == RecordType::NSEC3 && one.proof.is_secure())
        .peekable();
    hashed.peek().is_some() && hashed.all(|one| one.name.base_name().zone_of(name))
}

fn nothing(code: ResponseCode) -> DnsError {
    match code {
        ResponseCode::NXDomain => DnsError::NoDomain,
        ResponseCode::NoError => DnsError::NoRecords,
        code => DnsError::NoAnswer(format!("the name server answered {code}")),
    }
}

fn reason(error: &NetError) -> DnsError {
    DnsError::NoAnswer(match error {
        NetError::Dns(Refusal::ResponseCode(code)) => format!("the name server answered {code}"),
        NetError::Dns(Refusal::DnssecBogus) => FORGED.to_owned(),
        NetError::Dns(Refusal::Nsec { .. }) => FORGED_DENIAL.to_owned(),
        NetError::Timeout => "no name server answered in time".to_owned(),
        _ => error.to_string(),
    })
}

//! Password hashes: argon2id (RFC 9106) in PHC string form, on threads that may take their time.
//!
//! At most one hash per core runs at a time (each takes its megabytes, see [`super::memory`]), and
//! at most [`WAITING_MAX`] wait; beyond that callers are told that we are overloaded, instead of
//! letting them queue for minutes.

use super::memory::{Memory, Place};
use crate::config::{HASH_IMPORT_MAX, HashParameters};
use crate::telemetry;
use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Params, Version};
use base::env::Random;
use base::{Error, Kind, Result};
use contract_directory::Secret;
use std::fmt::Display;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// How many hashes may wait for a thread: about ten seconds of work for one core.
const WAITING_MAX: usize = 400;
/// How many bytes of salt (RFC 9106 §3.1 recommends 16).
const SALT_BYTES: usize = 16;

/// Computes and compares hashes.
pub(crate) struct Hasher {
    parameters: HashParameters,
    threads: Arc<Semaphore>,
    memory: Arc<Memory>,
}

impl Hasher {
    pub(crate) fn new(parameters: HashParameters, threads: usize) -> Self {
        let threads = match threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            some => some,
        };
        Self {
            parameters,
            threads: Arc::new(Semaphore::new(threads)),
            memory: Memory::new(threads + WAITING_MAX),
        }
    }

    /// Hashes a password with a new salt.
    pub(crate) async fn hash(&self, password: &Secret, random: &dyn Random) -> Result<String> {
        let mut salt = [0; SALT_BYTES];
        random.fill(&mut salt);
        let (password, parameters) = (password.clone(), self.parameters);
        self.run(move |place| hash_now(place, parameters, &password, &salt)).await?
    }

    /// Whether the password fits the hash. Without a hash it takes as long and answers no.
    pub(crate) async fn verify(&self, password: &Secret, phc: Option<String>) -> Result<bool> {
        let (password, parameters) = (password.clone(), self.parameters);
        self.run(move |place| match phc {
            Some(phc) => verify_now(place, &password, &phc),
            None => hash_now(place, parameters, &password, &[0; SALT_BYTES]).map(|_| false),
        })
        .await?
    }

    /// Whether the hash was made with other parameters than today's.
    pub(crate) fn needs_rehash(&self, phc: &str) -> bool {
        parameters_of(phc).is_none_or(|found| found != self.parameters)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Place) -> T + Send + 'static,
    ) -> Result<T> {
        let place = self.memory.enter().ok_or_else(|| {
            Error::new(Kind::Overloaded, "Too many sign-ins at once; try again later")
        })?;
        let thread = self.threads.clone().acquire_owned().await;
        let thread = thread.map_err(|_| Error::unavailable("the hash threads are closed"))?;
        telemetry::hash();
        // Place and permit go with the work, so that a caller who leaves does not let another
        // start while this one still computes.
        let work = move || {
            let _permit = thread;
            work(&place)
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| Error::unavailable(format!("password hash: {error}")))
    }
}

fn hash_now(
    place: &Place,
    parameters: HashParameters,
    password: &Secret,
    salt: &[u8],
) -> Result<String> {
    let HashParameters { memory_kib, passes, lanes } = parameters;
    let params = Params::new(memory_kib, passes, lanes, None);
    let params = params.map_err(|e| Error::internal(format!("argon2 parameters: {e}")))?;
    let (algorithm, version) = (Algorithm::Argon2id, Version::V0x13);
    let argon2 = Argon2::new(algorithm, version, params.clone());
    let hash = compute(place, &argon2, Params::DEFAULT_OUTPUT_LEN, password, salt)?;
    let phc = || {
        argon2::password_hash::Result::Ok(PasswordHash {
            algorithm: algorithm.ident(),
            version: Some(version.into()),
            params: ParamsString::try_from(&params)?,
            salt: Some(Salt::new(salt)?),
            hash: Some(hash),
        })
    };
    let phc = phc().map_err(|e| Error::internal(format!("argon2: {e}")))?;
    Ok(phc.to_string())
}

fn verify_now(place: &Place, password: &Secret, phc: &str) -> Result<bool> {
    let corrupt = |error: &dyn Display| Error::corrupt(format!("password row: {error}"));
    let hash = PasswordHash::new(phc).map_err(|e| corrupt(&e))?;
    let (Some(_), Some(salt), Some(expected)) = (parameters_of(phc), hash.salt, hash.hash) else {
        return Err(Error::corrupt("a password row that is no complete argon2id hash"));
    };
    let params = Params::try_from(&hash).map_err(|e| corrupt(&e))?;
    let version = hash.version.map(Version::try_from).transpose().map_err(|e| corrupt(&e))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, version.unwrap_or_default(), params);
    // Outputs are compared in constant time.
    Ok(compute(place, &argon2, expected.len(), password, &salt)? == expected)
}

/// One hash in memory that was lent for it.
fn compute(
    place: &Place,
    argon2: &Argon2<'_>,
    output_bytes: usize,
    password: &Secret,
    salt: &[u8],
) -> Result<Output> {
    let mut output = [0; Output::MAX_LENGTH];
    let internal = |error: &dyn Display| Error::internal(format!("argon2: {error}"));
    let output = output.get_mut(..output_bytes).ok_or_else(|| internal(&"long output"))?;
    let password = password.0.as_bytes();
    let blocks = argon2.params().block_count();
    place
        .lend(blocks, |memory| {
            argon2.hash_password_into_with_memory(password, salt, output, memory)
        })?
        .map_err(|e| internal(&e))?;
    Output::new(output).map_err(|e| internal(&e))
}

/// The parameters of a complete argon2id hash.
fn parameters_of(phc: &str) -> Option<HashParameters> {
    let hash = PasswordHash::new(phc).ok()?;
    let complete = hash.salt.is_some() && hash.hash.is_some();
    if !complete || hash.algorithm.as_str() != "argon2id" {
        return None;
    }
    let params = Params::try_from(&hash).ok()?;
    Some(HashParameters {
        memory_kib: params.m_cost(),
        passes: params.t_cost(),
        lanes: params.p_cost(),
    })
}

/// Whether a secret that is to be provisioned is a ready-made hash.
pub(crate) fn is_phc(secret: &Secret) -> bool {
    secret.0.starts_with("$argon2")
}

/// Checks a ready-made hash: argon2id, complete, and not beyond what we would compute.
pub(crate) fn check_phc(secret: &Secret) -> Result<()> {
    let refuse = |why: &'static str| Err(Error::invalid(format!("password hash: {why}")));
    let Some(found) = parameters_of(&secret.0) else {
        return refuse("must be $argon2id$ with version, parameters, salt and hash");
    };
    let max = HASH_IMPORT_MAX;
    if found.memory_kib > max.memory_kib || found.passes > max.passes || found.lanes > max.lanes {
        return refuse("more than 64 MiB, 10 passes or 4 lanes");
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const CHEAP: HashParameters = HashParameters { memory_kib: 64, passes: 1, lanes: 1 };

    fn secret(text: &str) -> Secret {
        Secret(text.into())
    }

    #[tokio::test]
    async fn a_hash_fits_its_password_only() {
        let hasher = Hasher::new(CHEAP, 1);
        let place = hasher.memory.enter().unwrap();
        let phc = hash_now(&place, CHEAP, &secret("right"), b"0123456789abcdef").unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{phc}");
        assert!(hasher.verify(&secret("right"), Some(phc.clone())).await.unwrap());
        assert!(!hasher.verify(&secret("wrong"), Some(phc.clone())).await.unwrap());
        assert!(!hasher.verify(&secret("right"), None).await.unwrap());
        let damaged = hasher.verify(&secret("right"), Some("$x".into())).await;
        assert_eq!(damaged.unwrap_err().kind, Kind::Corrupt);
        assert!(!hasher.needs_rehash(&phc));
        assert!(Hasher::new(HashParameters { passes: 2, ..CHEAP }, 1).needs_rehash(&phc));
    }

    /// What others have made is read too: another version, other lengths, more lanes.
    #[tokio::test]
    async fn hashes_of_the_library_and_ours_are_the_same() {
        use argon2::{PasswordHasher, PasswordVerifier};
        let hasher = Hasher::new(CHEAP, 1);
        let ours = hasher.hash(&secret("right"), &*base::env::Env::real().random).await.unwrap();
        let parsed = PasswordHash::new(&ours).unwrap();
        assert!(Argon2::default().verify_password(b"right", &parsed).is_ok());
        for (version, memory_kib, lanes, output_bytes) in
            [(Version::V0x10, 64, 1, 32), (Version::V0x13, 256, 4, 16), (Version::V0x13, 64, 2, 64)]
        {
            let params = Params::new(memory_kib, 3, lanes, Some(output_bytes)).unwrap();
            let theirs = Argon2::new(Algorithm::Argon2id, version, params)
                .hash_password_with_salt(b"right", b"salt of others")
                .unwrap()
                .to_string();
            for (password, fits) in [("right", true), ("wrong", false)] {
                let verified = hasher.verify(&secret(password), Some(theirs.clone())).await;
                assert_eq!(verified.unwrap(), fits, "{theirs}");
            }
        }
    }

    #[test]
    fn ready_made_hashes_are_bounded() {
        let check = |phc: &str, fine: bool| {
            assert_eq!(check_phc(&secret(phc)).is_ok(), fine, "{phc}");
        };
        let tail = "$MDEyMzQ1Njc4OWFiY2RlZg$iWh06vD8Fy27wf9npn6FXWiCX4K6pW6Ue1Bnzz07Z8A";
        check(&format!("$argon2id$v=19$m=64,t=1,p=1{tail}"), true);
        check(&format!("$argon2i$v=19$m=64,t=1,p=1{tail}"), false);
        check(&format!("$argon2id$v=19$m=4194304,t=1,p=1{tail}"), false);
        check(&format!("$argon2id$v=19$m=64,t=4294967295,p=1{tail}"), false);
        check("$argon2id$v=19$m=64,t=1,p=1", false);
        check("$argon2id$", false);
    }
}

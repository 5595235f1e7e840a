//! A full disk refuses mail with a temporary error and goes on serving what is there; when there is
//! room again, mail flows again, and nothing acknowledged is lost (RFC 3463
//! X.3.1). The disk is a small tmpfs, so this needs root.

use super::{gather, liveness, verdict};
use crate::checkers;
use crate::failure::{Failure, Result};
use crate::fault;
use crate::ledger::{Ledger, Sent};
use crate::message;
use crate::net::Endpoint;
use crate::observe;
use crate::random::Random;
use crate::smtp::{Door, Fate, SmtpClient};
use crate::world::{DOMAIN, Options, World};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a run saw.
#[derive(Debug)]
pub enum Outcome {
    /// No tmpfs could be mounted here; why.
    Skipped(String),
    /// It ran.
    Ran {
        /// Acknowledged before the disk was full.
        acknowledged: usize,
        /// The first refusal.
        refusal: String,
    },
}

/// The size of the disk, in bytes: the log takes about 96 MB of it from the start.
const DISK_BYTES: u64 = 288 << 20;
/// Messages tried at most; together twice the disk.
const MESSAGES_MAX: usize = 400;
/// Size of a message, in bytes. Random text, so that compression does not help.
const MESSAGE_BYTES: u64 = 1 << 20;

/// A mounted tmpfs, unmounted at the end.
struct Disk(PathBuf);

impl Disk {
    fn mount(path: PathBuf) -> Result<Disk> {
        std::fs::create_dir_all(&path)?;
        let size = format!("size={DISK_BYTES}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "rialto-chaos"])
            .arg(&path)
            .output()?;
        if !mounted.status.success() {
            return Err(Failure(String::from_utf8_lossy(&mounted.stderr).trim().to_owned()));
        }
        Ok(Disk(path))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// Runs it.
///
/// # Errors
/// The violations, or why it could not run.
pub async fn run(seed: u64) -> Result<Outcome> {
    let path = std::env::temp_dir().join(format!("rialto-chaos-disk-{}", std::process::id()));
    let disk = match Disk::mount(path) {
        Ok(disk) => disk,
        Err(error) => return Ok(Outcome::Skipped(error.0)),
    };
    let data = Some(disk.0.join("data"));
    let options = Options { name: "disk-full".into(), seed, data, ..Options::default() };
    let mut world = World::start(options).await?;
    let endpoint = world.endpoint()?;
    // Room that is given back later: more than a fifth of the disk, or back pressure would go on.
    let ballast = disk.0.join("ballast");
    std::fs::write(&ballast, vec![0u8; 88 << 20])?;
    let ledger = Ledger::default();
    let refusal = fill(&endpoint, &ledger, seed).await.map_err(|error| world.with_log(&error))?;
    let acknowledged = ledger.acknowledged() as usize;
    let inbox = observe::mailbox(&endpoint, "bob").await;
    inbox.map_err(|error| world.with_log(&error.while_doing("reading on the full disk")))?;
    free(&ballast)?;
    recover(&world, &endpoint, &ledger, seed).await.map_err(|error| world.with_log(&error))?;
    fault::kill9(&mut world).await?;
    world.boot().await?;
    world.wait_for_empty_queue().await?;
    let evidence = gather(&world, &endpoint, &ledger).await?;
    verdict(&checkers::judge(&evidence)).map_err(|error| world.with_log(&error))?;
    fault::terminate(&mut world).await?;
    world.pass();
    drop(world);
    drop(disk);
    Ok(Outcome::Ran { acknowledged, refusal })
}

fn free(ballast: &Path) -> Result<()> {
    Ok(std::fs::remove_file(ballast)?)
}

/// Sends until a message is refused; the refusal must be a temporary one.
async fn fill(endpoint: &Endpoint, ledger: &Ledger, seed: u64) -> Result<String> {
    let mut random = Random::new(seed, 4);
    let mut client = SmtpClient::open(endpoint, Door::Transfer, "").await?;
    let (from, to) = ("sender@chaos.example", vec![format!("bob@{DOMAIN}")]);
    for number in 0..MESSAGES_MAX {
        let id = format!("f{seed}-{number}");
        let bytes = message::make(&id, from, &to, MESSAGE_BYTES, &mut random);
        let fate = client.send(from, &to, &bytes).await;
        ledger.note_sent(Sent {
            id: id.clone(),
            users: vec!["bob".into()],
            bytes,
            fate: fate.clone(),
        });
        match fate {
            Fate::Acknowledged => {}
            Fate::Refused(text) | Fate::Deferred(text) if text.starts_with("4") => return Ok(text),
            other => return Err(Failure(format!("{id} on a full disk: {other:?}"))),
        }
    }
    Err(Failure(format!("{MESSAGES_MAX} messages did not fill the disk")))
}

/// How often it is looked whether mail flows again, once a second: back pressure ends after 20 s in
/// which there was room.
const RECOVERY_TRIES: u32 = 60;

/// With room again, mail flows again; the store may need a moment to notice.
async fn recover(world: &World, endpoint: &Endpoint, ledger: &Ledger, seed: u64) -> Result<()> {
    for number in 0..RECOVERY_TRIES {
        let id = format!("r{seed}-{number}");
        match liveness(endpoint, ledger, &id, "carol").await {
            Ok(_) => return Ok(()),
            Err(error) if number == RECOVERY_TRIES - 1 => return Err(error),
            Err(_) => tokio::time::sleep(std::time::Duration::from_secs(1)).await,
        }
    }
    world.wait_for_empty_queue().await
}

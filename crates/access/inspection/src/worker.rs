//! The child: limits itself, reads a file, and tells what is in it.

use crate::talk::{FILE_BYTES_MAX, GREETING, QUESTION_BYTES_MAX, Question};
use base::{Error, Result, wire};
use codec_extract::{Extract, File, Limits, Outcome, extract};
use rustix::process::{Resource, Rlimit, nice, setrlimit};
use std::io::{Read, Write};
use std::process::ExitCode;

/// How much memory the process may have, in bytes: the program itself, a file of 64 MiB, as much
/// unpacked, and what is made of it.
const MEMORY_BYTES_MAX: u64 = 768 << 20;

/// For how long it may use a processor, in seconds; whoever waits for it gives up sooner.
const PROCESSOR_SECONDS_MAX: u64 = 20;

/// How much it steps back behind the work of the node.
const NICE: i32 = 10;

/// Runs as a worker: one file, then the end. Call it before anything else is begun, such as a
/// runtime with threads.
pub fn work() -> ExitCode {
    match limit().and_then(|()| answer(&mut std::io::stdin().lock())) {
        Ok(extract) => match tell(&extract) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(_) => ExitCode::FAILURE,
    }
}

/// Gives up what is not needed. Where that cannot be done nothing is read.
fn limit() -> Result<()> {
    let to = |resource, most: u64| {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(resource, limit).map_err(|error| Error::internal(format!("a limit: {error}")))
    };
    to(Resource::Core, 0)?;
    to(Resource::As, MEMORY_BYTES_MAX)?;
    to(Resource::Cpu, PROCESSOR_SECONDS_MAX)?;
    to(Resource::Fsize, 0)?;
    to(Resource::Nproc, 0)?;
    // Input, output and errors: nothing else can be opened, no file and no socket.
    to(Resource::Nofile, 3)?;
    // To be in nobody's way is a courtesy.
    let _ = nice(NICE);
    Ok(())
}

fn answer(input: &mut impl Read) -> Result<Extract> {
    let broken = |error: std::io::Error| Error::internal(format!("reading: {error}"));
    let mut length = [0; 4];
    input.read_exact(&mut length).map_err(broken)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > QUESTION_BYTES_MAX {
        return Err(Error::invalid("a long question"));
    }
    let mut question = vec![0; length];
    input.read_exact(&mut question).map_err(broken)?;
    let question: Question = wire::decode(&question)?;
    let mut bytes = Vec::new();
    input.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(broken)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Ok(Extract::failed(Outcome::Exceeded));
    }
    let Question { name, media_type, charset } = &question;
    let file = File { name, media_type, charset, bytes: &bytes };
    Ok(extract(&file, &Limits::default()))
}

fn tell(extract: &Extract) -> Result<()> {
    let broken = |error: std::io::Error| Error::internal(format!("writing: {error}"));
    let bytes = wire::encode(extract)?;
    let mut output = std::io::stdout().lock();
    output.write_all(&GREETING).map_err(broken)?;
    output.write_all(&bytes).map_err(broken)?;
    output.flush().map_err(broken)
}

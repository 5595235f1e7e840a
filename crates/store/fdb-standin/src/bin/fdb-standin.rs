//! The stand-in's server as a program, and the way to steer one.
//!
//! ```text
//! fdb-standin --listen 127.0.0.1:4500 --data DIR --cluster-file fdb.cluster --unknown 0.05
//! fdb-standin control --address 127.0.0.1:4500 die 8000
//! ```

#![allow(clippy::print_stdout, reason = "a program that tells its address")]

use clap::{Args, Parser, Subcommand};
use fdb_standin::server::{self, CommitFault, Faults, ServerOptions};
use fdb_standin::wire::Control;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;

/// A stand-in for a FoundationDB server, for tests and `rialto dev --nodes N` only.
#[derive(Parser)]
#[command(name = "fdb-standin", args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Subcommand)]
enum Command {
    /// Steers a running server; prints what it has done.
    Control {
        /// Where it listens.
        #[arg(long)]
        address: SocketAddr,
        #[command(subcommand)]
        what: What,
    },
}

#[derive(Args)]
struct Serve {
    /// Where to listen: loopback; port 0 for any.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The folder to keep rows in; without it they are in memory.
    #[arg(long)]
    data: Option<PathBuf>,
    /// A cluster file to write.
    #[arg(long)]
    cluster_file: Option<PathBuf>,
    /// End when standard input ends: with whoever started it, however that ends.
    #[arg(long)]
    while_stdin: bool,
    /// What the dice begin with.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    faults: Rates,
}

/// Probabilities from 0 to 1, and times.
#[derive(Args)]
struct Rates {
    /// Commits that fail with 1020.
    #[arg(long, default_value_t = 0.0)]
    conflicts: f64,
    /// Commits that end as 1021, every other one made.
    #[arg(long, default_value_t = 0.0)]
    unknown: f64,
    /// Commits that end as 1025 or 1031 and land later.
    #[arg(long, default_value_t = 0.0)]
    late: f64,
    /// Reads and commits that fail with 1007.
    #[arg(long, default_value_t = 0.0)]
    too_old: f64,
    /// Commits that fail with 1051.
    #[arg(long, default_value_t = 0.0)]
    busy: f64,
    /// Pages of ranges that are slow.
    #[arg(long, default_value_t = 0.0)]
    slow_ranges: f64,
    /// How slow at most, in milliseconds.
    #[arg(long, default_value_t = 500)]
    slow_ms: u64,
    /// How late late commits land at most, in milliseconds.
    #[arg(long, default_value_t = 500)]
    late_ms: u64,
    /// Seconds from one outage of 8 seconds to the next; 0 = none.
    #[arg(long, default_value_t = 0)]
    recover_every: u64,
}

#[derive(Subcommand)]
enum What {
    /// Only print.
    Stats,
    /// Replace the faults; what is not named ends.
    Faults(Rates),
    /// Fail the next commit: conflict, unknown-applied, unknown-not-applied, late, too-old, busy, or a
    /// code (not made), or a code and "made", such as 1039made.
    Script {
        /// How.
        fault: String,
    },
    /// Answer nothing for so long.
    Recover {
        /// Milliseconds.
        #[arg(default_value_t = 8_000)]
        milliseconds: u64,
    },
    /// Drop and refuse all connections for so long.
    Die {
        /// Milliseconds.
        #[arg(default_value_t = 8_000)]
        milliseconds: u64,
    },
    /// End all faults; late commits land now or never.
    Settle,
    /// Let versions grow old.
    Advance {
        /// Milliseconds.
        milliseconds: u64,
    },
    /// Remove all rows.
    Clear,
    /// Fail the next read with a code.
    ScriptRead {
        /// Such as 1037.
        code: i32,
    },
    /// Fire all watches, though nothing has changed.
    FireWatches,
}

impl From<Rates> for Faults {
    fn from(rates: Rates) -> Self {
        Self {
            conflicts: rates.conflicts,
            unknown: rates.unknown,
            late: rates.late,
            too_old: rates.too_old,
            busy: rates.busy,
            slow_ranges: rates.slow_ranges,
            slow_ms: rates.slow_ms,
            late_ms: rates.late_ms,
            recover_every_s: rates.recover_every,
        }
    }
}

fn fault(name: &str) -> io::Result<CommitFault> {
    Ok(match name {
        "conflict" => CommitFault::Conflict,
        "unknown-applied" => CommitFault::UnknownApplied,
        "unknown-not-applied" => CommitFault::UnknownNotApplied,
        "late" => CommitFault::Late,
        "too-old" => CommitFault::TooOld,
        "busy" => CommitFault::Busy,
        other => {
            let (code, made) = match other.strip_suffix("made") {
                Some(code) => (code, true),
                None => (other, false),
            };
            let code = code.parse().map_err(|_| io::Error::other("no such fault (see --help)"))?;
            CommitFault::Code { code, made }
        }
    })
}

fn steer(address: SocketAddr, what: What) -> io::Result<()> {
    let control = match what {
        What::Stats => Control::Stats,
        What::Faults(rates) => Control::Faults(rates.into()),
        What::Script { fault: name } => Control::Script(fault(&name)?),
        What::Recover { milliseconds } => Control::Recover(milliseconds),
        What::Die { milliseconds } => Control::Die(milliseconds),
        What::Settle => Control::Settle,
        What::Advance { milliseconds } => Control::Advance(milliseconds),
        What::Clear => Control::Clear,
        What::ScriptRead { code } => Control::ScriptRead(code),
        What::FireWatches => Control::FireWatches,
    };
    println!("{:#?}", server::control(address, control)?);
    Ok(())
}

fn serve(arguments: Serve) -> io::Result<()> {
    let Serve { listen, data, cluster_file, while_stdin, seed, faults } = arguments;
    if while_stdin {
        // What was acknowledged is on the disk, so it may end at any moment.
        std::thread::spawn(|| {
            let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
            std::process::exit(0);
        });
    }
    let server = server::spawn(ServerOptions { listen, data, seed, faults: faults.into() })?;
    if let Some(path) = cluster_file {
        server.write_cluster_file(&path)?;
    }
    println!("{}", server.address());
    io::stdout().flush()?;
    server.wait();
    // It only ends by itself when it cannot go on.
    Err(io::Error::other("the server has stopped"))
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Command::Control { address, what }) => steer(address, what),
        None => serve(arguments.serve),
    }
}

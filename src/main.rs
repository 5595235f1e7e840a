//! The `rialto` binary: composition, configuration, command line. No mail logic lives here; this
//! is the only place where implementations are named.

mod cli;
mod client;
mod command;
#[cfg(feature = "mutants")]
mod mutant;
mod node;
mod output;

use clap::Parser;
use std::process::ExitCode;

/// After a burst glibc's allocator holds on to some hundred megabytes (decision 0030).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    // Before there are threads, and with nothing open.
    if matches!(arguments.command, cli::Command::ExtractWorker) {
        return access_inspection::work();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::refused(format!("the runtime cannot start: {error}")),
    };
    let outcome = runtime.block_on(command::run(arguments));
    // Whatever still runs has been asked to end; a blocking read must not hold the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::refused(error),
    }
}

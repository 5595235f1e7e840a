//! Says whether the installed FoundationDB client and the default cluster can be used; `make
//! test-fdb` asks first.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match store_testing::cluster_answers().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("FoundationDB cannot be tested here: {why}.");
            eprintln!("It needs foundationdb-clients 7.3 and a cluster that runs, named by");
            eprintln!("/etc/foundationdb/fdb.cluster or FDB_CLUSTER_FILE. `make test` runs the");
            eprintln!("same tests over the stand-in.");
            ExitCode::FAILURE
        }
    }
}

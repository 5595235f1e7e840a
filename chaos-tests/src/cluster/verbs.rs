//! What a world does with the command line of the product.

use super::Cluster;
use super::node::Node;
use crate::failure::{Failure, Result};
use crate::net::PATIENCE;
use crate::ports;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use tokio::process::Command;
use tokio::time::timeout;

impl Cluster {
    /// Runs a command of `rialto` against a node (`--data`) to its end; what it said.
    ///
    /// # Errors
    /// If it fails, with what it said.
    pub async fn rialto(&self, number: usize, words: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.common.binary);
        command.args(words).arg("--data").arg(&self.node(number)?.file.data);
        run(command, &self.common.library).await
    }

    /// Makes the configuration of one more node, lets it join, starts it; its number.
    ///
    /// # Errors
    /// If it does not join or does not get ready.
    pub async fn join(&mut self) -> Result<usize> {
        let number = self.nodes.len();
        let member = self.node(0)?;
        let (mut file, port) = (member.file.clone(), member.file.link_port);
        let said = self.rialto(0, &["node", "invite", "--output", "json"]).await?;
        let told: serde_json::Value =
            serde_json::from_str(&said).map_err(|error| Failure(format!("{error}: {said}")))?;
        let token = told["token"].as_str().ok_or_else(|| Failure(format!("no token: {said}")))?;
        let dir = self.dir.join("data").join(format!("node-{number}"));
        fs::create_dir_all(&dir)?;
        let data = match file.data.file_name() {
            Some(name) if file.data.parent() != Some(&self.dir.join("data")) => dir.join(name),
            _ => dir.clone(),
        };
        let from = self.node(0)?.file.base;
        file.rename(dir.join("rialto.toml"), &format!("node-{number}"), data);
        file.raise_ports(self.base + ports::NODE_STEP * number as u16 - from);
        self.nodes.push(Node::new(number, file, &self.common));
        self.set_gate(number)?;
        let mut command = Command::new(&self.common.binary);
        let path = self.node(number)?.file.path.clone();
        command.args(["node", "join", "--config"]).arg(path);
        command.args(["--token", token, "--member", &format!("127.0.0.1:{port}")]);
        run(command, &self.common.library).await?;
        self.boot(number).await?;
        Ok(number)
    }

    /// Ends all nodes as an operator would, then reads and checks everything that is stored; what
    /// the check said.
    ///
    /// # Errors
    /// If one does not end well, or with everything that is wrong.
    pub async fn finish(&mut self) -> Result<String> {
        for number in self.running() {
            self.terminate(number).await?;
        }
        let file = self.standin.cluster_file().display().to_string();
        let place = format!("foundationdb:{file}?prefix=rialto-dev/");
        let mut command = Command::new(&self.common.binary);
        command.args(["store", "verify", "--store", &place]);
        run(command, &self.common.library).await
    }
}

async fn run(mut command: Command, library: &Path) -> Result<String> {
    command.env("RIALTO_FDB_C", library).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(PATIENCE * 5, command.output()).await??;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() {
        return Ok(said);
    }
    let more = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Failure(format!("{:?}: {said}\n{more}", command.as_std())))
}

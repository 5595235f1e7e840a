//! What is wrong with a cluster now, and what the next failure would do, in words.
//!
//! A pure function of what an administrator sees, so that both always agree.

use contract_control::{ClusterStatus, NodeStatus, Standing};

fn named(node: &NodeStatus) -> String {
    match node.name.is_empty() {
        true => format!("Node {}", node.id),
        false => format!("Node {} ({})", node.id, node.name),
    }
}

fn plural(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

/// The sentences, most important first; never empty.
pub(super) fn outlook(status: &ClusterStatus) -> Vec<String> {
    let mut says = troubles(status);
    says.extend(next_failure(status));
    says
}

fn troubles(status: &ClusterStatus) -> Vec<String> {
    let mut says = Vec::new();
    if status.leader.is_none() {
        says.push(
            "No leader is known here: nothing is decided until a majority of the voters is \
             together again. Nodes go on serving what they have."
                .to_owned(),
        );
    }
    if status.slots_without_owner > 0 {
        let slots = status.slots_without_owner.into();
        says.push(format!(
            "{} served by nobody at the moment.",
            plural(slots, "slot of 4096 is", "slots of 4096 are")
        ));
    }
    for node in &status.nodes {
        says.extend(trouble_of(status, node));
    }
    if status.moves > 0 {
        says.push(format!("{} on the way.", plural(status.moves.into(), "slot is", "slots are")));
    }
    says
}

fn trouble_of(status: &ClusterStatus, node: &NodeStatus) -> Option<String> {
    let name = named(node);
    let said = match node.standing {
        Standing::Dead => format!("{name} does not answer; others serve its slots."),
        Standing::Joining => format!("{name} has joined and was never up."),
        Standing::Draining => format!("{name} gives away its slots: {} are left.", node.slots),
        Standing::Drained if node.drain => {
            format!("{name} is drained: it may be stopped, upgraded, removed, or undrained.")
        }
        Standing::Drained => format!(
            "{name} has given its slots away without an operator's wish (it is stopping, or was \
             too slow): it serves again when it has looked well for some minutes, has started \
             anew, or after an undrain."
        ),
        Standing::Active if node.linked == Some(false) => {
            format!("{name} serves, but there is no link to it from node {}.", status.asked)
        }
        Standing::Active if node.store_silence_ms.is_some_and(|ms| ms >= 1000) => {
            let ms = node.store_silence_ms.unwrap_or_default();
            format!("{name} has not reached the store for {ms} ms.")
        }
        Standing::Active | Standing::Removed => return None,
    };
    Some(said)
}

fn next_failure(status: &ClusterStatus) -> Vec<String> {
    let is_up = |node: &&NodeStatus| {
        matches!(node.standing, Standing::Active | Standing::Draining | Standing::Drained)
    };
    let serving = status.nodes.iter().filter(|n| n.standing == Standing::Active).count();
    let voters = status.nodes.iter().filter(|n| n.voter).count();
    let voters_up = status.nodes.iter().filter(is_up).filter(|n| n.voter).count();
    let most = status.nodes.iter().map(|node| node.slots).max().unwrap_or(0);
    let members = status.nodes.iter().filter(|n| n.standing != Standing::Removed).count();
    let mut says = Vec::new();
    says.push(match (serving, members) {
        (0, _) => "No node serves.".to_owned(),
        (1, 1) => "The only node serves. If it fails, nobody does until it is back.".to_owned(),
        (1, all) => format!("1 of {all} nodes serves. If it fails, nobody does until one is back."),
        (n, all) if n == all => format!("All {n} nodes serve."),
        (n, all) => format!("{n} of {all} nodes serve."),
    });
    if serving < 2 || voters == 0 {
        return says;
    }
    let majority = voters / 2 + 1;
    let spare = voters_up.saturating_sub(majority);
    says.push(match (spare, voters) {
        (0, 1) => {
            let voter = status.nodes.iter().find(|n| n.voter).map(named).unwrap_or_default();
            format!(
                "Only {voter} decides: if another node fails, its slots (up to {most}) are taken \
                 over within about a second; if {voter} itself fails, nothing is decided until it \
                 is back, and the others go on serving what they have."
            )
        }
        (0, _) => format!(
            "No further voter may fail: {voters_up} of {voters} are up, and {majority} are needed. \
             After the next failure nothing is decided until one is back, and the slots of the \
             node that failed wait; the others go on serving what they have."
        ),
        (spare, _) => format!(
            "If one fails, its slots (up to {most}) are taken over by the others within about a \
             second. If {} at once, no new decisions are made until one is back, and the others \
             go on serving what they have.",
            plural(spare + 1, "voter fails", "voters fail")
        ),
    });
    says
}

#[cfg(test)]
#[path = "outlook_tests.rs"]
mod tests;

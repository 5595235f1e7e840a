//! A mailbox's usage is the sum of its messages' sizes: counters and messages change in the same
//! transaction.

use super::Violation;
use crate::admin::Admin;
use crate::failure::{Failure, Result};
use crate::observe::Mailbox;
use crate::world::DOMAIN;

/// The checker's name.
pub const NAME: &str = "quota_equals_sum";

/// Compares what the administration says with what the user's client sees.
///
/// # Errors
/// If the node does not answer.
pub async fn check(admin: &Admin, user: &str, mailbox: &Mailbox) -> Result<Vec<Violation>> {
    let shown = admin.get(&format!("/api/v1/mailboxes/{user}@{DOMAIN}")).await?;
    let number = |name: &str| {
        let number = shown["usage"][name].as_u64();
        number.ok_or_else(|| Failure(format!("no usage.{name} in {shown}")))
    };
    let used = (number("items")?, number("size_bytes")?);
    Ok(compare(user, used, mailbox))
}

fn compare(user: &str, used: (u64, u64), mailbox: &Mailbox) -> Vec<Violation> {
    let all = || mailbox.values().flat_map(|folder| &folder.messages);
    let sum = (all().count() as u64, all().map(|seen| seen.size_bytes).sum());
    let mut violations = Vec::new();
    if used != sum {
        let text = format!("{user} uses (items, bytes) {used:?}, the sum is {sum:?}");
        violations.push(Violation { checker: NAME, text });
    }
    for seen in all().filter(|seen| seen.size_bytes != seen.bytes.len() as u64) {
        let (told, real) = (seen.size_bytes, seen.bytes.len());
        let text = format!("{} of {user}: RFC822.SIZE {told}, but {real} bytes", seen.id);
        violations.push(Violation { checker: NAME, text });
    }
    violations
}

#[cfg(test)]
mod tests {
    use crate::checkers::tests::{evidence, seen};

    #[test]
    fn items_bytes_and_each_size() {
        let mut evidence = evidence("bob", "x", vec![seen(1, "a", &[]), seen(2, "b", &[])]);
        let mailbox = evidence.mailboxes.get_mut("bob").unwrap();
        assert_eq!(super::compare("bob", (2, 6), mailbox), []);
        assert_eq!(super::compare("bob", (1, 6), mailbox).len(), 1);
        assert_eq!(super::compare("bob", (2, 7), mailbox).len(), 1);
        mailbox.get_mut("x").unwrap().messages[0].size_bytes = 4;
        assert_eq!(super::compare("bob", (2, 7), mailbox).len(), 1);
    }
}

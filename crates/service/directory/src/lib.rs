//! Directory rules: accepted domains, mailboxes, aliases, groups, passwords, quotas, change feed.

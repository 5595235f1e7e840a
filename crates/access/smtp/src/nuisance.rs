//! What a session has done that moves no mail, and when that is enough.
//!
//! Mistakes are counted with Exchange's limits. Commands that lead nowhere are free up to a number;
//! behind it each is a mistake. A message that is accepted makes good for the commands and bytes
//! before it, never for mistakes, wrong passwords and guesses.

use crate::config::Config;
use std::time::Duration;

/// The counts of one session.
#[derive(Debug, Default)]
pub(crate) struct Nuisance {
    logon_failures: u32,
    protocol_errors: u32,
    junk_commands: u32,
    /// The next reply is no junk.
    excused: bool,
    /// How long the client was made to wait.
    waited: Duration,
    /// Bytes of messages and chunks that were taken for nothing.
    wasted_bytes: u64,
}

impl Nuisance {
    /// A command that led nowhere.
    pub(crate) fn junk(&mut self) {
        self.junk_commands = self.junk_commands.saturating_add(1);
    }

    /// The next reply is not the client's fault.
    pub(crate) fn excuse(&mut self) {
        self.excused = true;
    }

    /// Takes notice of a reply; true if it was one too many.
    pub(crate) fn replied(&mut self, code: u16, config: &Config) -> bool {
        // Out of order is what a pipelining client meets when MAIL was refused, and what cannot be
        // done now what anybody may meet: no error as such.
        if matches!(code, 400..=499 | 503) && !std::mem::take(&mut self.excused) {
            self.junk();
        }
        let is_error = matches!(code, 500..=502 | 504 | 555);
        self.protocol_errors +=
            u32::from(is_error || self.junk_commands > config.junk_commands_max);
        self.logon_failures += u32::from(code == 535);
        self.protocol_errors >= config.protocol_errors_max
            || self.logon_failures >= config.logon_failures_max
    }

    /// How long to wait before the answer to what may have been a guess. All waits of a session
    /// together are bounded, so that nobody can make it hold its place for long; guesses behind
    /// that are counted instead.
    pub(crate) fn tarpit(&mut self, config: &Config) -> Duration {
        let left = Duration::from_millis(config.tarpit_total_ms).saturating_sub(self.waited);
        let wait = Duration::from_millis(config.tarpit_ms).min(left);
        self.waited += wait;
        if wait.is_zero() && config.tarpit_ms > 0 {
            self.junk();
        }
        wait
    }

    /// Bytes were taken for nothing.
    pub(crate) fn wasted(&mut self, bytes: u64) {
        self.wasted_bytes = self.wasted_bytes.saturating_add(bytes);
    }

    /// Whether `more` bytes would be too many: twice the largest message is enough to find the end
    /// of one that is refused.
    pub(crate) fn would_waste_too_much(&self, more: u64, config: &Config) -> bool {
        self.wasted_bytes.saturating_add(more) > config.message_bytes_max.saturating_mul(2)
    }

    /// A message was accepted: the client has work for us.
    pub(crate) fn accepted(&mut self) {
        self.junk_commands = 0;
        self.wasted_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn junk_is_free_up_to_a_number_and_mistakes_are_not() {
        let config = Config::default();
        let mut session = Nuisance::default();
        assert_eq!((0..10).find(|_| session.replied(500, &config)), Some(4));
        let mut session = Nuisance::default();
        assert_eq!((0..200).find(|_| session.replied(452, &config)), Some(104));
        let mut session = Nuisance::default();
        for _ in 0..50 {
            assert!(!(0..50).any(|_| session.replied(452, &config)));
            session.accepted();
        }
        assert_eq!((0..10).find(|_| session.replied(535, &config)), Some(2));
    }

    #[test]
    fn attack_08_waits_are_bounded_and_guesses_behind_them_are_counted() {
        let config = Config::default();
        let mut session = Nuisance::default();
        let waits: Duration = (0..100).map(|_| session.tarpit(&config)).sum();
        assert_eq!(waits, Duration::from_millis(config.tarpit_total_ms));
        assert_eq!(session.junk_commands, 88);
    }
}

//! A session in IDLE hears of each message once: the numbers of its EXISTS only grow, end at what is
//! there, and nothing is expunged that nobody expunged (RFC 2177, promise G10). A session whose
//! listener died goes on elsewhere, where it is told by SELECT what it missed.

use super::Violation;

/// The checker's name.
pub const NAME: &str = "idle_once";

/// What a session was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// EXISTS on SELECT: the session begins, or begins again elsewhere.
    Selected(u32),
    /// EXISTS in IDLE.
    Exists(u32),
    /// EXPUNGE.
    Expunged(u32),
}

/// What one session heard, with the time in microseconds of the run.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    /// Its number.
    pub session: u64,
    /// Whose inbox it listens to.
    pub user: String,
    /// In order.
    pub told: Vec<(u64, Told)>,
}

impl Heard {
    /// When the session knew of the message at this place of the folder, counted from 1.
    #[must_use]
    pub fn knew_at_us(&self, place: u32) -> Option<u64> {
        let covers = |told: &Told| match told {
            Told::Selected(count) | Told::Exists(count) => *count >= place,
            Told::Expunged(_) => false,
        };
        self.told.iter().find(|(_, told)| covers(told)).map(|(at, _)| *at)
    }
}

/// Judges one session; `present` messages are in its folder at the end.
#[must_use]
pub fn check(heard: &Heard, present: u32) -> Vec<Violation> {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for (at, told) in &heard.told {
        match told {
            Told::Selected(now) if *now < count => {
                wrong.push(format!("SELECT shows {now} after {count} at {at} µs"));
            }
            Told::Exists(now) if *now <= count => {
                wrong.push(format!("EXISTS {now} after {count} at {at} µs"));
            }
            Told::Expunged(number) => wrong.push(format!("EXPUNGE {number} at {at} µs")),
            Told::Selected(now) | Told::Exists(now) => count = *now,
        }
    }
    if count != present {
        wrong.push(format!("it heard of {count} messages in the end, there are {present}"));
    }
    let who = format!("session {} ({})", heard.session, heard.user);
    let violation = |text| Violation { checker: NAME, text: format!("{who}: {text}") };
    wrong.into_iter().map(violation).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Told::{Exists, Expunged, Selected};

    fn heard(told: &[Told]) -> Heard {
        let told = (0..).zip(told.iter().cloned()).collect();
        Heard { session: 1, user: "bob".into(), told }
    }

    fn check(told: &[Told], violations: usize) {
        let found = super::check(&heard(told), 5);
        assert_eq!(found.len(), violations, "{told:?}: {found:?}");
    }

    #[test]
    fn each_once_in_any_pieces() {
        check(&[Selected(2), Exists(3), Exists(5)], 0);
        check(&[Selected(5)], 0);
        check(&[Selected(2), Exists(3), Selected(4), Exists(5)], 0);
        check(&[Selected(2), Exists(3), Exists(3), Exists(5)], 1);
        check(&[Selected(2), Exists(5), Exists(4)], 1);
        check(&[Selected(2), Exists(4)], 1);
        check(&[Selected(3), Exists(4), Selected(3), Exists(5)], 1);
        check(&[Selected(2), Expunged(1), Exists(5)], 1);
    }

    #[test]
    fn a_message_is_known_with_the_first_number_that_covers_it() {
        let heard = heard(&[Selected(2), Exists(4), Exists(5)]);
        let known = [2, 3, 4, 5, 6].map(|place| heard.knew_at_us(place));
        assert_eq!(known, [Some(0), Some(1), Some(1), Some(2), None]);
    }
}

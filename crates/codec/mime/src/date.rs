//! Dates of RFC 5322 §3.3, leniently read (§4.3 and what mailers really write) and printed.

use crate::message::SentAt;

/// Nothing after this many octets belongs to a date.
const DATE_BYTES: usize = 200;
/// 0000-03-01 and 9999-12-31 in days from 1970-01-01: years RFC 5322 can write.
const FIRST_DAY: i64 = -719_468;
const LAST_DAY: i64 = 2_932_896;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// Reads a date: day, month name and year in any order, a time, a zone. A missing time is
/// midnight, a missing or unknown zone UTC (RFC 5322 §4.3). `None` without a valid day.
pub fn parse(value: &[u8]) -> Option<SentAt> {
    let value = &value[..value.len().min(DATE_BYTES)];
    let text = without_comments(value);
    let mut found = Found::default();
    for token in text.split(|c: char| c.is_ascii_whitespace() || c == ',') {
        found.token(token);
    }
    found.resolve()
}

/// Prints as RFC 5322 §3.3 wants it, in the zone of `at`, such as
/// `Mon, 01 Jan 2024 10:00:00 +0100`. Times that four digits of a year cannot tell are moved to the
/// nearest that they can.
pub fn print(at: SentAt) -> String {
    let local = at.unix_seconds.saturating_add(i64::from(at.offset_minutes) * 60);
    let local = local.clamp(FIRST_DAY * 86_400, (LAST_DAY + 1) * 86_400 - 1);
    let days = local.div_euclid(86_400);
    let seconds = local.rem_euclid(86_400);
    let (year, month, day) = civil_from_days(days);
    let weekday = DAYS.get(days.rem_euclid(7) as usize).copied().unwrap_or("Thu");
    let month = MONTHS.get(month as usize - 1).copied().unwrap_or("Jan");
    let sign = if at.offset_minutes < 0 { '-' } else { '+' };
    let zone = at.offset_minutes.unsigned_abs();
    format!(
        "{weekday}, {day:02} {month} {year:04} {:02}:{:02}:{:02} {sign}{:02}{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        zone / 60,
        zone % 60
    )
}

#[derive(Default)]
struct Found {
    day: Option<u32>,
    month: Option<u32>,
    year: Option<i64>,
    seconds: Option<i64>,
    offset_minutes: Option<i16>,
    afternoon: Option<bool>,
}

impl Found {
    fn token(&mut self, token: &str) {
        if token.contains(':') {
            self.time(token);
        } else if let Some(sign @ (b'+' | b'-')) = token.as_bytes().first().copied() {
            self.zone_digits(sign, &token[1..]);
        } else if token.starts_with(|c: char| c.is_ascii_digit()) {
            // `1-Jan-2024` is three tokens.
            token.split(['-', '/']).for_each(|piece| self.piece(piece));
        } else {
            self.word(token);
        }
    }

    fn piece(&mut self, piece: &str) {
        match piece.parse::<u32>() {
            Ok(number) if self.day.is_none() && piece.len() <= 2 => self.day = Some(number),
            Ok(number) if self.year.is_none() && piece.len() <= 4 => {
                self.year = Some(full_year(number, piece.len()));
            }
            Ok(_) => {}
            Err(_) => self.word(piece),
        }
    }

    fn word(&mut self, word: &str) {
        if word.eq_ignore_ascii_case("am") || word.eq_ignore_ascii_case("pm") {
            self.afternoon = Some(word.eq_ignore_ascii_case("pm"));
            return;
        }
        let month = word
            .get(..3)
            .and_then(|start| MONTHS.iter().position(|month| month.eq_ignore_ascii_case(start)));
        if let Some(month) = month {
            self.month.get_or_insert(month as u32 + 1);
        } else if self.seconds.is_some() && self.offset_minutes.is_none() {
            self.offset_minutes = named_zone(word);
        }
    }

    /// `10:00`, `10:00:00`, `10:00:00.123`, each perhaps with the zone run on.
    fn time(&mut self, token: &str) {
        if self.seconds.is_some() {
            return;
        }
        let zone = token.find(['+', '-']).unwrap_or(token.len());
        let (clock, zone) = token.split_at(zone);
        let mut numbers = clock.split(':').map(|piece| {
            let piece = piece.split('.').next().unwrap_or_default();
            piece.trim_end_matches(|c: char| !c.is_ascii_digit()).parse::<i64>().ok()
        });
        let (Some(Some(hour)), Some(Some(minute))) = (numbers.next(), numbers.next()) else {
            return;
        };
        let second = numbers.next().flatten().unwrap_or(0);
        if (0..=24).contains(&hour) && (0..60).contains(&minute) && (0..=60).contains(&second) {
            // A leap second is the one after it in Unix time.
            self.seconds = Some(hour * 3600 + minute * 60 + second);
            if let Some(sign) = zone.as_bytes().first() {
                self.zone_digits(*sign, &zone[1..]);
            }
        }
    }

    fn zone_digits(&mut self, sign: u8, digits: &str) {
        let digits: String = digits.chars().filter(|c| *c != ':').collect();
        if self.offset_minutes.is_some() || digits.len() > 4 {
            return;
        }
        if let Ok(number) = digits.parse::<i16>() {
            let minutes =
                if digits.len() <= 2 { number * 60 } else { number / 100 * 60 + number % 100 };
            if minutes <= 24 * 60 {
                self.offset_minutes = Some(if sign == b'-' { -minutes } else { minutes });
            }
        }
    }

    fn resolve(self) -> Option<SentAt> {
        let (year, month, day) = (self.year?, self.month?, self.day?);
        if !(1..=days_in_month(year, month)).contains(&day) {
            return None;
        }
        let mut seconds = self.seconds.unwrap_or(0);
        match self.afternoon {
            Some(true) if seconds < 12 * 3600 => seconds += 12 * 3600,
            Some(false) if seconds >= 12 * 3600 => seconds -= 12 * 3600,
            _ => {}
        }
        let offset_minutes = self.offset_minutes.unwrap_or(0);
        let local = days_from_civil(year, month, day) * 86_400 + seconds;
        Some(SentAt { unix_seconds: local - i64::from(offset_minutes) * 60, offset_minutes })
    }
}

/// RFC 5322 §4.3: two digits below 50 are this century, other two or three digits the last.
fn full_year(number: u32, digits: usize) -> i64 {
    match digits {
        1 | 2 if number < 50 => 2000 + i64::from(number),
        1..=3 => 1900 + i64::from(number),
        _ => i64::from(number),
    }
}

/// RFC 5322 §4.3; military letters and unknown names say nothing about the zone.
fn named_zone(name: &str) -> Option<i16> {
    let hours = match name.to_ascii_uppercase().as_str() {
        "UT" | "GMT" | "UTC" | "Z" | "WET" => 0,
        "EDT" => -4,
        "EST" | "CDT" => -5,
        "CST" | "MDT" => -6,
        "MST" | "PDT" => -7,
        "PST" => -8,
        "BST" | "CET" | "MET" => 1,
        "CEST" | "MEST" | "EET" => 2,
        "EEST" | "MSK" => 3,
        "JST" | "KST" => 9,
        _ => return None,
    };
    Some(hours * 60)
}

/// Text outside parentheses; other than ASCII becomes `?`, which no token accepts.
fn without_comments(value: &[u8]) -> String {
    let mut depth = 0_usize;
    let mut text = String::with_capacity(value.len());
    for byte in value {
        match byte {
            b'(' => depth += 1,
            b')' if depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            _ if byte.is_ascii() => text.push(char::from(*byte)),
            _ => text.push('?'),
        }
    }
    text
}

fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar. Years are counted from
/// March, so that the leap day is the last of its year.
fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = i64::from(month + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + i64::from(day) - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + day_of_year - 719_468
}

/// The inverse of [`days_from_civil`]: year, month, day.
fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day = shifted.rem_euclid(146_097);
    let year_of_era = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era + i64::from(month >= 10);
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year, month as u32, day_of_month as u32)
}

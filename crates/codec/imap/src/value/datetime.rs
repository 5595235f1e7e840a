//! Dates of SEARCH and date-times of APPEND and INTERNALDATE (RFC 3501 §9 `date`, `date-time`).
//!
//! The calendar arithmetic is our own dozen lines (proleptic Gregorian, days since 1970-01-01), so
//! the crate needs no time library.

use crate::error::ParseError;
use crate::lex::Cursor;
use bytes::{BufMut, BytesMut};
use std::fmt::{self, Write};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY_SECONDS: i64 = 86_400;

/// A day of the Gregorian calendar, years 0 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// A valid date, or `None`.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Date> {
        let valid = year <= 9999
            && (1..=12).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day);
        valid.then_some(Date { year, month, day })
    }

    /// Days since 1970-01-01.
    pub fn to_unix_days(self) -> i64 {
        // Years begin in March here, so the leap day is the last day of a year.
        let (month, year) = (i64::from(self.month), i64::from(self.year));
        let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
        let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let day_of_year = (153 * month + 2) / 5 + i64::from(self.day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * 146_097 + day_of_era - 719_468
    }

    /// The date of a day number; days outside the years 0 to 9999 give the nearest one inside.
    pub fn from_unix_days(days: i64) -> Date {
        let days = days.clamp(-719_528, 2_932_896) + 719_468;
        let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
        let year_of_era = (day_of_era - leap_days) / 365;
        let start = 365 * year_of_era + year_of_era / 4 - year_of_era / 100;
        let day_of_year = day_of_era - start;
        let shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        Date { year: year as u16, month: month as u8, day: day as u8 }
    }

    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Date, ParseError> {
        let quoted = cursor.eat(b'"');
        let at = cursor.mark();
        let mut day = cursor.digits(1, "a day")?;
        if cursor.peek().is_some_and(|b| b.is_ascii_digit()) {
            day = day * 10 + cursor.digits(1, "a day")?;
        }
        let date = Date::parse_after_day(cursor, day)?;
        if quoted {
            cursor.expect(b'"', "the closing quote of the date")?;
        }
        date.ok_or_else(|| cursor.error_at(at, "a date of the calendar"))
    }

    fn parse_after_day(cursor: &mut Cursor<'_>, day: u32) -> Result<Option<Date>, ParseError> {
        cursor.expect(b'-', "`-` after the day")?;
        let at = cursor.mark();
        let name = cursor.letters3("a month")?;
        let month = MONTHS.iter().position(|month| month.as_bytes().eq_ignore_ascii_case(&name));
        let month = month.ok_or_else(|| cursor.error_at(at, "a month"))?;
        cursor.expect(b'-', "`-` after the month")?;
        let year = cursor.digits(4, "a year of four digits")?;
        Ok(Date::new(year as u16, month as u8 + 1, day as u8))
    }

    pub(crate) fn encode(self, out: &mut BytesMut) {
        let _ = write!(out, "{self}");
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let month = MONTHS.get(usize::from(self.month).wrapping_sub(1)).unwrap_or(&"Jan");
        write!(f, "{:02}-{month}-{:04}", self.day, self.year)
    }
}

/// A moment with the zone it is shown in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime {
    date: Date,
    /// Seconds since local midnight; 86,400 in a leap second.
    second_of_day: u32,
    zone_minutes: i16,
}

impl DateTime {
    /// The moment `unix_seconds`, shown `zone_minutes` east of UTC (at most a day either way).
    pub fn from_unix_seconds(unix_seconds: i64, zone_minutes: i16) -> DateTime {
        let zone_minutes = zone_minutes.clamp(-1439, 1439);
        let local = unix_seconds.saturating_add(i64::from(zone_minutes) * 60);
        DateTime {
            date: Date::from_unix_days(local.div_euclid(DAY_SECONDS)),
            second_of_day: local.rem_euclid(DAY_SECONDS) as u32,
            zone_minutes,
        }
    }

    /// Seconds since 1970-01-01 00:00:00 UTC.
    pub fn to_unix_seconds(self) -> i64 {
        self.date.to_unix_days() * DAY_SECONDS + i64::from(self.second_of_day)
            - i64::from(self.zone_minutes) * 60
    }

    /// The calendar day in the zone of the value, which is what SEARCH compares
    /// (RFC 3501 §6.4.4: time and zone disregarded).
    pub fn date(self) -> Date {
        self.date
    }

    /// Minutes east of UTC.
    pub fn zone_minutes(self) -> i16 {
        self.zone_minutes
    }

    /// `"01-Feb-1994 21:52:25 -0800"` with its quotes; a day below ten may start with a space.
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<DateTime, ParseError> {
        let at = cursor.mark();
        cursor.expect(b'"', "a date-time in quotes")?;
        let day_digits = if cursor.eat(b' ') { 1 } else { 2 };
        let day = cursor.digits(day_digits, "a day of two characters")?;
        let date = Date::parse_after_day(cursor, day)?;
        cursor.space()?;
        let hour = cursor.digits(2, "an hour")?;
        cursor.expect(b':', "`:` after the hour")?;
        let minute = cursor.digits(2, "a minute")?;
        cursor.expect(b':', "`:` after the minute")?;
        let second = cursor.digits(2, "a second")?;
        cursor.space()?;
        let west = cursor.eat(b'-');
        if !west {
            cursor.expect(b'+', "a zone")?;
        }
        let zone_hours = cursor.digits(2, "a zone of four digits")?;
        let zone_minutes = cursor.digits(2, "a zone of four digits")?;
        cursor.expect(b'"', "the closing quote of the date-time")?;
        let time = hour < 24 && minute < 60 && second <= 60 && zone_hours < 24 && zone_minutes < 60;
        let zone = (zone_hours * 60 + zone_minutes) as i16;
        match date {
            Some(date) if time => Ok(DateTime {
                date,
                second_of_day: hour * 3600 + minute * 60 + second,
                zone_minutes: if west { -zone } else { zone },
            }),
            _ => Err(cursor.error_at(at, "a date-time of the calendar")),
        }
    }

    /// The value in quotes.
    pub(crate) fn encode(self, out: &mut BytesMut) {
        out.put_u8(b'"');
        let _ = write!(out, "{self}");
        out.put_u8(b'"');
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A leap second at the end of the day is shown as :60 of the last minute.
        let second_of_day = self.second_of_day.min(DAY_SECONDS as u32 - 1);
        let leap = self.second_of_day - second_of_day;
        let (hour, minute) = (second_of_day / 3600, second_of_day / 60 % 60);
        let second = second_of_day % 60 + leap;
        let sign = if self.zone_minutes < 0 { '-' } else { '+' };
        let zone = self.zone_minutes.unsigned_abs();
        write!(f, "{} {hour:02}:{minute:02}:{second:02} ", self.date)?;
        write!(f, "{sign}{:02}{:02}", zone / 60, zone % 60)
    }
}

fn days_in_month(year: u16, month: u8) -> u8 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

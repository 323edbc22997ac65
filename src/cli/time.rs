//! Times as people write them: `2026-11-22`, `2026-11-22T14:30:00Z`, unix seconds, or an age such as `90m`.

use super::fail::usage;
use crate::record::Millis;

const DAY_S: u64 = 24 * 3600;

/// Reads a time; ages count back from `now`.
pub(crate) fn parse(text: &str, now: Millis) -> anyhow::Result<Millis> {
    read(text, now.0 / 1000).map(|seconds| Millis(seconds.saturating_mul(1000))).ok_or_else(|| {
        usage(format!(
            "'{text}' is not a time: write 2026-11-22, 2026-11-22T14:30:00Z, unix seconds, or an age such as 90m or 7d"
        ))
    })
}

/// A time as `2026-11-22T14:30:00Z`.
pub(crate) fn show(time: Millis) -> String {
    let (days, of_day) = (time.0 / 1000 / DAY_S, time.0 / 1000 % DAY_S);
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

fn read(text: &str, now_s: u64) -> Option<u64> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok();
    }
    let factor = match text.as_bytes().last()? {
        b's' => 1,
        b'm' => 60,
        b'h' => 3600,
        b'd' => DAY_S,
        b'w' => 7 * DAY_S,
        _ => return date(text),
    };
    let count: u64 = text[..text.len() - 1].parse().ok()?;
    Some(now_s.saturating_sub(count.checked_mul(factor)?))
}

fn date(text: &str) -> Option<u64> {
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00:00"));
    let parts: Vec<u64> = date.split('-').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [year, month, day] = parts[..] else { return None };
    let parts: Vec<u64> =
        time.trim_end_matches('Z').split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let (hour, minute, second) = match parts[..] {
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    let possible = (1970..10_000).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !possible || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days(year, month, day);
    // A day that its month does not have comes back as another one.
    (civil(days) == (year, month, day)).then_some(days * DAY_S + hour * 3600 + minute * 60 + second)
}

/// Days from 1970-01-01; years are counted from March, so that the leap day is a year's last.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    (era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year).saturating_sub(719_468)
}

/// The inverse of [`days`].
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_795_385_700_000);

    fn seconds(text: &str) -> Option<u64> {
        parse(text, NOW).ok().map(|time| time.0 / 1000)
    }

    #[test]
    fn every_form_is_read() {
        assert_eq!(seconds("1970-01-01"), Some(0));
        assert_eq!(seconds("2026-11-22T22:15:00Z"), Some(1_795_385_700));
        assert_eq!(seconds("2024-02-29 12:00"), Some(1_709_208_000));
        assert_eq!(seconds("1700000000"), Some(1_700_000_000));
        assert_eq!(seconds("15m"), Some(1_795_384_800));
        assert_eq!(seconds("1d"), Some(1_795_299_300));
    }

    #[test]
    fn nonsense_and_days_that_do_not_exist_are_refused() {
        for text in [
            "",
            "yesterday",
            "2026-02-29",
            "2026-13-01",
            "2026-00-01",
            "2026-01-00",
            "1x",
            "m",
            "2026-11-22T25:00",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for days in [0, 59, 365, 11_016, 19_782, 20_779, 60_000] {
            let time = Millis(days * DAY_S * 1000 + 45_296_000);
            assert_eq!(parse(&show(time), NOW).unwrap(), time, "{}", show(time));
        }
    }
}

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

/// A moment, in whole seconds; written as RFC 3339 in UTC. 1970 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The last moment that RFC 3339 can write.
    const LATEST: u64 = 253_402_300_799;

    /// The second that `moment` falls into; one outside the range counts as its nearest end.
    #[must_use]
    pub fn at(moment: SystemTime) -> Self {
        let since = moment.duration_since(SystemTime::UNIX_EPOCH);
        Self(since.map_or(0, |since| since.as_secs().min(Self::LATEST)))
    }

    /// When this second begins.
    #[must_use]
    pub fn moment(self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.0)
    }

    /// Seconds from `earlier` to this moment; zero where it is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }

    /// This moment and so much later, fractions of a second left off.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait.as_secs()).min(Self::LATEST))
    }

    /// The same for those who reckon with dates.
    #[must_use]
    pub fn timestamp(self) -> jiff::Timestamp {
        let seconds = i64::try_from(self.0).unwrap_or(i64::MAX);
        jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX)
    }

    fn system(self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.0)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_seconds(self.system()).fmt(f)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_rfc3339(&text)
            .map(Self::at)
            .map_err(|error| de::Error::custom(format_args!("time `{text}`: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_rfc_3339_and_reads_back() {
        let text = "\"2026-11-20T12:35:07Z\"";
        let time: Time = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&time).unwrap(), text);
        let later = time.after(Duration::from_millis(61_500));
        assert_eq!(later.to_string(), "2026-11-20T12:36:08Z");
        assert_eq!(later.since(time), Duration::from_secs(61));
        assert_eq!(time.since(later), Duration::ZERO);
        assert_eq!(
            Time(u64::MAX).after(Duration::MAX).to_string(),
            "9999-12-31T23:59:59Z"
        );
    }
}

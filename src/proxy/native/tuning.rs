//! What labels say that only this set knows, each with a type: a mistake takes the service out.

use super::super::marathon_lb::Service;
use crate::cluster::Warning;
use crate::labels::ServiceOptions;

/// How servers are treated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tuning {
    /// HAProxy's name of each, and its value.
    pub timeouts: Vec<(&'static str, Box<str>)>,
    /// Connections to each server.
    pub maxconn: Option<u32>,
    /// The word for the version of the PROXY protocol that servers are spoken to in.
    pub send_proxy: Option<&'static str>,
    /// Whether text is compressed.
    pub compresses: bool,
}

/// Which requests are meant, beside host and path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// A header, and its value where one counts.
    pub header: Option<(Box<str>, Option<Box<str>>)>,
    /// Any of these; all where there are none.
    pub methods: Vec<Box<str>>,
}

impl Conditions {
    /// How many there are.
    pub(super) fn number(&self) -> usize {
        usize::from(self.header.is_some()) + usize::from(!self.methods.is_empty())
    }

    /// How much is asked: more conditions go before fewer, and a header with a value before one
    /// without.
    pub(super) fn precision(&self) -> impl Ord + use<> {
        let has_value = self
            .header
            .as_ref()
            .is_some_and(|(_, value)| value.is_some());
        (self.number(), has_value)
    }
}

const TIMEOUTS: [(&str, &str); 4] = [
    ("TIMEOUT_CONNECT", "connect"),
    ("TIMEOUT_SERVER", "server"),
    ("TIMEOUT_QUEUE", "queue"),
    ("TIMEOUT_TUNNEL", "tunnel"),
];

/// Reads how servers are treated.
///
/// # Errors
/// The label that cannot be read.
pub fn tuning(service: &Service) -> Result<Tuning, Warning> {
    let mut tuning = Tuning::default();
    if service.options.own.is_empty() {
        return Ok(tuning);
    }
    for (label, timeout) in TIMEOUTS {
        if let Some(text) = said(service, label) {
            let wrong = || refused(service, label, "a time such as 500ms, 30s or 2h, above 0");
            let time = time(text).ok_or_else(wrong)?;
            tuning.timeouts.push((timeout, time.into()));
        }
    }
    if let Some(text) = said(service, "MAXCONN") {
        let count = text.parse().ok().filter(|count| *count > 0);
        let wrong = || refused(service, "MAXCONN", "a number of connections, above 0");
        tuning.maxconn = Some(count.ok_or_else(wrong)?);
    }
    read_weight(service)?;
    read_slots(service)?;
    if let Some(text) = said(service, "SEND_PROXY") {
        tuning.send_proxy = Some(match text {
            "v1" => "send-proxy",
            "v2" => "send-proxy-v2",
            _ => return Err(refused(service, "SEND_PROXY", "v1 or v2")),
        });
    }
    if passes_tls_on(service)? && service.is_http() {
        let expected = "none, for the mode is http, in which TLS ends here";
        return Err(refused(service, PASSTHROUGH, expected));
    }
    if said(service, "COMPRESSION").is_some() {
        tuning.compresses = switch(service, "COMPRESSION")?;
        if tuning.compresses && !service.is_http() {
            return Err(refused(
                service,
                "COMPRESSION",
                "none, for the mode is not http",
            ));
        }
    }
    Ok(tuning)
}

const PASSTHROUGH: &str = "SNI_PASSTHROUGH";

/// Whether TLS for its hosts is not ended on port 443.
///
/// # Errors
/// When the label cannot be read.
pub(super) fn passes_tls_on(service: &Service) -> Result<bool, Warning> {
    switch(service, PASSTHROUGH)
}

fn switch(service: &Service, label: &str) -> Result<bool, Warning> {
    let Some(text) = said(service, label) else {
        return Ok(false);
    };
    let wrong = |_| refused(service, label, "true or false");
    text.to_lowercase().parse().map_err(wrong)
}

/// The share of a service among those that it is merged with; no more than a million.
pub(super) fn weight(service: &Service) -> u64 {
    read_weight(service).unwrap_or(1)
}

fn read_weight(service: &Service) -> Result<u64, Warning> {
    let Some(text) = said(service, "WEIGHT") else {
        return Ok(1);
    };
    let weight = text.parse().ok().filter(|weight| *weight <= 1_000_000);
    weight.ok_or_else(|| refused(service, "WEIGHT", "a number from 0 to 1000000"))
}

/// How many slots of its section are to be free, where its owner says so.
pub(super) fn own_slots(service: &Service) -> Option<u32> {
    read_slots(service).unwrap_or_default()
}

fn read_slots(service: &Service) -> Result<Option<u32>, Warning> {
    if !service.options.own.contains_key(SLOTS) {
        return Ok(None);
    }
    let slots = slots_said(&service.options);
    let wrong = || refused(service, SLOTS, "a number from 0 to 100");
    slots.ok_or_else(wrong).map(Some)
}

/// The same, where it can be read.
pub(super) fn slots_said(options: &ServiceOptions) -> Option<u32> {
    let text = options.own.get(SLOTS)?.trim();
    // Each costs memory of the HAProxy that all share.
    text.parse().ok().filter(|slots| *slots <= MOST_SLOTS)
}

/// Has options say that so many slots are to be free, or as many as a label can say: how many that are.
pub fn say_slots(options: &mut ServiceOptions, slots: u32) -> u32 {
    let slots = slots.min(MOST_SLOTS);
    options.own.insert(SLOTS, slots.to_string().into());
    slots
}

const SLOTS: &str = "SERVER_SLOTS";

/// The most that a label can ask for.
const MOST_SLOTS: u32 = 100;

/// So many as HTTP and WEBDAV have. They stand in one line, of which HAProxy reads 64 words.
const MOST_METHODS: usize = 16;

/// Reads which requests are meant.
///
/// # Errors
/// The label that cannot be read.
pub(super) fn conditions(service: &Service) -> Result<Conditions, Warning> {
    let mut conditions = Conditions::default();
    if let Some(text) = said(service, "HEADER") {
        let (name, value) = match text.split_once(':') {
            Some((name, value)) => (name.trim(), Some(value.trim())),
            None => (text, None),
        };
        let is_value = |value: &str| !value.is_empty() && !value.contains(char::is_control);
        if name.is_empty() || !name.bytes().all(is_of_token) || !value.is_none_or(is_value) {
            let expected = "the name of a header, and a value behind a colon where one counts";
            return Err(refused(service, "HEADER", expected));
        }
        conditions.header = Some((name.into(), value.map(Into::into)));
    }
    if let Some(text) = said(service, "METHOD") {
        let methods: Vec<&str> = text.split(',').map(str::trim).collect();
        let is_method = |method: &&str| {
            let is_letter = |byte: u8| byte.is_ascii_uppercase();
            !method.is_empty() && method.bytes().all(is_letter)
        };
        if methods.len() > MOST_METHODS || !methods.iter().all(is_method) {
            let expected = "up to 16 methods in capitals, parted by commas";
            return Err(refused(service, "METHOD", expected));
        }
        conditions.methods = methods.into_iter().map(Into::into).collect();
    }
    Ok(conditions)
}

fn said<'a>(service: &'a Service, label: &str) -> Option<&'a str> {
    Some(service.options.own.get(label)?.trim())
}

fn refused(service: &Service, label: &str, expected: &str) -> Warning {
    let found = service.options.own.get(label).map_or("", |text| text);
    Warning {
        app: Some(service.owner.app.clone()),
        subject: format!("label `HAPROXY_{}_{label}`", service.index),
        found: format!("`{}`", found.escape_debug()),
        expected: expected.to_owned(),
        effect: String::new(),
    }
}

/// A number and a unit of HAProxy's; without one it counts milliseconds there, and is refused
/// here, since most mean seconds.
fn time(text: &str) -> Option<&str> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = &text[..text.len() - unit.len()];
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let all = digits.parse::<u64>().ok()?.checked_mul(milliseconds)?;
    // HAProxy counts up to 2^31.
    (all > 0 && i32::try_from(all).is_ok()).then_some(text)
}

/// RFC 9110, `token`, without what HAProxy would read as the end of an argument.
fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::time;

    #[test]
    fn times_have_a_unit() {
        for text in ["1ms", "500ms", "30s", "2m", "8h", "24d"] {
            assert_eq!(time(text), Some(text));
        }
        for text in [
            "",
            "5",
            "s",
            "0s",
            "-1s",
            "1 s",
            "1us",
            "1.5s",
            "25d",
            "1s server",
            "9999999999999999999s",
        ] {
            assert_eq!(time(text), None, "{text}");
        }
    }
}

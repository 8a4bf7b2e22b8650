//! The JSON of apps and tasks as Marathon 0.7 to 1.11 writes it, as far as it is used.
//!
//! Every field is optional and null means absent, since each version leaves out others; what is
//! not named here is skipped without being built. Numbers of ports are `u16` and counts `u64`, so
//! that serde refuses what is out of range; words stay text, for `convert` to judge.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;

use crate::cluster::Field;

/// Labels and environment.
pub(super) type Texts = BTreeMap<Box<str>, Box<str>>;

/// `T` and `H` are whatever tasks and health checks are read as.
#[derive(Deserialize)]
#[serde(
    rename_all = "camelCase",
    expecting = "an object",
    bound = "T: Deserialize<'de>, H: Deserialize<'de>"
)]
pub(super) struct App<T = Task, H = HealthCheck> {
    pub(super) id: Option<Box<str>>,
    #[serde(default, deserialize_with = "texts::<_, Option<Box<str>>>")]
    pub(super) labels: Texts,
    #[serde(default, deserialize_with = "texts::<_, EnvValue>")]
    pub(super) env: Texts,
    pub(super) ip_address: Option<IpAddress>,
    pub(super) networks: Option<Vec<Option<Network>>>,
    pub(super) container: Option<Container>,
    pub(super) port_definitions: Option<Vec<Option<PortDefinition>>>,
    pub(super) ports: Option<Vec<u32>>,
    pub(super) health_checks: Option<Vec<Option<H>>>,
    pub(super) readiness_checks: Option<Lesser<Vec<Option<ReadinessCheck>>>>,
    pub(super) readiness_check_results: Option<Lesser<Vec<Option<ReadinessResult>>>>,
    pub(super) deployments: Option<Lesser<Vec<Option<IgnoredAny>>>>,
    pub(super) instances: Option<u64>,
    pub(super) version: Option<Box<str>>,
    pub(super) version_info: Option<VersionInfo>,
    pub(super) tasks: Option<Vec<Option<T>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub(super) struct IpAddress {
    pub(super) network_name: Option<Box<str>>,
    pub(super) discovery: Option<Discovery>,
    /// Whatever else stands here makes an address per task as well.
    #[serde(flatten)]
    pub(super) rest: BTreeMap<Box<str>, Option<IgnoredAny>>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct Discovery {
    pub(super) ports: Option<Vec<Option<DiscoveryPort>>>,
}

#[derive(Default, Deserialize)]
#[serde(default, expecting = "an object")]
pub(super) struct DiscoveryPort {
    pub(super) number: Option<u16>,
    pub(super) protocol: Option<Box<str>>,
    pub(super) name: Option<Box<str>>,
}

/// An entry of `networks` (Marathon 1.5 and later).
#[derive(Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct Network {
    pub(super) mode: Option<Box<str>>,
    pub(super) name: Option<Box<str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub(super) struct Container {
    pub(super) docker: Option<Docker>,
    pub(super) port_mappings: Option<Vec<Option<PortMapping>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub(super) struct Docker {
    pub(super) network: Option<Box<str>>,
    pub(super) port_mappings: Option<Vec<Option<PortMapping>>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", expecting = "an object")]
pub(super) struct PortMapping {
    pub(super) container_port: Option<u16>,
    pub(super) host_port: Option<u16>,
    pub(super) service_port: Option<u32>,
    pub(super) protocol: Option<Box<str>>,
    pub(super) name: Option<Box<str>>,
    #[serde(deserialize_with = "texts::<_, Option<Box<str>>>")]
    pub(super) labels: Texts,
    pub(super) network_names: Option<Vec<Box<str>>>,
}

#[derive(Default, Deserialize)]
#[serde(default, expecting = "an object")]
pub(super) struct PortDefinition {
    pub(super) port: Option<u32>,
    pub(super) protocol: Option<Box<str>>,
    pub(super) name: Option<Box<str>>,
    #[serde(deserialize_with = "texts::<_, Option<Box<str>>>")]
    pub(super) labels: Texts,
}

/// A check, and all of it as it was written.
#[derive(Default)]
pub(super) struct HealthCheck {
    pub(super) protocol: Option<Box<str>>,
    pub(super) path: Option<Box<str>>,
    pub(super) port: Option<u16>,
    pub(super) port_index: Option<usize>,
    pub(super) grace_period_seconds: Option<u64>,
    pub(super) interval_seconds: Option<u64>,
    pub(super) timeout_seconds: Option<u64>,
    pub(super) max_consecutive_failures: Option<u64>,
    pub(super) fields: Vec<(Box<str>, Field)>,
    /// Numbers that are none, as they were written: each has a default.
    pub(super) wrong: Vec<(&'static str, Box<str>)>,
}

impl<'de> Deserialize<'de> for HealthCheck {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = HealthCheck;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<HealthCheck, A::Error> {
                let mut check = HealthCheck::default();
                while let Some(name) = map.next_key::<Box<str>>()? {
                    let field = match &*name {
                        "protocol" => both(&mut map, &mut check.protocol)?,
                        "path" => both(&mut map, &mut check.path)?,
                        "port" => both(&mut map, &mut check.port)?,
                        "portIndex" => both(&mut map, &mut check.port_index)?,
                        "gracePeriodSeconds" => check.number(&mut map, GRACE_PERIOD)?,
                        "intervalSeconds" => check.number(&mut map, INTERVAL)?,
                        "timeoutSeconds" => check.number(&mut map, TIMEOUT)?,
                        "maxConsecutiveFailures" => check.number(&mut map, FAILURES)?,
                        _ => map.next_value::<Any>()?.0,
                    };
                    if field != Field::Null {
                        check.fields.push((name, field));
                    }
                }
                Ok(check)
            }
        }

        deserializer.deserialize_any(Members)
    }
}

/// A number of a health check: its name and its place.
type Number = (&'static str, fn(&mut HealthCheck) -> &mut Option<u64>);

const GRACE_PERIOD: Number = ("gracePeriodSeconds", |c| &mut c.grace_period_seconds);
const INTERVAL: Number = ("intervalSeconds", |c| &mut c.interval_seconds);
const TIMEOUT: Number = ("timeoutSeconds", |c| &mut c.timeout_seconds);
const FAILURES: Number = ("maxConsecutiveFailures", |c| {
    &mut c.max_consecutive_failures
});

impl HealthCheck {
    /// Reads a number, and gives it as it was written; one that is none counts as not said.
    fn number<'de, A>(&mut self, map: &mut A, (name, place): Number) -> Result<Field, A::Error>
    where
        A: MapAccess<'de>,
    {
        let raw = map.next_value::<&RawValue>()?.get();
        match serde_json::from_str::<Option<u64>>(raw) {
            Ok(number) => {
                *place(self) = number;
                // Whatever is a number is any JSON as well.
                Ok(serde_json::from_str::<Any>(raw).map_or(Field::Null, |any| any.0))
            }
            Err(_) => {
                self.wrong.push((name, raw.into()));
                Ok(Field::Null)
            }
        }
    }
}

/// Reads a member into its place and gives it as it was written.
fn both<'de, A, T>(map: &mut A, place: &mut Option<T>) -> Result<Field, A::Error>
where
    A: MapAccess<'de>,
    T: Deserialize<'de>,
{
    let Both { said, field } = map.next_value()?;
    *place = said;
    Ok(field)
}

/// A value, and the same as it was written.
struct Both<T> {
    said: Option<T>,
    field: Field,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Both<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        let read = || {
            Ok(Self {
                said: serde_json::from_str(raw)?,
                field: serde_json::from_str::<Any>(raw)?.0,
            })
        };
        read().map_err(|error: serde_json::Error| de::Error::custom(fault_of(&error)))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub(super) struct ReadinessCheck {
    pub(super) timeout_seconds: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub(super) struct ReadinessResult {
    pub(super) task_id: Option<Box<str>>,
    pub(super) ready: Option<bool>,
}

/// What does not cost the app where it is wrong.
pub(super) enum Lesser<T> {
    Right(T),
    /// As it was written.
    Wrong(Box<str>),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Lesser<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        Ok(serde_json::from_str(raw).map_or_else(|_| Self::Wrong(raw.into()), Self::Right))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub(super) struct VersionInfo {
    pub(super) last_config_change_at: Option<Box<str>>,
    pub(super) last_scaling_at: Option<Box<str>>,
}

/// `R` is whatever the results of its health checks are read as.
#[derive(Deserialize)]
#[serde(
    rename_all = "camelCase",
    expecting = "an object",
    bound = "R: Deserialize<'de>"
)]
pub(super) struct Task<R = Vec<Option<HealthResult>>> {
    pub(super) id: Option<Box<str>>,
    pub(super) host: Option<Box<str>>,
    pub(super) ports: Option<Vec<u16>>,
    pub(super) ip_addresses: Option<Vec<Option<TaskAddress>>>,
    pub(super) state: Option<Box<str>>,
    pub(super) started_at: Option<Box<str>>,
    pub(super) version: Option<Box<str>>,
    pub(super) health_check_results: Option<R>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub(super) struct TaskAddress {
    pub(super) ip_address: Option<Box<str>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub(super) struct HealthResult {
    pub(super) alive: Option<bool>,
    pub(super) consecutive_failures: Option<u64>,
}

/// The value of a variable, or nothing where it is a reference to a secret. Values of other types
/// count as nothing too: a message about them would show what may be a secret.
struct EnvValue(Option<Box<str>>);

impl From<EnvValue> for Option<Box<str>> {
    fn from(value: EnvValue) -> Self {
        value.0
    }
}

impl<'de> Deserialize<'de> for EnvValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Ok(Self(serde_json::from_str(raw.get()).ok()))
    }
}

/// Reads an object of texts and leaves out the entries without one; null is an empty object.
fn texts<'de, D, V>(deserializer: D) -> Result<Texts, D::Error>
where
    D: Deserializer<'de>,
    V: Deserialize<'de> + Into<Option<Box<str>>>,
{
    struct Entries<V>(PhantomData<V>);

    impl<'de, V> Visitor<'de> for Entries<V>
    where
        V: Deserialize<'de> + Into<Option<Box<str>>>,
    {
        type Value = Texts;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of strings")
        }

        fn visit_unit<E: de::Error>(self) -> Result<Texts, E> {
            Ok(Texts::new())
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
            let mut texts = Texts::new();
            while let Some((name, value)) = map.next_entry::<Box<str>, V>()? {
                if let Some(value) = value.into() {
                    texts.insert(name, value);
                }
            }
            Ok(texts)
        }
    }

    deserializer.deserialize_any(Entries(PhantomData::<V>))
}

/// The place in a part of the answer would mislead those who look for it in the whole.
fn fault_of(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let end = text.rfind(" at line ").unwrap_or(text.len());
    text[..end].to_owned()
}

/// Any JSON, without the members of objects that are null.
struct Any(Field);

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyVisitor;

        impl<'de> Visitor<'de> for AnyVisitor {
            type Value = Field;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Field, E> {
                Ok(Field::Null)
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Field, E> {
                Ok(Field::Bool(value))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Field, E> {
                Ok(Field::Int(value))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Field, E> {
                Ok(i64::try_from(value).map_or(Field::Float(value as f64), Field::Int))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Field, E> {
                Ok(Field::Float(value))
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Field, E> {
                Ok(Field::Text(value.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Field, A::Error> {
                let mut fields = Vec::new();
                while let Some(Any(field)) = list.next_element()? {
                    fields.push(field);
                }
                Ok(Field::List(fields))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Field, A::Error> {
                let mut fields = Vec::new();
                while let Some((name, Any(field))) = map.next_entry::<Box<str>, Any>()? {
                    if field != Field::Null {
                        fields.push((name, field));
                    }
                }
                Ok(Field::Object(fields))
            }
        }

        deserializer.deserialize_any(AnyVisitor).map(Self)
    }
}

//! Writes app ids as text; the cluster's types know nothing of files.

/// Maps whose values are app ids.
pub(super) mod values {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::cluster::AppId;

    pub(crate) fn serialize<K: Ord + Serialize, S: Serializer>(
        map: &BTreeMap<K, AppId>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text: BTreeMap<&K, &str> = map.iter().map(|(key, id)| (key, id.as_str())).collect();
        text.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, K: Ord + Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<K, AppId>, D::Error> {
        let text = BTreeMap::<K, String>::deserialize(deserializer)?;
        Ok(text
            .into_iter()
            .map(|(key, id)| (key, AppId::new(&id)))
            .collect())
    }
}

/// Maps whose keys are app ids.
pub(super) mod keys {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::cluster::AppId;

    type Ports = BTreeMap<u32, u32>;

    pub(crate) fn serialize<S: Serializer>(
        map: &BTreeMap<AppId, Ports>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text: BTreeMap<&str, &Ports> =
            map.iter().map(|(id, ports)| (id.as_str(), ports)).collect();
        text.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<AppId, Ports>, D::Error> {
        let text = BTreeMap::<String, Ports>::deserialize(deserializer)?;
        Ok(text
            .into_iter()
            .map(|(id, ports)| (AppId::new(&id), ports))
            .collect())
    }
}

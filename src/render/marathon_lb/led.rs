//! Services that ports 80 and 443 lead to in the place of a frontend of their own, in our own set.

use super::super::profiles;
use super::MarathonLb;
use super::sections::Sections;
use crate::proxy::marathon_lb::Service;

impl MarathonLb {
    /// Whether it has no frontend of its own.
    pub(super) fn is_led_by_name(&self, service: &Service) -> bool {
        self.leads_by_name && service.has_name()
    }

    /// With what its backend says in a profile, where others may say the same. Who has a frontend of
    /// its own needs a reload to come, whatever the backend takes from elsewhere.
    pub(super) fn with_profile(&self, service: &Service, sections: Sections) -> Sections {
        if !self.has_profiles || sections.frontend.is_some() {
            return sections;
        }
        let Some((profile, backend)) = profiles::parted(service, &sections.backend) else {
            return sections;
        };
        Sections {
            backend: backend.into(),
            profile: Some(profile),
            ..sections
        }
    }
}

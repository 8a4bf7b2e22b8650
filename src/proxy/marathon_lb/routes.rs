//! Which rules a service has in the shared frontends: marathon-lb 1.15's table of host, path,
//! redirect and password.

use super::{Flavour, Rule, Service};
use crate::labels::Template::{
    self, BackendRedirectHttpToHttps, BackendRedirectHttpToHttpsWithPath, HttpFrontendAcl,
    HttpFrontendAclOnly, HttpFrontendAclOnlyWithPath, HttpFrontendAclOnlyWithPathAndAuth,
    HttpFrontendAclWithAuth, HttpFrontendAclWithAuthAndPath, HttpFrontendAclWithPath,
    HttpFrontendAppidAcl, HttpFrontendRoutingOnly, HttpFrontendRoutingOnlyWithAuth,
    HttpFrontendRoutingOnlyWithPath, HttpFrontendRoutingOnlyWithPathAndAuth, HttpsFrontendAcl,
    HttpsFrontendAclOnlyWithPath, HttpsFrontendAclWithAuth, HttpsFrontendAclWithAuthAndPath,
    HttpsFrontendAclWithPath, MapHttpFrontendAcl, MapHttpFrontendAclOnly, MapHttpFrontendAppidAcl,
    MapHttpsFrontendAcl,
};

/// What a service's owner wants of the shared frontends.
#[derive(Clone, Copy)]
struct Wish {
    path: bool,
    redirect: bool,
    auth: bool,
}

impl Wish {
    fn of(service: &Service) -> Self {
        let options = &service.options;
        Self {
            path: options.path.as_deref().is_some_and(|path| !path.is_empty()),
            redirect: options.redirect_to_https,
            auth: options
                .auth
                .as_ref()
                .is_some_and(|auth| !auth.realm.is_empty()),
        }
    }
}

/// Whether the map file of hosts leads to the service on port 80. A rule of its own is needed for
/// everything that a map cannot say.
pub(super) fn is_in_map(service: &Service) -> bool {
    let wish = Wish::of(service);
    !wish.path && !wish.auth && !wish.redirect
}

/// The same on port 443, where nobody is led elsewhere.
pub(super) fn is_in_map_of_https(service: &Service) -> bool {
    let wish = Wish::of(service);
    !wish.path && !wish.auth
}

/// Port 80, without maps.
///
/// `servicerouter.py` led clients to https in the frontend of their service: here its redirect,
/// which names no host, would take all others with it.
pub(super) fn http(service: &Service, flavour: Flavour) -> Vec<Rule> {
    let hosts = service.options.vhosts();
    let mut wish = Wish::of(service);
    wish.redirect &= flavour == Flavour::MarathonLb;
    match hosts[..] {
        [] => Vec::new(),
        [host] => rules(http_of_one(wish), host),
        [first, ..] => {
            let mut all = Vec::new();
            if wish.path && wish.auth {
                all.push(rule(HttpFrontendAclOnlyWithPathAndAuth, Some(first)));
            } else if wish.path {
                all.push(rule(HttpFrontendAclOnlyWithPath, Some(first)));
            }
            all.extend(
                hosts
                    .iter()
                    .map(|host| rule(HttpFrontendAclOnly, Some(host))),
            );
            all.push(rule(http_of_several(wish), Some(first)));
            all
        }
    }
}

fn http_of_one(wish: Wish) -> &'static [Template] {
    match wish {
        Wish {
            path: false,
            redirect: false,
            auth: false,
        } => &[HttpFrontendAcl],
        Wish {
            path: false,
            redirect: false,
            auth: true,
        } => &[HttpFrontendAclWithAuth],
        Wish {
            path: false,
            redirect: true,
            ..
        } => &[HttpFrontendAcl, BackendRedirectHttpToHttps],
        Wish {
            path: true,
            redirect: false,
            auth: false,
        } => &[HttpFrontendAclWithPath],
        Wish {
            path: true,
            redirect: false,
            auth: true,
        } => &[HttpFrontendAclWithAuthAndPath],
        Wish {
            path: true,
            redirect: true,
            ..
        } => &[
            HttpFrontendAclOnly,
            HttpFrontendAclOnlyWithPath,
            BackendRedirectHttpToHttpsWithPath,
        ],
    }
}

fn http_of_several(wish: Wish) -> Template {
    match wish {
        Wish {
            path: true,
            redirect: true,
            ..
        } => BackendRedirectHttpToHttpsWithPath,
        Wish {
            path: false,
            redirect: true,
            ..
        } => BackendRedirectHttpToHttps,
        Wish {
            path: true,
            auth: true,
            ..
        } => HttpFrontendRoutingOnlyWithPathAndAuth,
        Wish {
            path: true,
            auth: false,
            ..
        } => HttpFrontendRoutingOnlyWithPath,
        Wish {
            path: false,
            auth: true,
            ..
        } => HttpFrontendRoutingOnlyWithAuth,
        Wish {
            path: false,
            auth: false,
            ..
        } => HttpFrontendRoutingOnly,
    }
}

/// Port 443, before the rules of the hosts: once for the service, or once in each host's frontend.
pub(super) fn https_path(service: &Service) -> Option<Rule> {
    let hosts = service.options.vhosts();
    let path = Wish::of(service).path;
    let first = hosts.first().filter(|_| path)?;
    Some(rule(HttpsFrontendAclOnlyWithPath, Some(first)))
}

/// Port 443, what leads to one host.
pub(super) fn https_host(service: &Service, host: &str) -> Rule {
    let template = match Wish::of(service) {
        Wish {
            path: false,
            auth: false,
            ..
        } => HttpsFrontendAcl,
        Wish {
            path: false,
            auth: true,
            ..
        } => HttpsFrontendAclWithAuth,
        Wish {
            path: true,
            auth: false,
            ..
        } => HttpsFrontendAclWithPath,
        Wish {
            path: true,
            auth: true,
            ..
        } => HttpsFrontendAclWithAuthAndPath,
    };
    rule(template, Some(host))
}

/// The lookup that stands once in a frontend for all services in the map.
pub(super) fn map_http(service: &Service) -> Rule {
    let several = service.options.vhosts().len() > 1;
    let (template, label) = if several {
        (MapHttpFrontendAclOnly, HttpFrontendAclOnly)
    } else {
        (MapHttpFrontendAcl, HttpFrontendAcl)
    };
    Rule {
        template,
        label,
        host: None,
    }
}

/// The same on port 443.
pub(super) fn map_https(host: &str) -> Rule {
    Rule {
        template: MapHttpsFrontendAcl,
        label: HttpsFrontendAcl,
        host: Some(host.into()),
    }
}

/// Routing by app id.
pub(super) fn app_id(maps: bool) -> Rule {
    let template = if maps {
        MapHttpFrontendAppidAcl
    } else {
        HttpFrontendAppidAcl
    };
    Rule {
        template,
        label: HttpFrontendAppidAcl,
        host: None,
    }
}

fn rules(templates: &[Template], host: &str) -> Vec<Rule> {
    templates
        .iter()
        .map(|&template| rule(template, Some(host)))
        .collect()
}

fn rule(template: Template, host: Option<&str>) -> Rule {
    Rule {
        template,
        label: template,
        host: host.map(Into::into),
    }
}

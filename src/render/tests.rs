use std::collections::BTreeMap;
use std::sync::Arc;

use tera::Context;

use super::*;
use crate::cluster::{AppId, Endpoint, Host, ServicePort};
use crate::haproxy::Version;
use crate::proxy::{Listen, bridge};

fn listen(app: &str, service_port: u32, hosts: &[&str]) -> Arc<Listen> {
    let port = ServicePort {
        app: AppId::new(app),
        index: 0,
        service_port,
        last_config_change_at: None,
        endpoints: hosts
            .iter()
            .map(|host| Endpoint {
                host: Host::new(host),
                port: 31000,
                task: "t".into(),
                draining: false,
            })
            .collect(),
    };
    Arc::new(bridge::listen(&port).0.unwrap())
}

fn proxies(listens: Vec<Arc<Listen>>) -> Proxies {
    bridge::arrange(listens, &BTreeMap::new()).0
}

fn own(name: &str, text: &str) -> Override {
    Override {
        name: name.into(),
        file: format!("/t/{name}.tera"),
        text: text.into(),
    }
}

fn site(overrides: &[Override]) -> Site {
    Site {
        overrides: overrides.to_vec(),
        ..Site::new(TemplateSet::Bridge, Dialect::of(Version::NEWEST))
    }
}

fn bridge_renderer(overrides: &[Override]) -> Renderer {
    Renderer::new(&site(overrides)).unwrap()
}

fn render(renderer: &mut Renderer, proxies: &Proxies) -> (Rendered, Vec<Warning>) {
    let output = renderer.render(proxies).unwrap();
    assert_eq!(output.warnings, []);
    (
        output.rendered,
        output.failed.into_iter().map(Failed::warning).collect(),
    )
}

#[test]
fn the_bridge_set_writes_what_the_script_wrote() {
    let cluster = proxies(vec![
        listen("/web", 10_001, &["a", "10.0.0.1"]),
        listen("/idle", 80, &[]),
    ]);
    let (rendered, warnings) = render(&mut bridge_renderer(&[]), &cluster);
    assert_eq!(warnings, []);
    let expected = "\
global
  daemon
  log 127.0.0.1 local0
  log 127.0.0.1 local1 notice
  maxconn 4096

defaults
  log            global
  retries             3
  maxconn          2000
  timeout connect  5000
  timeout client  50000
  timeout server  50000

listen stats
  bind 127.0.0.1:9090
  balance
  mode http
  stats enable
  stats auth admin:admin

listen idle-80
  bind 0.0.0.0:80
  mode tcp
  option tcplog
  balance leastconn

listen web-10001
  bind 0.0.0.0:10001
  mode tcp
  option tcplog
  balance leastconn
  server web-2 10.0.0.1:31000 check
  server web-1 a:31000 check
";
    assert_eq!(rendered.text(), expected);
}

#[test]
fn a_line_leads_back_to_its_owner() {
    let cluster = proxies(vec![listen("/b", 2, &["h"]), listen("/a", 1, &["h"])]);
    let (rendered, _) = render(&mut bridge_renderer(&[]), &cluster);
    let text = rendered.text();
    for (position, line) in text.lines().enumerate() {
        let owner = rendered
            .owner_of_line(position + 1)
            .map(|owner| owner.app.as_str());
        match line {
            "listen a-1" | "  server a-1 h:31000 check" => assert_eq!(owner, Some("/a")),
            "listen b-2" | "  server b-1 h:31000 check" => assert_eq!(owner, Some("/b")),
            "global" | "listen stats" => assert_eq!(owner, None),
            _ => (),
        }
    }
    assert_eq!(rendered.owner_of_line(text.lines().count() + 1), None);
}

#[test]
fn a_file_replaces_one_template_and_sees_the_public_names() {
    let text = "\nlisten {{ listen.name }} # {{ listen.app }} {{ listen.service_port }} v{{ context_version }}
  bind {{ listen.bind.address }}:{{ listen.bind.port }}
{%- for server in listen.servers %}
  server {{ server.name }} {{ server.host }} {{ server.port }} {{ server.address }}{% endfor %}";
    let cluster = proxies(vec![listen("/a/b", 80, &["h"]), listen("/c", 81, &[])]);
    let (rendered, _) = render(&mut bridge_renderer(&[own("listen.cfg", text)]), &cluster);
    let text = rendered.text();
    let sections = &text[text.find("\nlisten a_b").unwrap()..];
    assert_eq!(
        sections,
        "\nlisten a_b-80 # /a/b 80 v1\n  bind 0.0.0.0:80\n  server a_b-1 h 31000 h:31000\n\
         \nlisten c-81 # /c 81 v1\n  bind 0.0.0.0:81\n"
    );
}

#[test]
fn templates_that_cannot_be_used_are_named() {
    let unknown = Renderer::new(&site(&[own("liste.cfg", "")])).err().unwrap();
    let text = format!("{unknown:#}");
    assert!(
        text.contains("/t/liste.cfg.tera") && text.contains("listen.cfg.tera"),
        "{text}"
    );

    let broken = Renderer::new(&site(&[own("listen.cfg", "a\n{% if %}")]));
    let text = format!("{:#}", broken.err().unwrap());
    assert!(text.contains("/t/listen.cfg.tera:2"), "{text}");
}

#[test]
fn a_section_whose_template_fails_is_left_out_and_the_others_stand() {
    let text =
        "\nlisten {{ listen.name }}\n{% if listen.service_port == 80 %}{{ nobody }}{% endif %}";
    let cluster = proxies(vec![listen("/a", 80, &[]), listen("/b", 81, &[])]);
    let (rendered, warnings) = render(&mut bridge_renderer(&[own("listen.cfg", text)]), &cluster);
    assert!(rendered.text().contains("listen b-81"));
    assert!(!rendered.text().contains("listen a-80"));
    assert_eq!(warnings.len(), 1);
    let text = warnings[0].to_string();
    assert!(
        text.starts_with("app `/a`: service port 80: found template `listen.cfg` fails"),
        "{text}"
    );
    assert!(text.contains("nobody"), "{text}");
}

/// A cluster without apps would be served otherwise, with a warning for each.
#[test]
fn a_template_that_fails_for_every_section_fails_the_whole() {
    let cluster = proxies(vec![listen("/a", 80, &[]), listen("/b", 81, &[])]);
    let mut renderer = bridge_renderer(&[own("listen.cfg", "{{ nobody }}")]);
    let error = format!("{:#}", renderer.render(&cluster).err().unwrap());
    assert!(
        error.contains("nobody") && error.contains("/t/listen.cfg.tera:1"),
        "{error}"
    );
    assert!(renderer.render(&proxies(vec![])).is_ok());
}

#[test]
fn a_frame_that_fails_fails_the_whole_and_nothing_is_made_up() {
    let error = bridge_renderer(&[own("header.cfg", "{{ nobody }}")]).render(&proxies(vec![]));
    assert!(format!("{:#}", error.err().unwrap()).contains("nobody"));
}

#[test]
fn no_template_lets_a_control_character_through() {
    for set in [
        TemplateSet::Bridge,
        TemplateSet::MarathonLb,
        TemplateSet::Servicerouter,
    ] {
        for name in template_names(set) {
            let evil_template = own(name, "{{ evil }}");
            let engine = engine::Engine::new(set, &[evil_template]).unwrap();
            for evil in ["a\nb", "a\rb", "\u{0}", "\u{7f}", "a\tb"] {
                let mut context = Context::new();
                context.insert("evil", &evil);
                let error = engine.render(name, &context).err().unwrap().to_string();
                assert!(error.contains("control character"), "{name}: {error}");
            }
        }
    }
}

#[test]
fn an_unchanged_section_is_not_rendered_again() {
    let mut renderer = bridge_renderer(&[]);
    let cluster = proxies(vec![listen("/a", 80, &["h"]), listen("/b", 81, &["h"])]);
    let (first, _) = render(&mut renderer, &cluster);
    let changed = proxies(vec![
        listen("/a", 80, &["h"]),
        listen("/b", 81, &["h", "i"]),
    ]);
    let (second, _) = render(&mut renderer, &changed);
    assert!(Arc::ptr_eq(
        &first.chunks()[1].text,
        &second.chunks()[1].text
    ));
    assert!(!Arc::ptr_eq(
        &first.chunks()[2].text,
        &second.chunks()[2].text
    ));
    assert!(second.text().contains("server b-2 h:31000"));
}

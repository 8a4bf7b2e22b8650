use super::*;
use crate::cluster::Endpoint;

/// Answers from a table; a missing name does not exist, and "slow" never answers.
#[derive(Clone, Default)]
struct Table(BTreeMap<&'static str, Vec<IpAddr>>);

impl Lookup for Table {
    fn lookup(&self, name: &str) -> impl Future<Output = io::Result<Vec<IpAddr>>> + Send + 'static {
        let answer = self.0.get(name).cloned();
        let slow = name == "slow";
        async move {
            if slow {
                std::future::pending::<()>().await;
            }
            answer.ok_or_else(|| io::Error::other("no such name"))
        }
    }
}

fn ports(hosts: &[&str]) -> Vec<ServicePort> {
    let endpoints = hosts
        .iter()
        .map(|host| Endpoint {
            host: Host::new(host),
            port: 1,
            task: "t".into(),
            draining: false,
        })
        .collect();
    vec![ServicePort {
        app: AppId::new("/a"),
        index: 0,
        service_port: 80,
        last_config_change_at: None,
        endpoints,
    }]
}

fn shown(ports: &[ServicePort]) -> Vec<String> {
    hosts(ports).map(|(_, host)| host.to_string()).collect()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn resolver(table: &[(&'static str, &[&str])], known: &[(&str, &str)]) -> Resolver<Table> {
    let table = table
        .iter()
        .map(|(n, a)| (*n, a.iter().map(|a| ip(a)).collect()))
        .collect();
    let known = known
        .iter()
        .map(|(name, address)| ((*name).into(), ip(address)))
        .collect();
    Resolver::new(Table(table), known)
}

#[tokio::test(start_paused = true)]
async fn names_become_addresses_or_stay_as_the_caller_wants() {
    let table: &[(&str, &[&str])] = &[("h", &["::1", "10.0.0.2", "10.0.0.1"])];
    for (names, want) in [(Names::Numeric, "10.0.0.1"), (Names::Keep, "h")] {
        let mut ports = ports(&["h", "10.9.9.9"]);
        let warnings = resolver(table, &[]).resolve(&mut ports, names).await;
        assert_eq!(warnings, []);
        assert_eq!(shown(&ports), [want, "10.9.9.9"]);
    }
}

/// While a removal is held, an answer that lacks a name says nothing of it.
#[tokio::test(start_paused = true)]
async fn names_that_are_gone_are_forgotten_unless_what_they_stood_for_is_kept() {
    for (keeps, want) in [(false, vec![]), (true, vec!["10.0.0.7"])] {
        let mut resolver = resolver(&[], &[("gone", "10.0.0.7")]);
        for _ in 0..2 {
            // Twice, as where a removal is held and something else is gone, too.
            resolver.resolve(&mut [], Names::Numeric).await;
            resolver.resolve(&mut ports(&[]), Names::Numeric).await;
            if keeps {
                resolver.keep_dropped();
            } else {
                resolver.forget_dropped();
            }
            let known = resolver.known().clone();
            resolver = Resolver::new(Table::default(), known);
        }
        let mut ports = ports(&["gone"]);
        resolver.resolve(&mut ports, Names::Numeric).await;
        assert_eq!(shown(&ports), want);
    }
}

#[tokio::test(start_paused = true)]
async fn names_stay_beside_their_addresses() {
    let known = [("gone", "10.0.0.7")];
    let mut ports = ports(&["h", "gone", "never", "10.9.9.9"]);
    // A container has an address of its own, and nobody asks for that of its agent.
    let mut container = ports[0].endpoints[0].clone();
    container.host = Host::Resolved {
        name: "agent".into(),
        address: ip("10.1.1.1"),
    };
    ports[0].endpoints.push(container);
    let mut resolver = resolver(&[("h", &["fd00::1", "10.0.0.1"])], &known);
    let warnings = resolver.resolve(&mut ports, Names::Beside).await;
    let dialled: Vec<_> = hosts(&ports)
        .map(|(_, host)| (host.name(), host.address().unwrap().to_string()))
        .collect();
    let want = [
        (Some("h"), "10.0.0.1"),
        (Some("gone"), "10.0.0.7"),
        (None, "10.9.9.9"),
        (Some("agent"), "10.1.1.1"),
    ];
    assert_eq!(dialled, want.map(|(name, text)| (name, text.to_owned())));
    let subjects: Vec<_> = warnings.iter().map(|w| &*w.subject).collect();
    assert_eq!(subjects, ["host `gone`", "host `never`"]);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_never_resolved_is_left_out_with_one_warning() {
    for name in ["nowhere", "slow"] {
        let mut ports = ports(&[name, name, "10.0.0.1"]);
        let warnings = resolver(&[], &[]).resolve(&mut ports, Names::Keep).await;
        assert_eq!(shown(&ports), ["10.0.0.1"]);
        assert_eq!(warnings.len(), 1);
        let text = warnings[0].to_string();
        assert!(
            text.starts_with(&format!("host `{name}`: found no address (")),
            "{text}"
        );
        assert!(text.ends_with("; 2 servers of `/a` left out"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_stops_resolving_keeps_its_address() {
    let mut ports = ports(&["h"]);
    let mut resolver = resolver(&[], &[("h", "10.0.0.7"), ("unused", "10.0.0.8")]);
    let warnings = resolver.resolve(&mut ports, Names::Numeric).await;
    assert_eq!(shown(&ports), ["10.0.0.7"]);
    assert!(warnings[0].effect.contains("10.0.0.7"), "{}", warnings[0]);
    assert_eq!(resolver.known().len(), 1, "names out of use are forgotten");
}

#[tokio::test(start_paused = true)]
async fn many_names_that_do_not_resolve_are_one_warning_however_many_they_are() {
    let names: Vec<String> = (0..MOST_TOLD + 2).map(|n| format!("h{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(|name| &**name).collect();
    let known: Vec<(&str, &str)> = names.iter().map(|name| (*name, "10.0.0.7")).collect();
    let told = async |names: &[&str], known: &[(&str, &str)]| -> Vec<String> {
        let mut resolver = resolver(&[], known);
        let warnings = resolver.resolve(&mut ports(names), Names::Numeric).await;
        warnings.iter().map(Warning::to_string).collect()
    };
    for (known, effect) in [
        (&known[..], "their last known addresses stay in use"),
        (&[], "their servers left out"),
    ] {
        let want = format!(
            "host `h00` and at least 10 others: found no address (no such name), expected names \
             that resolve; {effect}"
        );
        assert_eq!(told(&names, known).await, [&*want]);
        assert_eq!(told(&names[..=MOST_TOLD], known).await, [&*want]);
        assert_eq!(told(&names[..MOST_TOLD], known).await.len(), MOST_TOLD);
    }
}

/// An answer that lacks an app is resolved before the guard puts the app back.
#[tokio::test(start_paused = true)]
async fn a_name_that_was_out_of_use_for_a_moment_keeps_its_address() {
    let mut resolver = resolver(&[], &[("h", "10.0.0.7")]);
    for _ in 0..2 {
        resolver.resolve(&mut ports(&[]), Names::Numeric).await;
        assert!(resolver.known().is_empty());
        let mut ports = ports(&["h"]);
        resolver.resolve(&mut ports, Names::Numeric).await;
        assert_eq!(shown(&ports), ["10.0.0.7"]);
    }
}

#[tokio::test(start_paused = true)]
async fn names_that_stopped_resolving_can_be_replaced_and_others_stay() {
    let mut resolver = resolver(&[("h", &["10.0.0.1"])], &[("gone", "10.0.0.7")]);
    let mut ports = ports(&["h", "gone", "never", "10.0.0.7"]);
    let _ = resolver.resolve(&mut ports, Names::Keep).await;
    assert_eq!(shown(&ports), ["h", "gone", "10.0.0.7"]);
    assert!(resolver.replace_stale(&mut ports));
    assert_eq!(shown(&ports), ["h", "10.0.0.7"]);
    assert!(!resolver.replace_stale(&mut ports));
}

#[tokio::test(start_paused = true)]
async fn more_names_than_lookups_at_once_are_all_resolved() {
    let names: Vec<String> = (0..AT_ONCE * 3).map(|n| format!("h{n}")).collect();
    let names: Vec<&'static str> = names.into_iter().map(|n| &*n.leak()).collect();
    let table: Vec<(&'static str, &[&str])> = names
        .iter()
        .map(|name| (*name, &["10.0.0.1"][..]))
        .collect();
    let mut ports = ports(&names);
    let warnings = resolver(&table, &[])
        .resolve(&mut ports, Names::Numeric)
        .await;
    assert_eq!(warnings, []);
    assert!(shown(&ports).iter().all(|host| host == "10.0.0.1"));
}

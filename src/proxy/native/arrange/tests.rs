use super::super::super::marathon_lb::Flavour;
use super::super::SlotRule;
use super::super::fixtures::service;
use super::*;

/// All that the shape of these tests asks for, with maps.
fn shape() -> Shape {
    Shape {
        maps: true,
        binds_http_https: true,
        https_by_vhost: false,
        ssl_certs: Vec::new(),
        settles_clashes: true,
        flavour: Flavour::Native,
        keeps_idle: false,
        accepts_proxy: false,
        closes_https: false,
        hidden_certificates: BTreeSet::new(),
        listable_certificates: Some(BTreeSet::new()),
        config: "haproxy.cfg".into(),
        default_backend: None,
        slots: SlotRule::default(),
        leads_by_name: false,
    }
}

/// One of `app`, at this position, with a weight and 50 hosts of its own.
fn weighty(app: &str, index: usize, from: u32) -> Arc<Service> {
    let mut service = service(app);
    let name = |nth: usize| format!("h{nth}.s{index}{}", app.replace('/', "."));
    service.index = index;
    service.owner.service_port = from + u32::try_from(index).unwrap();
    service.options = Arc::new(ServiceOptions {
        vhost: Some((0..50).map(name).collect::<Vec<_>>().join(",").into()),
        priority: Some(5),
        ..ServiceOptions::default()
    });
    Arc::new(service)
}

#[test]
fn the_rules_of_one_app_are_bounded_in_all_of_its_service_ports() {
    let told = |services: Vec<Arc<Service>>| {
        let (layout, warnings) = arrange(services, &shape(), &Incumbents::default());
        (layout.first.len(), warnings)
    };
    let of = |app, ports, from| (0..ports).map(move |index| weighty(app, index, from));
    let (rules, warnings) = told(of("/a", 4, 10_000).chain(of("/b", 4, 20_000)).collect());
    assert_eq!((rules, warnings), (400, vec![]));
    let services = of("/a", 500, 10_000).chain(of("/b", 2, 20_000)).collect();
    let (rules, warnings) = told(services);
    assert_eq!(rules, 300);
    let [warning] = &warnings[..] else {
        panic!("{warnings:?}");
    };
    assert_eq!(
        warning.to_string(),
        "app `/a`: label `HAPROXY_4_VHOST`: found 25000 pairs of host and path with `-i`, \
         HEADER, METHOD, BACKEND_WEIGHT or SNI_PASSTHROUGH, or more precise than such, in the \
         service ports of the app, expected at most 200 of one app; no request is led there on ports 80 and 443 for \
         service port 10004 and 495 behind it"
    );
    // Those that are no rules cost nobody anything.
    let plain = of("/a", 6, 10_000).map(|mut service| {
        let options = ServiceOptions::clone(&service.options);
        let options = ServiceOptions {
            priority: None,
            ..options
        };
        Arc::make_mut(&mut service).options = Arc::new(options);
        service
    });
    let (rules, warnings) = told(plain.collect());
    assert_eq!((rules, warnings), (0, vec![]));
}

/// They have to be tried before the rule, which no map can do.
#[test]
fn plain_places_beside_a_rule_of_the_app_are_bounded_with_it() {
    let with_path = |app: &str, index: usize, port: u32, path: &str| {
        let mut service = service(app);
        service.index = index;
        service.owner.service_port = port;
        service.options = Arc::new(ServiceOptions {
            path: Some(path.into()),
            ..ServiceOptions::default()
        });
        Arc::new(service)
    };
    let many = |begin: &str, count: usize| {
        let paths = (0..count).map(|nth| format!("{begin}{nth}"));
        paths.collect::<Vec<_>>().join(" ")
    };
    let told = |services: Vec<Arc<Service>>| {
        let (layout, warnings) = arrange(services, &shape(), &Incumbents::default());
        let told = warnings.into_iter().map(|w| (w.subject, w.effect));
        (layout.paths.len(), told.collect::<Vec<_>>())
    };
    let rule = |index, port| with_path("/a", index, port, "-i /p");
    let places = |index, port, count| with_path("/a", index, port, &many("/p/", count));
    let effect =
        |port: &str| format!("no request is led there on ports 80 and 443 for service port {port}");
    assert_eq!(told(vec![rule(0, 1), places(1, 2, 199)]), (200, vec![]));
    // The later service port gets none, whichever it is.
    assert_eq!(
        told(vec![rule(0, 1), places(1, 2, 200)]),
        (1, vec![("label `HAPROXY_1_PATH`".to_owned(), effect("2"))])
    );
    assert_eq!(
        told(vec![places(0, 1, 200), rule(1, 2)]),
        (0, vec![("label `HAPROXY_1_PATH`".to_owned(), effect("2"))])
    );
    // Neither places elsewhere nor other apps count: nobody pays for what others say.
    let elsewhere = with_path("/a", 1, 2, &many("/q/", 500));
    assert_eq!(told(vec![rule(0, 1), elsewhere]), (1, vec![]));
    let other = with_path("/b", 0, 2, &many("/p/", 300));
    assert_eq!(told(vec![rule(0, 1), other]), (301, vec![]));
}

/// Whoever comes while the port is closed is yet to be looked at by the side of others.
#[test]
fn a_certificate_that_comes_while_port_443_is_closed_is_not_remembered() {
    let certified = |app: &str, port: u32| {
        let mut service = service(app);
        service.owner.service_port = port;
        service.options = Arc::new(ServiceOptions {
            ssl_cert: Some(format!("{app}.pem").into()),
            vhost: Some(format!("{}.test", &app[1..]).into()),
            ..ServiceOptions::default()
        });
        Arc::new(service)
    };
    let before = Incumbents {
        certificates: vec!["/b.pem".into(), "/gone.pem".into()],
        ..Incumbents::default()
    };
    for (closes_https, shown, known) in [
        (true, &[][..], &["/b.pem"][..]),
        (false, &["/b.pem", "/a.pem"], &["/b.pem", "/a.pem"]),
    ] {
        let shape = Shape {
            closes_https,
            ..shape()
        };
        let services = vec![certified("/a", 1), certified("/b", 2)];
        let (layout, warnings) = arrange(services, &shape, &before);
        let found = |paths: &[Box<str>]| {
            let paths = paths.iter().map(ToString::to_string);
            paths.collect::<Vec<_>>()
        };
        assert_eq!(found(&layout.certificates), shown, "{warnings:?}");
        assert_eq!(found(&layout.certificates_in_order), known);
    }
}

/// It is the second of the one and the first of the other.
#[test]
fn a_certificate_that_two_apps_bring_counts_for_whom_it_counts_most() {
    let certified = |app: &str, port: u32, certificate: &str| {
        let mut service = service(app);
        service.owner.service_port = port;
        service.options = Arc::new(ServiceOptions {
            ssl_cert: Some(certificate.into()),
            vhost: Some(format!("h{port}.test").into()),
            ..ServiceOptions::default()
        });
        Arc::new(service)
    };
    let mut services = vec![
        certified("/a", 1, "a.pem"),
        certified("/a", 2, "both.pem"),
        certified("/b", 3, "both.pem"),
    ];
    // With these there are two more than there is room for.
    services
        .extend((4..=32).map(|port| certified(&format!("/c{port}"), port, &format!("{port}.pem"))));
    let (layout, warnings) = arrange(services, &shape(), &Incumbents::default());
    let shows = |path: &str| layout.certificates.iter().any(|shown| **shown == *path);
    assert!(
        shows("a.pem") && shows("both.pem"),
        "{:?}",
        layout.certificates
    );
    assert_eq!(layout.certificates.len(), 29);
    let untold = warnings
        .iter()
        .filter(|w| w.effect == "not shown on port 443");
    assert_eq!(untold.count(), 2, "{warnings:?}");
}

/// Nothing of what grows with their product is made.
#[test]
fn hosts_times_paths_without_end_make_nothing() {
    let named = |nth: usize| format!("h{nth}.test");
    let hosts: Vec<String> = (0..300).map(named).collect();
    let paths: Vec<String> = (0..300).map(|nth| format!("/p{nth}")).collect();
    let asking = |name: &str, paths: String| {
        let mut asking = service(name);
        asking.options = Arc::new(ServiceOptions {
            vhost: Some(hosts.join(",").into()),
            path: Some(paths.into()),
            ..ServiceOptions::default()
        });
        Arc::new(asking)
    };
    let services = [
        asking("/a", paths.join(" ")),
        asking("/b", format!("-i {}", paths.join(" "))),
        asking("/c", paths[..3].join(" ")),
    ];
    for maps in [true, false] {
        let shape = Shape { maps, ..shape() };
        let own = services.iter().zip(10_000..).map(|(service, port)| {
            let mut service = Service::clone(service);
            service.owner.service_port = port;
            Arc::new(service)
        });
        let (layout, warnings) = arrange(own.collect(), &shape, &Incumbents::default());
        assert_eq!(layout.holders.len(), 900);
        let rows = layout.maps.get(super::super::PATH_MAP);
        assert_eq!(rows.map_or(0, Vec::len) + layout.first.len(), 900);
        let apps: Vec<&str> = warnings
            .iter()
            .filter(|warning| warning.found == "90000 pairs of host and path")
            .filter_map(|warning| warning.app.as_ref())
            .map(AppId::as_str)
            .collect();
        assert_eq!((warnings.len(), apps), (2, vec!["/a", "/b"]));
    }
}

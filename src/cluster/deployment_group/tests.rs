use super::labels::date;
use super::*;
use crate::cluster::{CheckTarget, HealthResult, Network, fixtures};

fn task(id: &str, alive: Option<bool>) -> Task {
    let result = |alive| {
        vec![HealthResult {
            alive,
            consecutive_failures: 0,
        }]
    };
    Task {
        health: alive.map(result),
        ..fixtures::task(id, &[1])
    }
}

/// An app of the group `g` with tasks `<id>1`, `<id>2` ….
fn app(id: &str, count: usize, labels: &[(&str, &str)]) -> App {
    let mut labels: BTreeMap<Box<str>, Box<str>> = labels
        .iter()
        .map(|(name, text)| ((*name).into(), (*text).into()))
        .collect();
    labels.insert(GROUP.into(), "g".into());
    App {
        labels,
        instances: count as u64,
        tasks: (1..=count)
            .rev()
            .map(|n| task(&format!("{id}{n}"), None))
            .collect(),
        ..fixtures::app(id, Network::Host)
    }
}

fn checked(mut app: App) -> App {
    app.health_checks = vec![fixtures::check(CheckTarget::Index(0))];
    app
}

/// `id: tasks`, with a `-` behind those that drain.
fn merged(apps: Vec<App>) -> (Vec<String>, Vec<Warning>) {
    let apps: Vec<Arc<App>> = apps.into_iter().map(Arc::new).collect();
    shown(merge(&apps, Members::OfAll))
}

/// The same where only apps of one folder are a deployment.
fn of_folders(apps: Vec<App>) -> (Vec<String>, Vec<String>) {
    let apps: Vec<Arc<App>> = apps.into_iter().map(Arc::new).collect();
    let (apps, warnings) = shown(merge(&apps, Members::OfFolder));
    (apps, warnings.iter().map(ToString::to_string).collect())
}

fn shown(merged: Merged) -> (Vec<String>, Vec<Warning>) {
    let shown = |app: &Arc<App>| {
        let task = |t: &Task| format!(" {}{}", t.id, if t.draining { "-" } else { "" });
        let tasks: String = app.tasks.iter().map(task).collect();
        format!("{}:{tasks}", app.id)
    };
    (merged.apps.iter().map(shown).collect(), merged.warnings)
}

fn of(apps: Vec<App>) -> String {
    let (apps, warnings) = merged(apps);
    assert_eq!(warnings, []);
    apps.join("; ")
}

const EARLY: (&str, &str) = (STARTED_AT, "2017-01-01T00:00:00");
const LATE: (&str, &str) = (STARTED_AT, "2017-01-02T00:00:00.5");

#[test]
fn apps_alone_stand_first_and_a_group_where_it_first_appeared() {
    let alone = |id| {
        let mut app = app(id, 0, &[]);
        app.labels.clear();
        app
    };
    let mut pathed = app("/p", 0, &[]);
    pathed.labels.insert(GROUP.into(), "/a/g".into());
    assert_eq!(
        of(vec![app("/b", 0, &[]), alone("/z"), pathed]),
        "/z:; /g:; /a/g:"
    );
}

#[test]
fn a_group_without_a_name_or_with_that_of_an_app_is_told_of() {
    let mut nameless = app("/n", 1, &[]);
    nameless.labels.insert(GROUP.into(), "".into());
    let mut namesake = app("/g", 1, &[]);
    namesake.labels.clear();
    let (apps, warnings) = merged(vec![nameless, namesake, app("/b", 1, &[])]);
    assert_eq!(apps, ["/n: /n1", "/g: /g1"]);
    let told: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert!(told[0].starts_with("app `/n`: label `HAPROXY_DEPLOYMENT_GROUP`: found no text"));
    assert!(told[1].contains("also the id of an app"), "{}", told[1]);
}

#[test]
fn the_earlier_one_is_drained_as_far_as_the_later_one_is_ready() {
    for apps in [
        vec![app("b", 2, &[EARLY]), app("g", 2, &[LATE])],
        vec![app("g", 2, &[LATE]), app("b", 2, &[EARLY])],
    ] {
        assert_eq!(of(apps), "/g: b1- b2- g2 g1");
    }
    assert_eq!(
        of(vec![app("b", 3, &[EARLY]), app("g", 1, &[LATE])]),
        "/g: b1- b2 b3 g1"
    );
}

#[test]
fn without_a_date_an_app_is_old_and_of_equals_the_later_listed_is() {
    assert_eq!(
        of(vec![app("b", 1, &[]), app("g", 1, &[LATE])]),
        "/g: b1- g1"
    );
    assert_eq!(
        of(vec![app("b", 1, &[EARLY]), app("g", 1, &[EARLY])]),
        "/g: g1- b1"
    );
}

#[test]
fn only_what_exceeds_the_target_is_drained() {
    let new = |count, target| {
        app(
            "g",
            count,
            &[LATE, (NEW_INSTANCES, "0"), (TARGET_INSTANCES, target)],
        )
    };
    assert_eq!(
        of(vec![app("b", 3, &[EARLY]), new(1, "3")]),
        "/g: b1- b2 b3 g1"
    );
    assert_eq!(
        of(vec![app("b", 4, &[EARLY]), new(2, "6")]),
        "/g: b1 b2 b3 b4 g2 g1"
    );
    assert_eq!(
        of(vec![app("b", 2, &[EARLY]), new(2, "9")]),
        "/g: b1 b2 g2 g1"
    );
}

#[test]
fn an_old_app_that_was_scaled_later_is_the_new_one() {
    let scaled = |mut app: App, at: &str| {
        app.last_scaling_at = Some(at.into());
        app
    };
    let labels = [(NEW_INSTANCES, "0"), (TARGET_INSTANCES, "2")];
    let old = app("b", 2, &[EARLY, labels[0], labels[1]]);
    let new = app("g", 2, &[LATE, labels[0], labels[1]]);
    let got = of(vec![scaled(old, "2017-08-02"), scaled(new, "2017-08-01")]);
    assert_eq!(got, "/g: g1- g2- b2 b1");
}

#[test]
fn where_health_is_checked_only_living_tasks_are_ready() {
    let new = |alive: [Option<bool>; 2]| {
        let mut app = checked(app("g", 2, &[LATE]));
        app.tasks = vec![task("g1", alive[0]), task("g2", alive[1])];
        app
    };
    let pair = |alive| of(vec![app("b", 2, &[EARLY]), new(alive)]);
    assert_eq!(pair([Some(true), Some(false)]), "/g: b1- b2 g1 g2");
    assert_eq!(pair([None, None]), "/g: b1 b2 g1 g2");
}

#[test]
fn a_third_app_meets_the_first_two_as_one() {
    let third = (STARTED_AT, "2017-01-03T00:00:00Z");
    let apps = vec![
        app("b", 1, &[EARLY]),
        app("g", 1, &[LATE]),
        app("r", 1, &[third]),
    ];
    assert_eq!(of(apps), "/g: b1- g1 r1");
}

#[test]
fn merging_again_adds_nobody() {
    let apps = [app("b", 2, &[EARLY]), app("g", 2, &[LATE])].map(Arc::new);
    let once = merge(&apps, Members::OfAll).apps;
    let twice = merge(&once, Members::OfAll).apps;
    assert_eq!(once, twice);
}

#[test]
fn a_label_that_cannot_be_read_drains_nobody_and_is_named() {
    let bad_date = app("g", 1, &[(STARTED_AT, "yesterday")]);
    let no_target = app("g", 1, &[LATE, (NEW_INSTANCES, "0")]);
    let bad_target = app(
        "g",
        1,
        &[LATE, (NEW_INSTANCES, "0"), (TARGET_INSTANCES, "x")],
    );
    for (new, told) in [
        (
            bad_date,
            "label `HAPROXY_DEPLOYMENT_STARTED_AT`: found `yesterday`",
        ),
        (
            no_target,
            "label `HAPROXY_DEPLOYMENT_TARGET_INSTANCES`: found none",
        ),
        (
            bad_target,
            "label `HAPROXY_DEPLOYMENT_TARGET_INSTANCES`: found `x`",
        ),
    ] {
        let (apps, warnings) = merged(vec![app("b", 2, &[EARLY]), new]);
        assert_eq!(apps, ["/g: b1 b2 g1"]);
        assert_eq!(warnings[0].app, Some(AppId::new("g")), "not the group");
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].to_string().contains(told), "{}", warnings[0]);
        assert_eq!(
            warnings[0].app,
            Some(AppId::new("g")),
            "the app, not the group"
        );
    }
}

/// marathon-lb told of none that it did not need.
#[test]
fn of_a_folder_what_is_not_needed_yet_is_told_of_too() {
    let alone = |labels: &[(&str, &str)], group: Option<&str>| {
        let mut app = app("/a", 1, labels);
        app.labels.remove(GROUP);
        app.labels
            .extend(group.map(|group| (GROUP.into(), group.into())));
        app
    };
    let needed = "not used: where it is needed, nobody is drained";
    let no_group = "not used: the app is of no deployment";
    for (label, text, group, told) in [
        (STARTED_AT, "yesterday", Some("g"), needed),
        (STARTED_AT, "yesterday", None, no_group),
        (TARGET_INSTANCES, "many", Some("g"), needed),
        (TARGET_INSTANCES, "many", None, no_group),
        (
            NEW_INSTANCES,
            "-5",
            Some("g"),
            "the number is not used, only that there is one",
        ),
    ] {
        let (_, warnings) = of_folders(vec![alone(&[(label, text)], group)]);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        let start = format!("app `/a`: label `{label}`: found `{text}`, expected ");
        assert!(warnings[0].starts_with(&start), "{}", warnings[0]);
        assert!(warnings[0].ends_with(told), "{}", warnings[0]);
        let (_, warnings) = merged(vec![alone(&[(label, text)], group)]);
        assert_eq!(warnings, []);
    }
    // What a pair is told of is not told twice.
    let bad = app("/b", 1, &[(STARTED_AT, "yesterday")]);
    let (_, warnings) = of_folders(vec![app("/a", 1, &[EARLY]), bad]);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let good = [LATE, (NEW_INSTANCES, "0"), (TARGET_INSTANCES, "1_0")];
    assert_eq!(of_folders(vec![app("/a", 1, &good)]).1, [""; 0]);
}

#[test]
fn whoever_has_a_bad_label_is_named_wherever_it_is_listed() {
    let bad = || app("/bad", 1, &[(STARTED_AT, "yesterday")]);
    let good = |id| app(id, 1, &[LATE]);
    for (apps, named) in [
        (vec![bad(), good("/good")], vec!["/bad"]),
        (vec![good("/good"), bad()], vec!["/bad"]),
        // What came of the first two bears the definition of the one that was listed first.
        (
            vec![bad(), good("/good"), good("/third")],
            vec!["/bad", "/bad"],
        ),
        // What came of the first two bears the definition of the older.
        (
            vec![good("/new"), app("/old", 1, &[EARLY]), bad()],
            vec!["/bad"],
        ),
    ] {
        let (_, warnings) = merged(apps);
        let apps: Vec<_> = warnings.iter().filter_map(|w| w.app.as_ref()).collect();
        assert_eq!(
            apps.iter().map(|app| app.as_str()).collect::<Vec<_>>(),
            named
        );
    }
}

#[test]
fn dates_are_rfc_3339_or_iso_in_utc_and_nothing_else() {
    let utc = date("2015-10-06T10:08:28.123456").unwrap();
    assert_eq!(date("2015-10-06T10:08:28.123456Z"), Some(utc));
    assert_eq!(date("2015-10-06T12:08:28.123456+02:00"), Some(utc));
    assert_eq!(date("2015-10-06 10:08:28.123456"), Some(utc));
    for text in [
        "",
        "2015-10-06",
        "Oct 6 2015",
        "20151006T100828",
        "2015-13-06T10:08:28",
    ] {
        assert_eq!(date(text), None, "{text}");
    }
}

/// An app that names this deployment; none, where it is empty.
fn naming(id: &str, group: &str, labels: &[(&str, &str)]) -> App {
    let mut app = app(id, 1, labels);
    app.labels.remove(GROUP);
    if !group.is_empty() {
        app.labels.insert(GROUP.into(), group.into());
    }
    app
}

#[test]
fn a_name_is_one_of_the_folder_and_a_path_has_to_lie_there() {
    let (apps, told) = of_folders(vec![
        naming("/a/blue", "web", &[EARLY]),
        naming("/a/green", "/a/web", &[LATE]),
        naming("/blue", "b/web", &[EARLY]),
        naming("/b-blue", "front", &[EARLY]),
        naming("/b-green", "/front", &[LATE]),
    ]);
    assert_eq!(
        apps,
        [
            "/blue: /blue1",
            "/a/web: /a/blue1- /a/green1",
            "/front: /b-blue1- /b-green1",
        ]
    );
    let want = "app `/blue`: label `HAPROXY_DEPLOYMENT_GROUP`: found `/b/web`, which lies in folder \
                `/b`, expected a name in folder `/`; served as an app of its own";
    assert_eq!(told, [want]);
}

#[test]
fn nobody_joins_or_drains_a_deployment_of_another_folder() {
    let (apps, told) = of_folders(vec![
        naming("/evil/x", "/shop/web", &[LATE]),
        naming("/evil/y", "web", &[LATE]),
        naming("/shop/blue", "web", &[EARLY]),
        naming("/shop/below/green", "/shop/web", &[LATE]),
    ]);
    assert_eq!(
        apps,
        [
            "/evil/x: /evil/x1",
            "/shop/below/green: /shop/below/green1",
            "/evil/web: /evil/y1",
            "/shop/web: /shop/blue1",
        ]
    );
    let told: Vec<&str> = told.iter().map(String::as_str).collect();
    let other = |app: &str, folder: &str| {
        format!(
            "app `{app}`: label `HAPROXY_DEPLOYMENT_GROUP`: found `/shop/web`, a deployment of folder \
             `/shop`, to which app `/shop/blue` belongs, expected a name in folder `{folder}`; served \
             as an app of its own"
        )
    };
    assert_eq!(
        told,
        [
            &*other("/evil/x", "/evil"),
            &*other("/shop/below/green", "/shop/below"),
            "app `/shop/blue`: label `HAPROXY_DEPLOYMENT_GROUP`: found `web` in folder `/shop`, which \
         app `/evil/y` in folder `/evil` names too, expected apps of one folder: only those are one \
         deployment; each folder is served on its own",
        ]
    );
}

/// Each is whole: nothing is to be complained of.
#[test]
fn deployments_of_one_name_in_two_folders_are_no_fault() {
    let pairs = ["/a/blue", "/b/blue"].map(|id| naming(id, "web", &[EARLY]));
    let others = ["/a/green", "/b/green"].map(|id| naming(id, "web", &[LATE]));
    let mut all = pairs.to_vec();
    all.extend(others);
    let (apps, told) = of_folders(all.clone());
    assert_eq!(
        apps,
        ["/a/web: /a/blue1- /a/green1", "/b/web: /b/blue1- /b/green1"]
    );
    assert!(told.is_empty(), "{told:?}");
    // Who is alone may have meant the apps elsewhere.
    all.insert(0, naming("/0/red", "web", &[LATE]));
    let (_, told) = of_folders(all);
    assert_eq!(told.len(), 1, "{told:?}");
    let begin = "app `/0/red`: label `HAPROXY_DEPLOYMENT_GROUP`: found `web` in folder `/0`, which app \
                 `/a/blue` in folder `/a` names too";
    assert!(told[0].starts_with(begin), "{told:?}");
}

#[test]
fn a_group_of_a_folder_with_the_id_of_an_app_is_served_as_its_apps() {
    let (apps, told) = of_folders(vec![
        naming("/a/web", "", &[]),
        naming("/a/blue", "web", &[EARLY]),
        naming("/a/green", "web", &[LATE]),
        // Its name is that of an app that is served on its own now.
        naming("/a/x", "blue", &[LATE]),
        naming("/a/y", "other", &[LATE]),
    ]);
    assert_eq!(
        apps,
        [
            "/a/web: /a/web1",
            "/a/blue: /a/blue1",
            "/a/green: /a/green1",
            "/a/x: /a/x1",
            "/a/other: /a/y1",
        ]
    );
    let told: Vec<&str> = told.iter().map(String::as_str).collect();
    assert_eq!(
        told,
        [
            "app `/a/blue`: label `HAPROXY_DEPLOYMENT_GROUP`: found `/a/web`, which is the id of an app \
         that is none of the deployment, expected a name that no other app bears; this app and 1 \
         more of the deployment are served on their own",
            "app `/a/x`: label `HAPROXY_DEPLOYMENT_GROUP`: found `/a/blue`, which is the id of an app \
         that is none of the deployment, expected a name that no other app bears; served as an app \
         of its own",
        ]
    );
}

/// Sections of `/x_web` and of `/x/web` have one name, by which it is known who holds a port.
#[test]
fn a_deployment_of_a_folder_has_a_name_as_apps_have_and_none_of_another() {
    for (group, found) in [
        ("x_web", "x_web"),
        ("b x", "b x"),
        ("x\napp", "x\\napp"),
        ("/", "/"),
        ("//x", "//x"),
        ("x/", "x/"),
        ("a//b", "a//b"),
    ] {
        let (apps, told) = of_folders(vec![naming("/evil", group, &[]), naming("/x/web", "", &[])]);
        assert_eq!(apps, ["/evil: /evil1", "/x/web: /x/web1"]);
        let want = format!(
            "app `/evil`: label `HAPROXY_DEPLOYMENT_GROUP`: found `{found}`, expected a name of \
             letters, digits, `.` and `-`, or with that the id of an app in the same folder; served \
             as an app of its own"
        );
        assert_eq!(told, [want]);
    }
}

#[test]
fn names_that_several_folders_have_deployments_of_are_known_with_an_app_of_each() {
    let all = |ids: &[&str]| {
        let apps: Vec<Arc<App>> = ids.iter().map(|id| Arc::new(app(id, 1, &[]))).collect();
        let shared = shared_names(&apps);
        let shown = shared.iter().map(|(name, firsts)| {
            let firsts: Vec<&str> = firsts.iter().map(AppId::as_str).collect();
            format!("{name}: {}", firsts.join(" "))
        });
        shown.collect::<Vec<_>>()
    };
    assert_eq!(
        all(&["/a/two", "/a/one", "/b/x", "/b/y"]),
        ["g: /a/one /b/x"]
    );
    // Of others `merge` warns.
    assert_eq!(all(&["/a/one", "/a/two", "/b/x"]), [""; 0]);
    assert_eq!(all(&["/a/one", "/a/two"]), [""; 0]);
}

use super::*;
use crate::config::Credentials;

const FILE: (&str, &str) = ("auth-credentials-file", "/some/credentials");
const PLAIN: (&str, &str) = ("auth-credentials", "ann:plain");
const ACCOUNT: (&str, &str) = ("dcos-auth-credentials", "{}");

/// As `user:password`, or the text of a service account.
fn shown(credentials: Option<&Credentials>) -> String {
    match credentials {
        None => "nobody".to_owned(),
        Some(Credentials::Basic { user, password }) => {
            format!("{}:{}", user.expose(), password.expose())
        }
        Some(Credentials::ServiceAccount(json)) => json.expose().to_owned(),
    }
}

#[test]
fn a_file_wins_over_plain_sight_over_a_service_account_and_a_stronger_place_over_all() {
    for (flags, environment, who) in [
        (&[][..], &[][..], "nobody"),
        (&[FILE, PLAIN, ACCOUNT], &[], "joe:s3cret"),
        (&[PLAIN, ACCOUNT], &[], "ann:plain"),
        (&[ACCOUNT], &[], "{}"),
        (
            &[ACCOUNT],
            &[("HMB_AUTH_CREDENTIALS_FILE", "/some/credentials")],
            "{}",
        ),
        (&[], &[("HMB_AUTH_CREDENTIALS", "eve:e")], "eve:e"),
        // Only marathon-lb's command line knows this one.
        (
            &[],
            &[("DCOS_SERVICE_ACCOUNT_CREDENTIAL", "{\"uid\": 1}")],
            "nobody",
        ),
    ] {
        let flags: Vec<_> = [M1].iter().chain(flags).copied().collect();
        let given = Given {
            flags: &flags,
            environment,
            ..Given::default()
        };
        let config = given.config();
        assert_eq!(shown(config.marathon.credentials.as_ref()), who);
    }
}

#[test]
fn the_first_line_of_the_file_counts_and_an_empty_one_means_nobody() {
    for (text, who) in [
        ("joe:pw", "joe:pw"),
        ("joe:pw\r\nann:x\n", "joe:pw"),
        ("joe:p:w\n", "joe:p:w"),
        ("joe: p w \n", "joe: p w"),
        ("", "nobody"),
        ("\nann:x\n", "nobody"),
    ] {
        let given = Given {
            flags: &[M1, FILE, PLAIN],
            credentials: Some(text),
            ..Given::default()
        };
        let config = given.config();
        assert_eq!(shown(config.marathon.credentials.as_ref()), who, "{text:?}");
    }
    let without_colon = Given {
        flags: &[M1, FILE],
        credentials: Some("s3cret"),
        ..Given::default()
    };
    assert_eq!(
        without_colon.mistakes(),
        ["/some/credentials: expected USER:PASSWORD in the first line"]
    );
    let missing = Given {
        flags: &[M1, ("auth-credentials-file", "/none")],
        ..Given::default()
    };
    assert_eq!(
        missing.mistakes(),
        ["/none: cannot be read as the file of credentials: entity not found"]
    );
}

#[test]
fn credentials_are_shown_nowhere() {
    for (name, text) in [
        ("auth-credentials", "s3cret:s3cret"),
        ("auth-credentials", "s3cret"),
        ("dcos-auth-credentials", "{\"uid\": \"s3cret\"}"),
        ("dcos-auth-credentials", "s3cret"),
        ("auth-credentials-file", "/some/credentials"),
    ] {
        let variable = option::named(name).unwrap().variable();
        let key = format!("{name} = '{text}'");
        let broken = format!("{name} = {text}");
        let list = Some("m1");
        for given in [
            Given {
                flags: &[(name, text)],
                list,
                ..Given::default()
            },
            Given {
                environment: &[(&variable, text)],
                list,
                ..Given::default()
            },
            Given {
                file: Some(&key),
                list,
                ..Given::default()
            },
            Given {
                file: Some(&broken),
                list,
                ..Given::default()
            },
        ] {
            let said = match given.build() {
                Ok(built) => format!("{built:?}"),
                Err(mistakes) => format!("{mistakes} {mistakes:?}"),
            };
            assert!(!said.contains("s3cret"), "{name}: {said}");
        }
        let mut layer = Layer::default();
        let option = option::named(name).unwrap();
        layer.add(option, text.to_owned(), Origin::Flag);
        assert!(!format!("{layer:?}").contains("s3cret"));
    }
}

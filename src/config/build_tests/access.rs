use super::*;
use crate::config::Credentials;

const FILE: (&str, &str) = ("auth-credentials-file", "/example/password");
const TOKEN: (&str, &str) = ("auth-token-file", "/example/token");
const ACCOUNT: (&str, &str) = ("dcos-auth-credentials-file", "/example/account");

fn credentials(given: &Given<'_>) -> Credentials {
    given.config().marathon.credentials
}

#[test]
fn credentials_come_from_the_strongest_place_that_has_any() {
    let joe = Credentials::from_user_pass("joe:s3cret").unwrap();
    let ann = Credentials::from_user_pass("ann:pw").unwrap();
    let token = Credentials::from_token("s3cret").unwrap();
    let in_environment = &[("HMB_AUTH_CREDENTIALS", "ann:pw")];
    let in_file = "auth-token-file = \"/example/token\"\n";
    let given = |flags| Given {
        flags,
        environment: in_environment,
        file: Some(in_file),
        ..Given::default()
    };
    assert_eq!(credentials(&given(&[M1, FILE])), joe);
    assert_eq!(credentials(&given(&[M1])), ann);
    let only_file = Given {
        environment: &[],
        ..given(&[M1])
    };
    assert_eq!(credentials(&only_file), token);
    let none = Given {
        file: None,
        ..only_file
    };
    assert_eq!(credentials(&none), Credentials::None);
    let account = credentials(&given(&[M1, ACCOUNT]));
    assert!(matches!(account, Credentials::Dcos(_)), "{account:?}");
}

#[test]
fn one_place_gives_one_kind() {
    let given = Given {
        flags: &[M1, TOKEN, FILE],
        ..Given::default()
    };
    assert_eq!(
        given.mistakes(),
        [
            "`auth-credentials-file` and `auth-token-file` are given side by side, expected one of \
             them"
        ]
    );
    let given = Given {
        flags: &[M1, ("marathon-client-key", "/key.pem")],
        ..Given::default()
    };
    assert_eq!(
        given.mistakes(),
        ["`marathon-client-key` is given without `marathon-client-cert`, expected both"]
    );
}

#[test]
fn what_is_wrong_with_a_file_is_told_without_its_content() {
    let secrets = &[
        ("/none", "\njoe:s3cret\n", 0o600),
        ("/word", "s3cret\n", 0o600),
        ("/words", "s3cret s3cret\n", 0o600),
        ("/object", "{\"uid\":\"s3cret\"}", 0o600),
    ];
    for (option, path, told) in [
        (FILE.0, "/gone", "`/gone` cannot be read: entity not found"),
        (
            FILE.0,
            "/none",
            "found an empty first line in `/none`, expected user:password",
        ),
        (
            FILE.0,
            "/word",
            "`/word`: found no colon, expected user:password",
        ),
        (
            TOKEN.0,
            "/words",
            "`/words`: found blanks or characters beyond ASCII, expected a token without blanks",
        ),
        (
            ACCOUNT.0,
            "/object",
            "`/object`: found no `private_key`, expected the JSON of a DC/OS service account with \
             uid, private_key and login_endpoint",
        ),
    ] {
        let given = Given {
            flags: &[M1, (option, path)],
            secrets,
            ..Given::default()
        };
        assert_eq!(given.mistakes(), [format!("option `--{option}`: {told}")]);
    }
    let variable = Given {
        flags: &[M1],
        environment: &[("HMB_AUTH_CREDENTIALS", "s3cret")],
        ..Given::default()
    };
    assert_eq!(
        variable.mistakes(),
        ["environment variable `HMB_AUTH_CREDENTIALS`: found \"***\", expected user:password"]
    );
}

#[test]
fn a_secret_that_everybody_can_read_is_told_once_with_its_mode() {
    let secrets = &[
        ("/password", "joe:s3cret\n", 0o100_644),
        ("/key.pem", "s3cret", 0o604),
        ("/group", "joe:s3cret\n", 0o640),
    ];
    let warnings = |flags| {
        let given = Given {
            flags,
            secrets,
            ..Given::default()
        };
        given.build().unwrap().warnings
    };
    let told = |path: &str, mode: &str| {
        format!(
            "`{path}` holds a secret and has mode {mode}, so that everybody on this host can read \
             it; expected 0600"
        )
    };
    assert_eq!(
        warnings(&[M1, (FILE.0, "/password")]),
        [told("/password", "0644")]
    );
    let toml = Given {
        flags: &[M1],
        secrets: &[(DEFAULT_FILE, "auth-credentials = \"joe:s3cret\"", 0o644)],
        ..Given::default()
    };
    assert_eq!(toml.build().unwrap().warnings, [told(DEFAULT_FILE, "0644")]);
    assert_eq!(
        warnings(&[
            M1,
            ("marathon-client-cert", "/c.pem"),
            ("marathon-client-key", "/key.pem")
        ]),
        [told("/key.pem", "0604")]
    );
    assert_eq!(warnings(&[M1, (FILE.0, "/group")]), [""; 0]);
}

#[test]
fn who_asks_no_marathon_needs_no_permission_to_read_passwords() {
    let gone = ("auth-credentials-file", "/gone");
    let saved = Given {
        flags: &[("marathon", "file:apps.json"), gone],
        ..Given::default()
    };
    assert_eq!(credentials(&saved), Credentials::None);
    let status = Given {
        flags: &[gone],
        needs_no_marathon: true,
        ..Given::default()
    };
    assert_eq!(credentials(&status), Credentials::None);
}

#[test]
fn the_secret_of_a_variable_is_shown_nowhere() {
    let given = Given {
        flags: &[M1],
        environment: &[("HMB_AUTH_CREDENTIALS", "joe:s3cret")],
        ..Given::default()
    };
    assert!(!format!("{:?}", given.build().unwrap()).contains("s3cret"));
    let mut layer = Layer::default();
    let option = option::named("auth-credentials").unwrap();
    layer.add(option, "joe:s3cret".to_owned(), Origin::Environment);
    let shown = format!("{layer:?}");
    assert!(
        !shown.contains("s3cret") && shown.contains("***"),
        "{shown}"
    );
}

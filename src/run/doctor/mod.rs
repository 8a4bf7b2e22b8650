//! `doctor`: what of this host keeps HAProxy from being kept in step, and what mends it. Nothing is
//! changed.

mod access;
mod crontabs;
mod look;
mod turns;

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use serde::Serialize;

use super::{configured_on, passed_over, print, wrong_values};
use crate::config::{self, Request, System};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Grade {
    /// As it should be.
    Ok,
    /// It may be meant so.
    Note,
    /// It keeps something from working.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
struct Finding {
    /// Of what; the same word in every version.
    about: &'static str,
    grade: Grade,
    says: String,
    /// What mends it, to be typed as it stands where it is a command.
    fix: Option<String>,
}

impl Finding {
    fn ok(about: &'static str, says: impl Into<String>) -> Self {
        Self {
            about,
            grade: Grade::Ok,
            says: says.into(),
            fix: None,
        }
    }

    fn note(about: &'static str, says: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            about,
            grade: Grade::Note,
            says: says.into(),
            fix: Some(fix.into()),
        }
    }

    fn bad(about: &'static str, says: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            grade: Grade::Bad,
            ..Self::note(about, says, fix)
        }
    }
}

/// The keys of `--json`.
#[derive(Serialize)]
struct Findings {
    ok: bool,
    findings: Vec<Finding>,
}

/// Exit 0 where nothing is bad.
pub(super) fn doctor(request: &Request) -> ExitCode {
    // What is wrong with Marathon's part of the options is a finding, beside which all else counts.
    let mut system = System::host();
    // So is a file of options that cannot be read, though the defaults may not be what is meant.
    let broken = passed_over(request, &mut system);
    let wrong = config::build(request, &system).err();
    let request = Request {
        needs_marathon: wrong.is_none(),
        ..request.clone()
    };
    if let Err(mistakes) = config::build(&request, &system) {
        return wrong_values(request.policy, &mistakes);
    }
    let mut found = Vec::new();
    if let Some(mistakes) = broken {
        found.push(Finding::bad(
            "options",
            format!("{mistakes}; all else is looked at as if there were no such file"),
            format!("edit {}", system.default_file.display()),
        ));
    }
    configured_on(&request, &system, |config| {
        found.extend(look::all(
            &config,
            wrong.map(|mistakes| mistakes.to_string()),
        )?);
        let findings = Findings {
            ok: found.iter().all(|finding| finding.grade != Grade::Bad),
            findings: found,
        };
        let text = if config.json {
            let json = serde_json::to_string_pretty(&findings);
            json.context("the findings cannot be written")? + "\n"
        } else {
            findings.for_people()
        };
        print(&text)?;
        Ok(ExitCode::from(u8::from(!findings.ok)))
    })
}

impl Findings {
    fn for_people(&self) -> String {
        let mut text = String::new();
        for Finding {
            about,
            grade,
            says,
            fix,
        } in &self.findings
        {
            let word = match grade {
                Grade::Ok => "ok",
                Grade::Note => "note",
                Grade::Bad => "BAD",
            };
            let says = says.replace('\n', "\n                ");
            let _ = writeln!(text, "{word:6}{about:10}{says}");
            if let Some(fix) = fix {
                let _ = writeln!(text, "{:16}to mend it: {fix}", "");
            }
        }
        let bad = self
            .findings
            .iter()
            .filter(|f| f.grade == Grade::Bad)
            .count();
        let notes = self.findings.iter().filter(|f| f.grade == Grade::Note);
        let _ = match bad {
            0 if notes.count() > 0 => writeln!(text, "nothing is wrong, but see what is noted"),
            0 => writeln!(text, "all is well"),
            1 => writeln!(text, "1 thing is wrong"),
            many => writeln!(text, "{many} things are wrong"),
        };
        text
    }
}

//! What reaches the text beside the cluster: templates and what replaces them, and what the host's
//! HAProxy understands.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tracing::info;

use crate::config::{Config, TemplateSet, Values};
use crate::disk;
use crate::haproxy::program::{self, NotInstalled};
use crate::haproxy::{Dialect, Version};
use crate::labels::Template;
use crate::render::{Extra, Origin, Override, Replacement, Site};

/// For `haproxy -vv`.
const LIMIT: Duration = Duration::from_secs(10);

pub(super) async fn site(config: &Config) -> Result<Site> {
    let set = config.templates.set;
    let dialect = match set {
        // Its text is the same for all versions.
        TemplateSet::Bridge => Dialect::of(Version::NEWEST),
        TemplateSet::MarathonLb | TemplateSet::Servicerouter | TemplateSet::Native => {
            dialect(config).await?
        }
    };
    let mut site = Site {
        overrides: match &config.templates.dir {
            Some(dir) => overrides(dir)?,
            None => Vec::new(),
        },
        replacements: replacements(config)?,
        extra: match &config.templates.extra {
            Some(dir) => extra(dir)?,
            None => Vec::new(),
        },
        haproxy_dir: haproxy_dir(&config.haproxy.config),
        // Where it is no matter of course, somebody asked for it.
        runtime_api: config.reload.runtime_api && !config.policy.runtime_api,
        judges: !config.validation.skip,
        confines_texts: !config.validation.skip && config.policy.values == Values::Typed,
        ..Site::new(set, dialect)
    };
    if let Some(socket) = &config.watch.admin_socket {
        // HAProxy may be started anywhere.
        let socket = std::path::absolute(socket).unwrap_or_else(|_| socket.clone());
        site.sidecar_socket = socket.display().to_string();
    }
    let options = config
        .templates
        .variables
        .get("HAPROXY_GLOBAL_DEFAULT_OPTIONS");
    if let Some(options) = options {
        site.default_options = default_options(options);
    }
    Ok(site)
}

async fn dialect(config: &Config) -> Result<Dialect> {
    if let Some((major, minor)) = config.haproxy.version {
        return Ok(Dialect::of(Version::new(major, minor)));
    }
    match program::find(&config.haproxy.program) {
        Ok(program) => Ok(Dialect::ask(&program, LIMIT).await?),
        Err(missing) => {
            let version = Version::NEWEST;
            info!("{missing}; the file is written for HAProxy {version}");
            Ok(Dialect::of(version))
        }
    }
}

/// Whether texts that are to be installed have to wait until HAProxy is there: its version decides how
/// they are written, and it has to check them.
pub(super) fn waits_for_program(config: &Config) -> Result<(), NotInstalled> {
    let is_needed = config.templates.set != TemplateSet::Bridge
        && config.haproxy.version.is_none()
        && !config.validation.skip;
    if is_needed {
        program::find(&config.haproxy.program)?;
    }
    Ok(())
}

/// As the file names the folder of its maps: HAProxy may be started anywhere, and so a relative path
/// would lead to another place each time.
fn haproxy_dir(config: &Path) -> String {
    let config = std::path::absolute(config).unwrap_or_else(|_| config.to_owned());
    let folder = config.parent().unwrap_or(Path::new("/"));
    folder.display().to_string()
}

/// marathon-lb sorted them and kept each once; one without a name would make a line that HAProxy
/// refuses.
fn default_options(text: &str) -> Vec<String> {
    let mut options: Vec<String> = text
        .split(',')
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect();
    options.sort();
    options.dedup();
    options
}

/// Texts in the language of the predecessors: a file, or a variable that is not empty, which
/// counts more.
fn replacements(config: &Config) -> Result<Vec<Replacement>> {
    let mut all = Vec::new();
    for &template in Template::ALL {
        if let Some(folder) = &config.templates.files {
            let path = folder.join(template.to_string());
            match disk::read_text(&path, disk::LARGEST) {
                Ok(text) => all.push(Replacement {
                    template,
                    text,
                    origin: Origin::File(path.display().to_string()),
                }),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => (),
                Err(error) => {
                    let path = path.display();
                    return Err(error).with_context(|| format!("template `{path}` cannot be read"));
                }
            }
        }
        let name = template.to_string();
        let given = config.templates.variables.get(&name);
        if let Some(text) = given.filter(|text| !text.is_empty()) {
            all.push(Replacement {
                template,
                text: text.replace("\\n", "\n"),
                origin: Origin::Variable(name),
            });
        }
    }
    Ok(all)
}

/// Files `NAME.tera` of `--template-dir`, and of the folder `fragments` in it.
fn overrides(dir: &Path) -> Result<Vec<Override>> {
    let mut files = Vec::new();
    read_overrides(dir, "", &mut files)?;
    let fragments = dir.join("fragments");
    if fragments.is_dir() {
        read_overrides(&fragments, "fragments/", &mut files)?;
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(files)
}

/// Files `NAME.cfg` of `--extra-config`, by name. Hidden ones are what editors keep beside them.
fn extra(dir: &Path) -> Result<Vec<Extra>> {
    let unreadable = || format!("--extra-config `{}` cannot be read", dir.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).with_context(unreadable)? {
        let entry = entry.with_context(unreadable)?;
        let path = entry.path();
        let is_other = path.extension().is_none_or(|ending| ending != "cfg");
        if is_other || disk::is_hidden(&entry.file_name()) {
            continue;
        }
        let text = disk::read_text(&path, disk::LARGEST)
            .with_context(|| format!("--extra-config `{}` cannot be read", path.display()))?;
        let file = path.display().to_string();
        if file.contains(char::is_control) {
            bail!(
                "--extra-config `{}`: found a control character in the name, expected none",
                file.escape_debug()
            );
        }
        files.push(Extra { file, text });
    }
    files.sort_by(|one, other| one.file.cmp(&other.file));
    Ok(files)
}

fn read_overrides(dir: &Path, prefix: &str, files: &mut Vec<Override>) -> Result<()> {
    let unreadable = || format!("--template-dir `{}` cannot be read", dir.display());
    for entry in fs::read_dir(dir).with_context(unreadable)? {
        let entry = entry.with_context(unreadable)?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_str().filter(|_| !disk::is_hidden(&name));
        let Some(name) = name.and_then(|name| name.strip_suffix(".tera")) else {
            continue;
        };
        let text = disk::read_text(&path, disk::LARGEST)
            .with_context(|| format!("template `{}` cannot be read", path.display()))?;
        files.push(Override {
            name: format!("{prefix}{name}"),
            file: path.display().to_string(),
            text,
        });
    }
    Ok(())
}

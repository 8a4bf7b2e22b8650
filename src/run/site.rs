//! What reaches the text beside the cluster: templates and what replaces them, and what the host's
//! HAProxy understands.

use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tracing::{debug, info};

use crate::config::{Config, TemplateSet, Values};
use crate::cycle::bound_places;
use crate::disk;
use crate::haproxy::program::{self, NotInstalled};
use crate::haproxy::socket::LONGEST_PATH;
use crate::haproxy::{Dialect, Line, Version, opens_section};
use crate::labels::Template;
use crate::proxy::marathon_lb::share_an_address;
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
            // Others do not write them.
            Some(dir) if set == TemplateSet::Native => extra(dir)?,
            _ => Vec::new(),
        },
        haproxy_dir: haproxy_dir(&config.haproxy.config),
        runtime_api: config.reload.runtime_api && set != TemplateSet::Native,
        has_slots: set == TemplateSet::Native && config.frontends.server_slots > 0,
        leads_by_name: set == TemplateSet::Native && config.frontends.leads_by_name(),
        spare_backends: config.frontends.spare_backends,
        judges: !config.validation.skip,
        confines_texts: !config.validation.skip && config.policy.values == Values::Typed,
        ..Site::new(set, dialect)
    };
    for extra in &site.extra {
        keeps_within_its_sections(extra)?;
        leaves_ports_of_the_set(extra, config, &site)?;
    }
    if let Some(socket) = &config.watch.admin_socket {
        // HAProxy may be started anywhere.
        let socket = std::path::absolute(socket).unwrap_or_else(|_| socket.clone());
        site.sidecar_socket = socket.display().to_string();
    }
    let is_lacking = config.watch.admin_socket.is_none() || !fits_a_line(&site.sidecar_socket);
    // The page is a convenience, for which no file is refused; the predecessor's pages are its interface.
    if set == TemplateSet::Native && is_lacking {
        debug!("HAProxy leads nobody to the page of a watcher (--admin-socket)");
        site.sidecar_socket.clear();
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

/// Whether HAProxy can connect to a socket at `path`, as a word of a line has it.
fn fits_a_line(path: &str) -> bool {
    path.len() <= LONGEST_PATH
        && path
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"\\\"'#$%".contains(&b))
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
pub(super) fn extra(dir: &Path) -> Result<Vec<Extra>> {
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

/// What stands before its first section would be a part of the section before, which is that of some
/// app.
fn keeps_within_its_sections(extra: &Extra) -> Result<()> {
    let mut lines = extra.text.lines().zip(1..);
    let first = lines.find_map(|(line, number)| {
        let word = Line::of(line).words.into_iter().next()?;
        Some((word, number))
    });
    if let Some((word, number)) = first
        && !opens_section(&word)
    {
        bail!(
            "--extra-config `{}`, line {number}: found `{}`, expected a line that opens a section, as \
             `frontend NAME` does",
            extra.file,
            word.escape_debug()
        );
    }
    Ok(())
}

/// HAProxy would accept the file, and lead connections to either section at random. A port counts
/// unless the template that binds it is the operator's own; 443 also while nothing is bound there, since
/// a label can open it at any time.
fn leaves_ports_of_the_set(extra: &Extra, config: &Config, site: &Site) -> Result<()> {
    let is_ours = |templates: &[&str]| {
        let mut overrides = site.overrides.iter();
        !overrides.any(|own| templates.contains(&&*own.name))
    };
    let mut replaced = site.replacements.iter();
    let has_head = !replaced.any(|own| own.template == Template::Head);
    let binds_hosts = config.frontends.bind_http_https;
    let ports = [
        ("*", 80, binds_hosts && is_ours(&["http_in.cfg"])),
        (
            "*",
            443,
            binds_hosts && is_ours(&["https_in.cfg", "tls_in.cfg"]),
        ),
        (
            "127.0.0.1",
            9090,
            has_head && is_ours(&["fragments/head.cfg"]),
        ),
        ("*", 9091, is_ours(&["appid_in.cfg"])),
    ];
    for (line, number) in extra.text.lines().zip(1..) {
        let bound = bound_places(line);
        let mut clashes = ports.iter().filter(|(address, port, is_bound)| {
            let is_at = |(own, ports): &(String, RangeInclusive<u32>)| {
                ports.contains(port) && share_an_address(own, address)
            };
            *is_bound && bound.iter().any(is_at)
        });
        if let Some((_, port, _)) = clashes.next() {
            bail!(
                "--extra-config `{}`, line {number}: found a bind on port {port}, which is one of the \
                 template set's own, expected another port",
                extra.file
            );
        }
    }
    Ok(())
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

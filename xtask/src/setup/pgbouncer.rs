//! Connection poolers, for the tests of what the issuer says to them: the system's own, and one
//! that knows about prepared statements (1.21 or newer) where the system's does not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{apt, find_on_path};
use crate::process;
use crate::ui;
use crate::workspace::Workspace;

/// Makes sure that `pgbouncer` is on the `PATH` and a new one in `.tools/pgbouncer`.
pub fn poolers(workspace: &Workspace) -> Result<()> {
    if find_on_path(&["pgbouncer"]).is_none() {
        apt::install("PgBouncer", &["pgbouncer"])?;
    }
    let Some(program) = find_on_path(&["pgbouncer"]) else {
        bail!(
            "there is no pgbouncer for the tests of pooling: install PgBouncer (Debian: apt-get install pgbouncer)"
        );
    };
    let version = version_of(&program).context("pgbouncer says no version")?;
    let folder = workspace.tools.join("pgbouncer");
    let new = folder.join("pgbouncer");
    if version_of(&new).is_none() {
        fs::create_dir_all(&folder)?;
        if version < KNOWS_STATEMENTS {
            from_next_release(&folder, &new)?;
        } else {
            fs::write(
                &new,
                format!("#!/bin/sh\nexec {} \"$@\"\n", program.display()),
            )?;
            make_executable(&new)?;
        }
    }
    let newer = version_of(&new).context("the newer pgbouncer does not run")?;
    ui::line(
        "PgBouncer",
        &format!("1.{version} present, 1.{newer} in .tools"),
    );
    Ok(())
}

/// The package of Debian's next release with the libraries it was built for, in a folder: none of
/// it is installed, and its own loader runs it.
fn from_next_release(folder: &Path, program: &Path) -> Result<()> {
    let root = folder.join("root");
    let lists = folder.join("lists");
    fs::create_dir_all(lists.join("partial"))?;
    let source = folder.join("sources.list");
    fs::write(
        &source,
        format!(
            "deb [signed-by={KEYRING}] {} {NEXT_RELEASE} main\n",
            mirror()?
        ),
    )?;
    let apt_get = || {
        let mut command = Command::new("apt-get");
        command
            .arg("-o")
            .arg(format!("Dir::Etc::SourceList={}", source.display()))
            .args(["-o", "Dir::Etc::SourceParts=/dev/null", "-o"])
            .arg(format!("Dir::State::lists={}", lists.display()))
            .current_dir(folder);
        command
    };
    process::run_quietly("PgBouncer", "package lists read", apt_get().arg("update"))?;
    process::run_quietly(
        "PgBouncer",
        "fetched",
        apt_get().arg("download").args(PACKAGES),
    )?;
    for package in files_ending(folder, ".deb")? {
        let mut unpack = Command::new("dpkg-deb");
        unpack.arg("-x").arg(&package).arg(&root);
        process::capture(&mut unpack)?;
        fs::remove_file(package)?;
    }
    fs::remove_dir_all(lists)?;
    fs::remove_dir_all(root.join("usr/share"))?;
    let libraries = files_ending(&root.join("usr/lib"), "-linux-gnu")?;
    let libraries = libraries.first().context("the package has no libraries")?;
    let loader = fs::read_dir(libraries)?
        .filter_map(Result::ok)
        .find(|entry| entry.file_name().to_string_lossy().starts_with("ld-linux"))
        .context("the package has no loader")?;
    fs::write(
        program,
        format!(
            "#!/bin/sh\nexec {} --library-path {} {} \"$@\"\n",
            loader.path().display(),
            libraries.display(),
            root.join("usr/sbin/pgbouncer").display()
        ),
    )?;
    make_executable(program)
}

/// Where this machine gets its packages.
fn mirror() -> Result<String> {
    let mut command = Command::new("apt-get");
    command.args([
        "indextargets",
        "--format",
        "$(REPO_URI)",
        "Created-By: Packages",
    ]);
    let text = process::capture(&mut command).context(
        "the tests of pooling need PgBouncer 1.21 or newer, which this system does not package: put one on the PATH",
    )?;
    let first = text.lines().find(|uri| !uri.contains("security"));
    first
        .map(str::to_owned)
        .context("apt-get knows no place to get packages from")
}

fn files_ending(folder: &Path, end: &str) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    Ok(paths
        .filter(|path| path.to_string_lossy().ends_with(end))
        .collect())
}

fn make_executable(file: &Path) -> Result<()> {
    Ok(fs::set_permissions(
        file,
        fs::Permissions::from_mode(0o755),
    )?)
}

/// The second number of its version; the first has been 1 since 2007.
fn version_of(program: &Path) -> Option<u32> {
    parse_version(&process::capture(Command::new(program).arg("--version")).ok()?)
}

/// `PgBouncer 1.24.1` → 24.
fn parse_version(text: &str) -> Option<u32> {
    let number = text.strip_prefix("PgBouncer 1.")?;
    let end = number.find(|c: char| !c.is_ascii_digit())?;
    number[..end].parse().ok()
}

/// The first that keeps prepared statements apart.
const KNOWS_STATEMENTS: u32 = 21;
const NEXT_RELEASE: &str = "trixie";
/// Debian's own keys, where its packages put them.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// PgBouncer and all libraries that it loads.
const PACKAGES: [&str; 12] = [
    "pgbouncer",
    "libaudit1",
    "libc6",
    "libcap-ng0",
    "libcap2",
    "libcares2",
    "libevent-2.1-7t64",
    "libpam0g",
    "libssl3t64",
    "libsystemd0",
    "libzstd1",
    "zlib1g",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_read_from_what_the_pooler_prints() {
        assert_eq!(parse_version("PgBouncer 1.24.1\nlibevent 2.1.12"), Some(24));
        assert_eq!(parse_version("PgBouncer 1.18.0"), Some(18));
        assert_eq!(parse_version("something else"), None);
    }
}

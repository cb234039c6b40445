//! The side of the verb: asks the running server through its control socket, or starts a keeper where no server runs.

use crate::console::{Console, Local, NoSource};
use crate::export::STDOUT;
use crate::request::{MailFormat, Request};
use crate::sources::{Maildir, Mbox};
use crate::{keeper, socket};
use anyhow::{Context, Result, bail, ensure};
use host::privileges;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

/// Folders of a data directory. Even a damaged one has at least one of them.
const PARTS: [&str; 3] = ["journal", "bodies", "view"];

/// Where the data is, and which user it belongs to.
#[derive(Debug, Clone)]
pub struct Place {
    /// The data directory.
    pub data_dir: PathBuf,
    /// The user that the configuration names, if it was read and names one.
    pub user: Option<String>,
}

/// Asks the process that has the data directory, and prints the answer. Makes the directory if no server was ever started and
/// the request makes sense without mail.
///
/// # Errors
/// The request cannot be carried out.
pub fn ask(place: &Place, request: &Request) -> Result<()> {
    carry_out(place, request, &mut no_files())
}

fn carry_out(place: &Place, request: &Request, console: &mut dyn Console) -> Result<()> {
    let Place { data_dir, user } = place;
    if request.may_begin_store() && !data_dir.exists() {
        privileges::make_data_dir(data_dir, user.as_deref())?;
    }
    carry_out_in(data_dir, user.as_deref(), request, console)
}

/// The same for a data directory that exists. `user` is the one that the configuration names.
fn carry_out_in(data: &Path, user: Option<&str>, request: &Request, console: &mut dyn Console) -> Result<()> {
    if socket::ask(data, request, console)?.is_some() {
        return Ok(());
    }
    if request.needs_server() {
        bail!("no server runs on {}", data.display());
    }
    ensure!(data.is_dir(), "there is no data directory {}", data.display());
    keeper::ask(data, user, request, console)
}

/// A console for verbs that read and write no files.
fn no_files() -> Local<NoSource> {
    Local::new(Path::new("."), NoSource)
}

/// Verifies a data directory. A folder that is no data directory is refused: an empty store would have no inconsistencies.
///
/// # Errors
/// There is an inconsistency, the folder is no data directory, or it cannot be read.
pub fn verify(data: &Path, json: bool) -> Result<()> {
    let is_there = |part: &&str| data.join(part).exists();
    ensure!(
        !data.exists() || PARTS.iter().any(is_there),
        "{} is not a data directory: there is no {} in it",
        data.display(),
        PARTS.join(", no ")
    );
    carry_out_in(data, None, &Request::Verify { json }, &mut no_files())
}

/// Makes a copy of the data directory. The path is made absolute here, because the server may run in another folder.
///
/// # Errors
/// The copy would be inside the data directory, or cannot be made.
pub fn backup(place: &Place, dir: &Path, json: bool) -> Result<()> {
    let dir = std::path::absolute(dir)?;
    let data = resolved(&std::path::absolute(&place.data_dir)?);
    let is_inside = resolved(&dir).starts_with(&data);
    ensure!(!is_inside, "{} is in the data directory: name a folder elsewhere", dir.display());
    ask(place, &Request::Backup { dir, json })
}

/// Resolves symbolic links and `..` in an absolute path, of which some folders may not exist yet.
fn resolved(path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for part in path.components() {
        match part {
            // Links before it are resolved, and missing folders will be made as plain ones: it leads back out of either.
            Component::ParentDir => drop(resolved.pop()),
            part => {
                resolved.push(part);
                // A part behind a missing folder and `..` may be a link again.
                resolved = resolved.canonicalize().unwrap_or(resolved);
            }
        }
    }
    resolved
}

/// An account, by its name.
#[derive(Debug, Clone)]
pub struct Account {
    /// As the configuration writes it, or as the operator does where the configuration has no such account.
    pub name: String,
    /// Does the configuration have it? Then the store makes it if it has no such account yet.
    pub configured: bool,
}

/// Writes the mail of an account below a folder, or to a file; an mbox may go to [`STDOUT`].
///
/// # Errors
/// There is something at `path` already, or the mail cannot be read or written.
pub fn export(place: &Place, account: Account, format: MailFormat, path: &Path, json: bool) -> Result<()> {
    let to_stdout = format == MailFormat::Mbox && path == Path::new(STDOUT);
    let (mut console, name) = match format {
        _ if to_stdout => (Local::printing(NoSource), STDOUT.to_owned()),
        MailFormat::Maildir => {
            // Existing files could not be told from exported ones afterwards.
            let is_free = match std::fs::read_dir(path) {
                Err(error) if error.kind() == ErrorKind::NotFound => true,
                entries => entries.with_context(|| format!("read {}", path.display()))?.next().is_none(),
            };
            ensure!(
                is_free,
                "{} is not an empty folder: name one that is, or is not there yet",
                path.display()
            );
            (Local::new(path, NoSource), String::new())
        }
        MailFormat::Mbox => {
            ensure!(!path.exists(), "{} is there already: name a new file", path.display());
            let name = path.file_name().with_context(|| format!("{} names no file", path.display()))?;
            // The name travels through the control socket as text.
            let name = name.to_str().with_context(|| {
                format!("the name of {} is not UTF-8: name the file otherwise", path.display())
            })?;
            let folder = path.parent().unwrap_or_else(|| Path::new("."));
            (Local::new(folder, NoSource), name.to_owned())
        }
    };
    let Account { name: account, configured } = account;
    let request = Request::Export { format, account, configured, name, json };
    carry_out(place, &request, &mut console)
}

/// Reads mail into a mailbox.
///
/// # Errors
/// The files are not of this format, or the mail cannot be read or stored.
pub fn import(
    place: &Place,
    account: String,
    mailbox: &str,
    format: MailFormat,
    path: &Path,
    json: bool,
) -> Result<()> {
    let request = Request::Import { account, mailbox: mailbox.to_owned(), json };
    let here = Path::new(".");
    match format {
        // The size of standard input is not known, so no progress is shown.
        MailFormat::Mbox if path == Path::new(STDOUT) => {
            carry_out(place, &request, &mut Local::new(here, Mbox::new(std::io::stdin().lock())?))
        }
        MailFormat::Maildir => {
            let source = Maildir::open(path)?;
            let total = source.len();
            carry_out(place, &request, &mut Local::importing(here, source, total))
        }
        MailFormat::Mbox => {
            let source = Mbox::open(path)?;
            let total = std::fs::metadata(path)?.len();
            carry_out(place, &request, &mut Local::importing(here, source, total))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    #[test]
    fn refuses_an_mbox_whose_name_would_change_on_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place { data_dir: dir.path().join("data"), user: None };
        let account = Account { name: "alice".to_owned(), configured: false };
        let path = dir.path().join(OsStr::from_bytes(b"mail-\xff.mbox"));
        let error = export(&place, account, MailFormat::Mbox, &path, false).unwrap_err().to_string();
        assert!(error.contains("is not UTF-8"), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn resolves_paths_whose_last_folders_are_missing() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("data")).unwrap();
        std::os::unix::fs::symlink(root.join("data"), root.join("link")).unwrap();
        for (path, expected) in [
            ("data/x", "data/x"),
            ("data/../data/x", "data/x"),
            ("link/x/y", "data/x/y"),
            ("new/../data/x", "data/x"),
            ("new/../link/x", "data/x"),
            ("new/a/../../link/../link/y/../x", "data/x"),
            ("data/../x", "x"),
            ("data2/x", "data2/x"),
        ] {
            assert_eq!(resolved(&root.join(path)), root.join(expected), "{path}");
        }
    }
}

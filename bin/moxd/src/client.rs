//! Verbs about mail at rest, as the command line sees them: they ask the running server through its control socket, or
//! open the data directory themselves where no server runs.

use crate::cli::{Cli, MailFormat};
use crate::console::{Console, Local, NoSource};
use crate::mailfiles::{Maildir, Mbox};
use crate::request::Request;
use crate::{atrest, ctl, wiring};
use anyhow::{Context, Result, bail, ensure};
use config::Config;
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use store::Store;
use zeroize::Zeroizing;

/// Folders of a data directory, at least one of which is left of a damaged one.
const PARTS: [&str; 3] = ["journal", "bodies", "view"];

/// The configuration.
fn config(cli: &Cli) -> Result<Config> {
    wiring::load(&wiring::config_path(cli.config.as_deref())?)
}

/// The configuration, which has this account: what is begun for an account must not be for a mistyped one.
fn config_with(cli: &Cli, account: &str) -> Result<Config> {
    let config = config(cli)?;
    ensure!(config.domains.accounts.contains_key(account), "there is no account {account:?} in domains.toml");
    Ok(config)
}

/// Whether the configuration has this account.
pub(crate) fn is_configured(cli: &Cli, account: &str) -> Result<bool> {
    Ok(config(cli)?.domains.accounts.contains_key(account))
}

/// The data directory that the configuration names.
fn data_dir(cli: &Cli) -> Result<PathBuf> {
    Ok(config(cli)?.server.data_dir)
}

/// Does what is asked in a data directory, by whoever has it.
fn carry_out(data: &Path, request: Request, console: &mut dyn Console) -> Result<()> {
    if ctl::ask(data, &request, console)?.is_some() {
        return Ok(());
    }
    if request.needs_server() {
        bail!("no server runs on {}", data.display());
    }
    ensure!(data.is_dir(), "there is no data directory {}", data.display());
    let store = Store::open(data, store::Options::default())
        .with_context(|| format!("open the data directory {}", data.display()))?;
    let result = atrest::run(&store, request, wiring::now(), console);
    store.close();
    result
}

/// Asks and prints the answer.
pub(crate) fn ask(cli: &Cli, request: Request) -> Result<()> {
    ask_in(&data_dir(cli)?, request)
}

/// Asks whoever has this data directory.
fn ask_in(data: &Path, request: Request) -> Result<()> {
    carry_out(data, request, &mut Local::new(Path::new("."), NoSource))
}

/// Verifies a data directory. A folder that is none is not made one, and not called whole.
pub(crate) fn verify(data: &Path, json: bool) -> Result<()> {
    let is_there = |part: &&str| data.join(part).exists();
    ensure!(
        !data.is_dir() || PARTS.iter().any(is_there),
        "{} is not a data directory: there is no {} in it",
        data.display(),
        PARTS.join(", no ")
    );
    ask_in(data, Request::Verify { json })
}

/// Makes a copy of the data directory. The path is made absolute here: the server may run elsewhere.
pub(crate) fn backup(cli: &Cli, dir: &Path) -> Result<()> {
    let dir = std::path::absolute(dir)?;
    let data = std::path::absolute(data_dir(cli)?)?;
    ensure!(!dir.starts_with(&data), "{} is in the data directory: name a folder elsewhere", dir.display());
    ask_in(&data, Request::Backup { dir })
}

/// Writes the mail of an account below a folder, or to a file.
pub(crate) fn export(cli: &Cli, format: MailFormat, account: &str, path: &Path) -> Result<()> {
    let (folder, name) = match format {
        MailFormat::Maildir => (path, String::new()),
        MailFormat::Mbox => {
            let name = path.file_name().with_context(|| format!("{} names no file", path.display()))?;
            (path.parent().unwrap_or_else(|| Path::new(".")), name.to_string_lossy().into_owned())
        }
    };
    let request = Request::Export { format, account: account.to_owned(), name };
    carry_out(&data_dir(cli)?, request, &mut Local::new(folder, NoSource))
}

/// Reads mail into a mailbox.
pub(crate) fn import(cli: &Cli, format: MailFormat, account: &str, mailbox: &str, path: &Path) -> Result<()> {
    let config = config_with(cli, account)?;
    let request = Request::Import { account: account.to_owned(), mailbox: mailbox.to_owned() };
    let data = config.server.data_dir;
    let here = Path::new(".");
    match format {
        // How much will come is not known, so no progress is shown.
        MailFormat::Mbox if path == Path::new("-") => {
            carry_out(&data, request, &mut Local::new(here, Mbox::new(std::io::stdin().lock())?))
        }
        MailFormat::Maildir => {
            let source = Maildir::open(path)?;
            let total = source.len();
            carry_out(&data, request, &mut Local::importing(here, source, total))
        }
        MailFormat::Mbox => {
            let source = Mbox::open(path)?;
            let total = std::fs::metadata(path)?.len();
            carry_out(&data, request, &mut Local::importing(here, source, total))
        }
    }
}

/// Reads a new password, and has its derived secrets kept.
pub(crate) fn set_password(cli: &Cli, account: &str) -> Result<()> {
    let config = config_with(cli, account)?;
    let text = read_password()?;
    let password = sasl::Password::chosen(&text).map_err(|error| anyhow::anyhow!("{error}"))?;
    let secrets = intake::credentials(&password, wiring::random).into();
    let request = Request::SetCredentials { account: account.to_owned(), secrets };
    let data = config.server.data_dir;
    std::fs::create_dir_all(&data).with_context(|| format!("make {}", data.display()))?;
    carry_out(&data, request, &mut Local::new(Path::new("."), NoSource))
}

/// The first line of standard input; at a terminal asked for twice, without showing it.
fn read_password() -> Result<Zeroizing<String>> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        return read_line(&mut input.lock());
    }
    let _quiet = Quiet::on()?;
    let ask = |question: &str| {
        let mut error = std::io::stderr();
        write!(error, "{question}")?;
        let line = read_line(&mut input.lock());
        writeln!(error)?;
        line
    };
    let (first, second) = (ask("New password: ")?, ask("The same again: ")?);
    ensure!(first == second, "the two passwords differ; nothing was changed");
    Ok(first)
}

fn read_line(input: &mut impl BufRead) -> Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    input.read_line(&mut line).context("read the password")?;
    let end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(end);
    Ok(line)
}

/// A terminal that does not show what is typed, until dropped.
struct Quiet(nix::sys::termios::Termios);

impl Quiet {
    fn on() -> Result<Self> {
        use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
        let before = tcgetattr(std::io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(std::io::stdin(), SetArg::TCSANOW, &quiet)?;
        Ok(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        use nix::sys::termios::{SetArg, tcsetattr};
        let _ = tcsetattr(std::io::stdin(), SetArg::TCSANOW, &self.0);
    }
}

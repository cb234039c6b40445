//! Verbs about mail at rest, as the command line sees them: they ask the running server through its control socket, or
//! a keeper of their own where no server runs.

use crate::cli::{Cli, MailFormat, Wrong};
use crate::console::{Console, Local, NoSource};
use crate::export::STDOUT;
use crate::request::Request;
use crate::sources::{Maildir, Mbox};
use crate::{ctl, keeper, privileges, wiring};
use anyhow::{Context, Result, bail, ensure};
use config::{Config, DataPlace};
use std::io::{BufRead, ErrorKind, IsTerminal};
use std::path::Path;
use zeroize::Zeroizing;

/// Folders of a data directory, at least one of which is left of a damaged one.
const PARTS: [&str; 3] = ["journal", "bodies", "view"];

/// The configuration.
fn config(cli: &Cli) -> Result<Config> {
    wiring::load(&wiring::config_path(cli.config.as_deref())?)
}

/// The configuration, and the account of it that is meant: what is begun for an account must not be for a mistyped one.
fn config_with(cli: &Cli, given: &str) -> Result<(Config, String)> {
    let config = config(cli)?;
    let name = wiring::account(&config.domains, given);
    let name = name.with_context(|| format!("there is no account {given:?} in domains.toml"))?;
    Ok((config, name))
}

/// Does what is asked in the data directory of this configuration, by whoever has it. It is made if no server was ever
/// started and what is asked makes sense without mail.
fn carry_out(place: impl Into<DataPlace>, request: &Request, console: &mut dyn Console) -> Result<()> {
    let DataPlace { data_dir, user } = place.into();
    if request.may_begin_store() && !data_dir.exists() {
        privileges::make_data_dir(&data_dir, user.as_deref())?;
    }
    carry_out_in(&data_dir, user.as_deref(), request, console)
}

/// The same in any data directory; it is `user` whose it is, if that is known.
fn carry_out_in(data: &Path, user: Option<&str>, request: &Request, console: &mut dyn Console) -> Result<()> {
    if ctl::ask(data, request, console)?.is_some() {
        return Ok(());
    }
    if request.needs_server() {
        bail!("no server runs on {}", data.display());
    }
    ensure!(data.is_dir(), "there is no data directory {}", data.display());
    keeper::ask(data, user, request, console)
}

/// Where the data is, and whose. Mistakes in the configuration keep nobody from a running server and mail at rest.
fn place(cli: &Cli) -> Result<DataPlace> {
    if let Some(data_dir) = &cli.data_dir {
        return Ok(DataPlace { data_dir: data_dir.clone(), user: None });
    }
    let path = wiring::config_path(cli.config.as_deref())?;
    wiring::load_data_place(&path)
        .context("cannot tell where the data is; name the folder with --data-dir DIR")
}

/// The account that is meant, and whether the configuration has it: by its name in any case, or by an address. A
/// configuration that cannot be read has none, and the name is taken as it is.
fn account(cli: &Cli, given: &str) -> (String, bool) {
    let found = cli.data_dir.is_none().then(|| config(cli).ok()).flatten();
    let found = found.and_then(|config| wiring::account(&config.domains, given));
    found.map_or_else(|| (given.to_owned(), false), |name| (name, true))
}

/// Asks and prints the answer.
pub(crate) fn ask(cli: &Cli, request: Request) -> Result<()> {
    carry_out(place(cli)?, &request, &mut no_files())
}

/// Asks about an account; the request gets its name, and whether the configuration has it.
pub(crate) fn ask_about(cli: &Cli, given: &str, request: impl FnOnce(String, bool) -> Request) -> Result<()> {
    let (name, configured) = account(cli, given);
    carry_out(place(cli)?, &request(name, configured), &mut no_files())
}

/// For verbs with nothing but a terminal.
fn no_files() -> Local<NoSource> {
    Local::new(Path::new("."), NoSource)
}

/// Verifies a data directory. A folder that is none is not made one, and not called whole.
pub(crate) fn verify(data: &Path, json: bool) -> Result<()> {
    let is_there = |part: &&str| data.join(part).exists();
    ensure!(
        !data.exists() || PARTS.iter().any(is_there),
        "{} is not a data directory: there is no {} in it",
        data.display(),
        PARTS.join(", no ")
    );
    carry_out_in(data, None, &Request::Verify { json }, &mut no_files())
}

/// Makes a copy of the data directory. The path is made absolute here: the server may run elsewhere.
pub(crate) fn backup(cli: &Cli, dir: &Path, json: bool) -> Result<()> {
    let dir = std::path::absolute(dir)?;
    let place = place(cli)?;
    let data = std::path::absolute(&place.data_dir)?;
    ensure!(!dir.starts_with(&data), "{} is in the data directory: name a folder elsewhere", dir.display());
    carry_out(place, &Request::Backup { dir, json }, &mut no_files())
}

/// Writes the mail of an account below a folder, or to a file.
pub(crate) fn export(cli: &Cli, format: MailFormat, account: &str, path: &Path, json: bool) -> Result<()> {
    let to_stdout = format == MailFormat::Mbox && path == Path::new(STDOUT);
    let (mut console, name) = match format {
        _ if to_stdout && json => {
            return Err(
                Wrong("--json goes with a file: the mbox itself is on standard output".to_owned()).into()
            );
        }
        _ if to_stdout => (Local::printing(NoSource), STDOUT.to_owned()),
        MailFormat::Maildir => {
            // Files that exist already would be mixed with the exported ones, with no way to tell them apart.
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
            let folder = path.parent().unwrap_or_else(|| Path::new("."));
            (Local::new(folder, NoSource), name.to_string_lossy().into_owned())
        }
    };
    let (account, configured) = self::account(cli, account);
    let request = Request::Export { format, account, configured, name, json };
    carry_out(place(cli)?, &request, &mut console)
}

/// Reads mail into a mailbox.
pub(crate) fn import(
    cli: &Cli,
    format: MailFormat,
    account: &str,
    mailbox: &str,
    path: &Path,
    json: bool,
) -> Result<()> {
    let (Config { server, .. }, account) = config_with(cli, account)?;
    let request = Request::Import { account, mailbox: mailbox.to_owned(), json };
    let here = Path::new(".");
    match format {
        // How much will come is not known, so no progress is shown.
        MailFormat::Mbox if path == Path::new("-") => {
            carry_out(&server, &request, &mut Local::new(here, Mbox::new(std::io::stdin().lock())?))
        }
        MailFormat::Maildir => {
            let source = Maildir::open(path)?;
            let total = source.len();
            carry_out(&server, &request, &mut Local::importing(here, source, total))
        }
        MailFormat::Mbox => {
            let source = Mbox::open(path)?;
            let total = std::fs::metadata(path)?.len();
            carry_out(&server, &request, &mut Local::importing(here, source, total))
        }
    }
}

/// Reads a new password, and has its derived secrets kept.
pub(crate) fn set_password(cli: &Cli, account: &str) -> Result<()> {
    let (config, account) = config_with(cli, account)?;
    let text = read_password()?;
    let password = sasl::Password::chosen(&text).map_err(|error| anyhow::anyhow!("{error}"))?;
    let secrets = intake::credentials(&password, wiring::random).into();
    let request = Request::SetCredentials { account, secrets };
    privileges::make_data_dir(&config.server.data_dir, config.server.user.as_deref())?;
    carry_out(&config.server, &request, &mut no_files())
}

/// Reads the first line of standard input; at a terminal, asks for it twice and does not show what is typed.
fn read_password() -> Result<Zeroizing<String>> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        return read_line(&mut input.lock());
    }
    let ask =
        |question| rpassword::prompt_password(question).map(Zeroizing::new).context("read the password");
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

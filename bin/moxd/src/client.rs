//! Reads for the verbs what they need of the configuration: where the data is, and which account the operator means.

use crate::{configuration, wiring};
use admin::client::{Account, Place};
use admin::{MailFormat, Request, STDOUT};
use anyhow::{Context, Result, ensure};
use cli::{Cli, Wrong};
use config::{Config, DataPlace, Server};
use nix::sys::signal::{SigSet, Signal};
use std::io::{BufRead, IsTerminal};
use std::path::Path;
use zeroize::Zeroizing;

/// The configuration.
fn config(cli: &Cli) -> Result<Config> {
    configuration::load(&configuration::path(cli.config.as_deref())?)
}

/// Where the data is, and the account of the configuration that is meant: a mistyped name must not make an account.
fn config_with(cli: &Cli, given: &str) -> Result<(Server, String)> {
    let Config { server, domains } = config(cli)?;
    let name = domains.account(given).map(str::to_owned);
    let name = name.with_context(|| format!("there is no account {given:?} in domains.toml"))?;
    Ok((server, name))
}

/// Where the data is, and whose. A configuration with mistakes elsewhere does not keep operators from their data.
pub(crate) fn place(cli: &Cli) -> Result<Place> {
    if let Some(data_dir) = &cli.data_dir {
        return Ok(Place { data_dir: data_dir.clone(), user: None });
    }
    let path = configuration::path(cli.config.as_deref())?;
    let place = configuration::load_data_place(&path);
    let DataPlace { data_dir, user } =
        place.context("cannot tell where the data is; name the folder with --data-dir DIR")?;
    Ok(Place { data_dir, user })
}

fn place_of(server: Server) -> Place {
    Place { data_dir: server.data_dir, user: server.user }
}

/// The account that is meant, by its name in any case or by an address. If the configuration has no such account, or cannot
/// be read, the name is taken as it is.
fn account(cli: &Cli, given: &str) -> Account {
    let found = cli.data_dir.is_none().then(|| config(cli).ok()).flatten();
    match found.as_ref().and_then(|config| config.domains.account(given)) {
        Some(name) => Account { name: name.to_owned(), configured: true },
        None => Account { name: given.to_owned(), configured: false },
    }
}

/// Makes a request and prints the answer.
pub(crate) fn ask(cli: &Cli, request: &Request) -> Result<()> {
    admin::client::ask(&place(cli)?, request)
}

/// Makes a request about an account. `request` gets its name, and whether the configuration has it.
pub(crate) fn ask_about(cli: &Cli, given: &str, request: impl FnOnce(String, bool) -> Request) -> Result<()> {
    let Account { name, configured } = account(cli, given);
    ask(cli, &request(name, configured))
}

fn format_of(format: cli::MailFormat) -> MailFormat {
    match format {
        cli::MailFormat::Maildir => MailFormat::Maildir,
        cli::MailFormat::Mbox => MailFormat::Mbox,
    }
}

/// Writes the mail of an account below a folder, or to a file.
pub(crate) fn export(
    cli: &Cli,
    format: cli::MailFormat,
    account: &str,
    path: &Path,
    json: bool,
) -> Result<()> {
    if json && format == cli::MailFormat::Mbox && path == Path::new(STDOUT) {
        return Err(Wrong("--json goes with a file: the mbox itself is on standard output".to_owned()).into());
    }
    let account = self::account(cli, account);
    admin::client::export(&place(cli)?, account, format_of(format), path, json)
}

/// Imports mail into a mailbox. `files` is the format and the path.
pub(crate) fn import(
    cli: &Cli,
    files: (cli::MailFormat, &Path),
    account: &str,
    mailbox: &str,
    json: bool,
) -> Result<()> {
    let (server, account) = config_with(cli, account)?;
    let (format, path) = files;
    admin::client::import(&place_of(server), account, mailbox, format_of(format), path, json)
}

/// Reads a new password, and stores the secrets derived from it.
pub(crate) fn set_password(cli: &Cli, account: &str) -> Result<()> {
    let (server, account) = config_with(cli, account)?;
    let text = read_password()?;
    let password = sasl::Password::chosen(&text).map_err(|error| anyhow::anyhow!("{error}"))?;
    let secrets = intake::credentials(&password, wiring::random).into();
    let place = place_of(server);
    host::privileges::make_data_dir(&place.data_dir, place.user.as_deref())?;
    admin::client::ask(&place, &Request::SetCredentials { account, secrets })
}

/// Reads the first line of standard input; at a terminal, asks for it twice and does not show what is typed.
fn read_password() -> Result<Zeroizing<String>> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        return read_line(&mut input.lock());
    }
    // At Ctrl-C the library raises SIGINT before it restores the terminal, so the signal waits until the prompt has ended.
    let interrupt = SigSet::from(Signal::SIGINT);
    let ask = |question| {
        interrupt.thread_block()?;
        let answer = rpassword::prompt_password(question).map(Zeroizing::new);
        interrupt.thread_unblock()?;
        answer.context("read the password")
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

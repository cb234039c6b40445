//! moxd, a mail server for people who run their own mail: arguments, dispatch, exit code.

mod atrest;
mod blocked;
mod cli;
mod client;
mod console;
mod control;
mod ctl;
mod export;
mod frames;
mod import;
mod inspect;
mod keeper;
mod keys;
mod lines;
mod localserve;
mod logging;
mod monitoring;
mod pages;
mod privileges;
mod process;
mod protocols;
mod request;
mod serve;
mod sources;
mod summary;
mod system;
mod text;
mod tls;
mod version;
mod wiring;

use anyhow::{Result, ensure};
use clap::FromArgMatches;
use cli::{
    BlockedVerb, Cli, ConfigFile, ConfigVerb, CtlVerb, MailboxVerb, MessageVerb, Reported, Verb, Wrong,
};
use request::Request;
use std::io::Write;
use std::process::ExitCode;

/// Returns memory to the system after peaks: a thread of jemalloc's gives back what has been unused for a second (see
/// .cargo/config.toml). glibc's allocator keeps such memory, and mimalloc returns it only while the process goes on allocating:
/// a minute after attacks that left the server idle, mimalloc still held up to 57 MiB where jemalloc holds 28 to 43, at equal
/// processor time for a message. musl lacks what that thread needs, so there memory returns as other memory is freed.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// It could not be done.
const FAILED: u8 = 1;
/// The arguments are wrong.
const WRONG: u8 = 2;
/// The result is not `pass`, and `--exit-code` was given.
const NOT_PASSED: u8 = 3;

fn main() -> ExitCode {
    let result = match keeper::arguments() {
        Some((data, user)) => keeper::keep(&data, user.as_deref()),
        None => parse().map_err(misread).and_then(run),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // The result was printed, and there is nothing to add.
        Err(error) if error.is::<protocols::NotPassed>() => ExitCode::from(NOT_PASSED),
        Err(error) if error.is::<Reported>() => ExitCode::from(FAILED),
        Err(error) => {
            // One line, unless it is about many things, such as a configuration with many mistakes.
            for line in format!("{error:#}").lines() {
                // Nothing can be done if standard error is gone too.
                let _ = writeln!(std::io::stderr(), "moxd: {}", text::printable(line));
            }
            ExitCode::from(if error.is::<Wrong>() { WRONG } else { FAILED })
        }
    }
}

/// Reads the arguments.
fn parse() -> Result<Cli, clap::Error> {
    Cli::from_arg_matches(&pages::command().try_get_matches()?)
}

/// What is wrong with the arguments, in one line. Who asked for help gets it here and now.
fn misread(error: clap::Error) -> anyhow::Error {
    use clap::error::ErrorKind::{
        DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion, MissingSubcommand,
    };
    match error.kind() {
        DisplayHelpOnMissingArgumentOrSubcommand => error.exit(),
        DisplayHelp | DisplayVersion => match console::print_styled(&error.render().ansi().to_string()) {
            Ok(()) => std::process::exit(0),
            Err(error) => error,
        },
        MissingSubcommand => Wrong("there is no verb; `moxd help` lists them".to_owned()).into(),
        _ => {
            let text = error.to_string();
            let parts = text.trim_start_matches("error: ").split("\n\n");
            let parts = parts.map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
            Wrong(parts.collect::<Vec<_>>().join("; ")).into()
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    if let Some(level) = &cli.log_level {
        logging::check(level).map_err(|error| Wrong(format!("--log-level: {error:#}")))?;
    }
    match &cli.verb {
        Verb::Serve => serve::serve(&cli, wiring::Mode::Serve, || {
            // What the log says of files should be found from anywhere.
            let path = std::path::absolute(wiring::config_path(cli.config.as_deref())?)?;
            let config = wiring::load(&path)?;
            Ok((path, config))
        }),
        Verb::Localserve(arguments) => serve::serve(&cli, wiring::Mode::Develop, || {
            let path = localserve::prepare(arguments, wiring::now())?;
            let config = wiring::load(&path)?;
            Ok((path, config))
        }),
        Verb::Config(verb) => config_verb(&cli, verb),
        Verb::Setaccountpassword { account } => client::set_password(&cli, account),
        Verb::Ctl(verb) => client::ask(
            &cli,
            match verb {
                CtlVerb::Reload => Request::Reload,
                CtlVerb::Stop => Request::Stop,
                CtlVerb::Status { output } => Request::Status { json: output.json },
                CtlVerb::Blocked(BlockedVerb::List { output }) => Request::BlockedList { json: output.json },
                CtlVerb::Blocked(BlockedVerb::Lift { name, output }) => {
                    Request::BlockedLift { name: name.clone(), json: output.json }
                }
                CtlVerb::Loglevel { filter } => Request::LogLevel { filter: filter.clone() },
            },
        ),
        Verb::Mailbox(MailboxVerb::List { account, output }) => {
            let json = output.json;
            client::ask_about(&cli, account, |account, configured| Request::MailboxList {
                account,
                configured,
                json,
            })
        }
        Verb::Message(verb) => message_verb(&cli, verb.clone()),
        Verb::Export { format, account, path, output } => {
            client::export(&cli, *format, account, path, output.json)
        }
        Verb::Import { format, account, mailbox, path, output } => {
            client::import(&cli, *format, account, mailbox, path, output.json)
        }
        Verb::Verifydata { dir, output } => client::verify(dir, output.json),
        Verb::Backup { dir, output } => client::backup(&cli, dir, output.json),
        Verb::Compact { thorough } => client::ask(&cli, Request::Compact { thorough: *thorough }),
        Verb::Spf(verb) => protocols::spf::run(verb),
        Verb::Dkim(verb) => protocols::dkim::run(verb),
        Verb::Dmarc(verb) => protocols::dmarc::run(verb),
        Verb::Iprev { ip, lookup, judged } => protocols::names::iprev(*ip, lookup, *judged),
        Verb::Dnsbl(verb) => protocols::names::dnsbl(verb),
        Verb::Verify(arguments) => protocols::verify::run(arguments),
        Verb::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut pages::command(), "moxd", &mut script);
            console::print(&script)
        }
        Verb::Manpages { dir } => {
            let today = jiff::Timestamp::try_from(wiring::now()).unwrap_or_default();
            pages::write(dir, &today.strftime("%Y-%m-%d").to_string())
        }
    }
}

fn message_verb(cli: &Cli, verb: MessageVerb) -> Result<()> {
    match verb {
        MessageVerb::List { account, mailbox, output } => {
            let json = output.json;
            client::ask_about(cli, &account, |account, configured| Request::MessageList {
                account,
                configured,
                mailbox,
                json,
            })
        }
        MessageVerb::Show { account, id } => {
            client::ask_about(cli, &account, |account, _| Request::MessageShow { account, id })
        }
        MessageVerb::Delete { account, ids } => {
            client::ask_about(cli, &account, |account, _| Request::MessageDelete { account, ids })
        }
    }
}

fn config_verb(cli: &Cli, verb: &ConfigVerb) -> Result<()> {
    match verb {
        ConfigVerb::Test => {
            let path = wiring::config_path(cli.config.as_deref())?;
            let config = wiring::load(&path)?;
            let inspect::Findings { errors, warnings } = inspect::inspect(&config, wiring::now());
            for warning in warnings {
                writeln!(std::io::stderr(), "moxd: warning: {}", text::printable(&warning))?;
            }
            ensure!(errors.is_empty(), "{}", errors.join("\n"));
            let count =
                |number: usize, noun: &str| format!("{number} {noun}{}", if number == 1 { "" } else { "s" });
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
            let accounts = count(config.domains.accounts.len(), "account");
            let domains = count(config.domains.domains.len(), "domain");
            console::print(format!("{name} and domains.toml are valid: {accounts}, {domains}\n").as_bytes())
        }
        ConfigVerb::Example { file: ConfigFile::Moxd } => console::print(config::short_server().as_bytes()),
        ConfigVerb::Example { file: ConfigFile::Domains } => {
            console::print(config::short_domains().as_bytes())
        }
        ConfigVerb::DescribeStatic => console::print(config::example_server().as_bytes()),
        ConfigVerb::DescribeDomains => console::print(config::example_domains().as_bytes()),
    }
}

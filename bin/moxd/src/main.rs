//! moxd, a mail server for people who run their own mail: arguments, dispatch, exit code.

mod client;
mod configuration;
mod control;
mod inspect;
mod logging;
mod opening;
mod serve;
mod verify;
mod version;
mod wiring;

use admin::{Request, keeper, socket};
use anyhow::{Context, Result, ensure};
use cli::{BlockedVerb, Cli, ConfigFile, ConfigVerb, CtlVerb, MailboxVerb, MessageVerb, Verb, Wrong, pages};
use host::logging::Reported;
use host::{terminal, text};
use setup::localserve;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Returns memory to the system after peaks: a thread of jemalloc's gives back what has been unused for a second (see
/// .cargo/config.toml). glibc's allocator keeps such memory, and mimalloc returns it only while the process goes on allocating:
/// a minute after attacks that left the server idle, mimalloc still held up to 57 MiB where jemalloc holds less than 50, at equal
/// processor time for a message. musl lacks what that thread needs, so there memory returns as other memory is freed.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Exit status: the work could not be done.
const FAILED: u8 = 1;
/// Exit status: the arguments are wrong.
const WRONG: u8 = 2;
/// Exit status: the result is not `pass`, and `--exit-code` was given.
const NOT_PASSED: u8 = 3;

fn main() -> ExitCode {
    let result = match keeper::arguments() {
        Some((data, user)) => keeper::keep(&data, user.as_deref(), wiring::OPERATOR_ENVIRONMENT),
        None => cli::parse(version::WHOLE, std::env::args_os()).map_err(misread).and_then(run),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // The result was printed, and there is nothing to add.
        Err(error) if error.is::<checks::NotPassed>() => ExitCode::from(NOT_PASSED),
        Err(error) if error.is::<Reported>() => ExitCode::from(FAILED),
        Err(error) => {
            // Mostly one line; one for each mistake in a configuration.
            for line in format!("{error:#}").lines() {
                // If standard error is closed too, there is no place left to report to.
                let _ = writeln!(std::io::stderr(), "moxd: {}", text::printable(line));
            }
            ExitCode::from(if error.is::<Wrong>() { WRONG } else { FAILED })
        }
    }
}

/// What is wrong with the arguments, in one line. Answers a request for help at once.
fn misread(error: clap::Error) -> anyhow::Error {
    use clap::error::ErrorKind::{
        DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion, MissingSubcommand,
    };
    match error.kind() {
        DisplayHelpOnMissingArgumentOrSubcommand => error.exit(),
        DisplayHelp | DisplayVersion => match terminal::print_styled(&error.render().ansi().to_string()) {
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
        logging::parse(level).map_err(|error| Wrong(format!("--log-level: {error:#}")))?;
    }
    match &cli.verb {
        Verb::Serve => serve::serve(&cli, wiring::Mode::Serve, || {
            // The log names files by paths that can be found from any folder.
            let path = std::path::absolute(configuration::path(cli.config.as_deref())?)?;
            let config = configuration::load(&path)?;
            Ok((path, config))
        }),
        Verb::Localserve(arguments) => serve::serve(&cli, wiring::Mode::Develop, || {
            let folder = localserve::Folder::of(arguments)?;
            // The configuration must not change under a running server.
            ensure!(
                !socket::is_served(&folder.data()),
                "a server runs in {} already: stop it, or name another --dir",
                folder.path().display()
            );
            let path = folder.make(wiring::now(), wiring::random)?;
            let config = configuration::load(&path)?;
            Ok((path, config))
        }),
        Verb::Config(ConfigVerb::Test) => inspect::test(&configuration::path(cli.config.as_deref())?),
        Verb::Config(verb) => terminal::print(example(verb).as_bytes()),
        Verb::Setaccountpassword { account } => client::set_password(&cli, account),
        Verb::Ctl(verb) => client::ask(&cli, &control_request(verb)),
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
            client::import(&cli, (*format, path), account, mailbox, output.json)
        }
        Verb::Verifydata { dir, output } => admin::client::verify(dir, output.json),
        Verb::Backup { dir, output } => admin::client::backup(&client::place(&cli)?, dir, output.json),
        Verb::Compact { thorough } => client::ask(&cli, &Request::Compact { thorough: *thorough }),
        Verb::Spf(verb) => checks::spf::run(verb, wiring::now()),
        Verb::Dkim(verb) => checks::dkim::run(verb, wiring::now(), wiring::random),
        Verb::Dmarc(verb) => checks::dmarc::run(verb),
        Verb::Iprev { ip, lookup, judged } => checks::names::iprev(*ip, lookup, *judged),
        Verb::Dnsbl(verb) => checks::names::dnsbl(verb),
        Verb::Verify(arguments) => verify::run(arguments),
        Verb::Completions { shell } => terminal::print(&cli::completions(*shell)),
        Verb::Manpages { dir } => write_man_pages(dir),
    }
}

fn control_request(verb: &CtlVerb) -> Request {
    match verb {
        CtlVerb::Reload => Request::Reload,
        CtlVerb::Stop => Request::Stop,
        CtlVerb::Status { output } => Request::Status { json: output.json },
        CtlVerb::Blocked(BlockedVerb::List { output }) => Request::BlockedList { json: output.json },
        CtlVerb::Blocked(BlockedVerb::Lift { name, output }) => {
            Request::BlockedLift { name: name.clone(), json: output.json }
        }
        CtlVerb::Loglevel { filter } => Request::LogLevel { filter: filter.clone() },
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

/// The example configuration that a verb prints.
fn example(verb: &ConfigVerb) -> String {
    match verb {
        ConfigVerb::Test => String::new(),
        ConfigVerb::Example { file: ConfigFile::Moxd } => config::short_server().to_owned(),
        ConfigVerb::Example { file: ConfigFile::Domains } => config::short_domains().to_owned(),
        ConfigVerb::DescribeStatic => config::example_server(),
        ConfigVerb::DescribeDomains => config::example_domains(),
    }
}

fn write_man_pages(folder: &Path) -> Result<()> {
    let today = jiff::Timestamp::try_from(wiring::now()).unwrap_or_default();
    let about = pages::About {
        version: version::NUMBER,
        date: &today.strftime("%Y-%m-%d").to_string(),
        server_example: &config::example_server(),
        domains_example: &config::example_domains(),
    };
    pages::write(folder, &about).with_context(|| format!("write the man pages to {}", folder.display()))
}

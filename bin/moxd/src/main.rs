//! moxd, a mail server for people who run their own mail: arguments, dispatch, exit code.

mod atrest;
mod blocked;
mod cli;
mod client;
mod console;
mod ctl;
mod delta;
mod export;
mod frames;
mod import;
mod keeper;
mod localserve;
mod logging;
mod monitoring;
mod privileges;
mod protocols;
mod request;
mod serve;
mod sources;
mod summary;
mod system;
mod text;
mod tls;
mod wiring;

use anyhow::{Context, Result};
use clap::{CommandFactory, Parser};
use cli::{BlockedVerb, Cli, ConfigVerb, CtlVerb, MailboxVerb, MessageVerb, Verb, Wrong};
use request::Request;
use std::io::Write;
use std::process::ExitCode;

/// It could not be done.
const FAILED: u8 = 1;
/// The arguments are wrong.
const WRONG: u8 = 2;
/// The result is not `pass`, and `--exit-code` was given.
const NOT_PASSED: u8 = 3;

fn main() -> ExitCode {
    match Cli::try_parse().map_err(misread).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        // The result was printed, and there is nothing to add.
        Err(error) if error.is::<protocols::NotPassed>() => ExitCode::from(NOT_PASSED),
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

/// What is wrong with the arguments, in one line. Who asked for help gets it here and now.
fn misread(error: clap::Error) -> anyhow::Error {
    use clap::error::ErrorKind::{
        DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion, MissingSubcommand,
    };
    match error.kind() {
        DisplayHelp | DisplayHelpOnMissingArgumentOrSubcommand | DisplayVersion => error.exit(),
        // The library's own words list the hidden verbs too.
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
        Verb::Serve => {
            let path = wiring::config_path(cli.config.as_deref())?;
            let config = wiring::load(&path)?;
            serve::serve(&cli, &path, config, intake::Mode::Serve)
        }
        Verb::Localserve(arguments) => {
            let path = localserve::prepare(arguments, wiring::now())?;
            let config = wiring::load(&path)?;
            serve::serve(&cli, &path, config, intake::Mode::Develop)
        }
        Verb::Keep { data, user } => keeper::keep(data, user.as_deref()),
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
            let (name, json) = (account.clone(), output.json);
            client::ask_about(&cli, account, |configured| Request::MailboxList {
                account: name,
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
            clap_complete::generate(*shell, &mut Cli::command(), "moxd", &mut script);
            console::print(&script)
        }
        Verb::Manpages { dir } => {
            let about = || format!("write the man pages to {}", dir.display());
            std::fs::create_dir_all(dir).with_context(about)?;
            clap_mangen::generate_to(Cli::command(), dir).with_context(about)
        }
    }
}

fn message_verb(cli: &Cli, verb: MessageVerb) -> Result<()> {
    match verb {
        MessageVerb::List { account, mailbox, output } => {
            let (name, json) = (account.clone(), output.json);
            client::ask_about(cli, &account, |configured| Request::MessageList {
                account: name,
                configured,
                mailbox,
                json,
            })
        }
        MessageVerb::Show { account, id } => client::ask(cli, Request::MessageShow { account, id }),
        MessageVerb::Delete { account, ids } => client::ask(cli, Request::MessageDelete { account, ids }),
    }
}

fn config_verb(cli: &Cli, verb: &ConfigVerb) -> Result<()> {
    match verb {
        ConfigVerb::Test => {
            let path = wiring::config_path(cli.config.as_deref())?;
            let config = wiring::load(&path)?;
            logging::check(&config.server.log.level).with_context(|| path.display().to_string())?;
            // The server may run as somebody who can read more, or on another host.
            for error in wiring::unreadable(&config) {
                writeln!(std::io::stderr(), "moxd: warning: {error:#}")?;
            }
            console::print(format!("{} is valid\n", path.display()).as_bytes())
        }
        ConfigVerb::Example | ConfigVerb::DescribeStatic => {
            console::print(config::example_server().as_bytes())
        }
        ConfigVerb::DescribeDomains => console::print(config::example_domains().as_bytes()),
    }
}

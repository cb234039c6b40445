//! What `--help` and the man pages say beyond the arguments: examples, exit statuses, files, signals, the environment.

use crate::cli::Cli;
use crate::version;
use anyhow::{Context, Result};
use clap::{Arg, ArgAction, Command, CommandFactory};
use clap_mangen::Man;
use roff::{Inline, Roff, bold, italic, roman};
use std::path::Path;

/// Examples of a verb: what each does, and the command.
type Examples = &'static [(&'static str, &'static str)];

/// The examples, by verb.
const EXAMPLES: &[(&str, Examples)] = &[
    (
        "moxd",
        &[
            ("Try it, with nothing to prepare", "moxd localserve"),
            ("Check the configuration, then serve", "moxd config test && moxd serve"),
            ("Look at the mail of an account", "moxd message list alice@example.org"),
        ],
    ),
    (
        "moxd serve",
        &[
            ("Serve as /etc/moxd/moxd.toml says", "moxd serve"),
            (
                "See every line of the sessions, without passwords",
                "moxd --log-level info,smtpserver=trace serve",
            ),
        ],
    ),
    (
        "moxd localserve",
        &[
            ("Run beside another server", "moxd localserve --port-offset 1000"),
            ("Check incoming mail as a real server does", "moxd localserve --dns 127.0.0.1"),
            (
                "See how a program deals with a full mailbox",
                "swaks --server 127.0.0.1:1025 --from you@example.org --to user452@localhost",
            ),
        ],
    ),
    (
        "moxd config",
        &[
            (
                "Begin with two short files",
                "moxd config example >moxd.toml; moxd config example domains.toml >domains.toml",
            ),
            ("Find every mistake", "moxd --config config/moxd.toml config test"),
        ],
    ),
    ("moxd config test", &[("Check before a reload", "moxd config test && moxd ctl reload")]),
    (
        "moxd config example",
        &[(
            "Write both files",
            "moxd config example >moxd.toml; moxd config example domains.toml >domains.toml",
        )],
    ),
    (
        "moxd setaccountpassword",
        &[("Set a password from a script", "pwgen 16 1 | tee password | moxd setaccountpassword alice")],
    ),
    (
        "moxd ctl",
        &[
            ("Take a new certificate, or a new account", "moxd ctl reload"),
            ("Stop, and wait until the data is free", "moxd ctl stop"),
        ],
    ),
    (
        "moxd ctl loglevel",
        &[
            ("Watch sessions for a while", "moxd ctl loglevel info,smtpserver=trace"),
            ("Back to normal", "moxd ctl loglevel info"),
        ],
    ),
    (
        "moxd message",
        &[(
            "Which messages are unread?",
            "moxd message list alice --json | jq '.[] | select(.flags | index(\"seen\") | not)'",
        )],
    ),
    ("moxd message show", &[("Read message 17", "moxd message show alice 17 | less")]),
    (
        "moxd backup",
        &[
            (
                "Make a folder that the server's user can write to",
                "install -d -o moxd -m 0700 /var/backups/moxd",
            ),
            ("Copy the mail while the server runs", "moxd backup /var/backups/moxd/2026-11-28"),
        ],
    ),
    ("moxd verifydata", &[("Check a backup", "moxd verifydata /var/backups/moxd/2026-11-28")]),
    ("moxd export", &[("All mail of an account as Maildirs", "moxd export maildir alice alice-mail")]),
    (
        "moxd import",
        &[("Old mail into a mailbox of its own", "moxd import mbox alice Archive/2019 old.mbox")],
    ),
    (
        "moxd spf",
        &[(
            "May this address send for example.org?",
            "moxd spf check --ip 192.0.2.1 --mailfrom you@example.org",
        )],
    ),
    (
        "moxd dkim",
        &[
            (
                "Make a key, and its DNS record",
                "moxd dkim keygen ed25519 --out 2026a.pem && moxd dkim txt 2026a.pem",
            ),
            ("Verify a message", "moxd dkim verify message.eml"),
        ],
    ),
    ("moxd dmarc", &[("Which policy holds for a domain?", "moxd dmarc lookup example.org")]),
    ("moxd iprev", &[("What is this address called?", "moxd iprev 192.0.2.1")]),
    ("moxd dnsbl", &[("Is this address on a list?", "moxd dnsbl check zen.spamhaus.org 192.0.2.1")]),
    (
        "moxd verify",
        &[(
            "Everything about a message",
            "moxd verify --ip 192.0.2.1 --helo mail.example.org --mailfrom you@example.org message.eml",
        )],
    ),
    ("moxd completions", &[("For bash", "moxd completions bash >/etc/bash_completion.d/moxd")]),
    ("moxd manpages", &[("Read one of them", "moxd manpages man; man man/moxd.1")]),
];

/// Statuses of every verb.
const STATUSES: &[(&str, &str)] = &[
    ("0", "The work was done. A verification that ends in fail is work done."),
    ("1", "It could not be done. One line on standard error says what failed, where, and what to do."),
    ("2", "The arguments are wrong."),
    ("3", "With --exit-code: the result is not pass."),
];

const FILES: &[(&str, &str)] = &[
    (
        "./config/moxd.toml",
        "The configuration, if it is there. Root takes it only from folders that are root's alone.",
    ),
    ("/etc/moxd/moxd.toml", "The configuration otherwise."),
    ("domains.toml", "Domains and accounts, beside moxd.toml."),
    (
        "data",
        "Mail and state, beside the folder of the configuration; /var/lib/moxd for /etc/moxd/moxd.toml.",
    ),
    ("data/ctl", "The socket through which verbs talk to the running server."),
];

const SIGNALS: &[(&str, &str)] = &[
    (
        "SIGTERM, SIGINT",
        "Take no new connections, let running transactions end (a few seconds), exit with 0.",
    ),
    ("SIGHUP", "Read domains.toml, the DKIM keys and the certificates again, as moxd ctl reload does."),
];

const ENVIRONMENT: &[(&str, &str)] = &[
    ("NO_COLOR, CLICOLOR, TERM", "No colours if NO_COLOR is set, CLICOLOR is 0, or TERM is dumb."),
    ("NOTIFY_SOCKET", "The server tells the service manager READY=1, RELOADING=1 and STOPPING=1 there."),
    ("LISTEN_FDS", "Sockets that the service manager has opened are taken where their address and port fit."),
    ("JOURNAL_STREAM", "Lines for the system's journal have their priority and no time of their own."),
    ("XDG_DATA_HOME", "Where localserve keeps its folder; ~/.local/share otherwise."),
];

/// The command line with its examples.
pub(crate) fn command() -> Command {
    with_examples(Cli::command(), "moxd")
}

fn with_examples(command: Command, path: &str) -> Command {
    let command = command.mut_subcommands(|sub| {
        let path = format!("{path} {}", sub.get_name());
        with_examples(sub, &path)
    });
    match examples(path) {
        [] => command,
        examples => {
            let lines = examples.iter().map(|(what, example)| format!("  {what}:\n      {example}"));
            command.after_help(format!("Examples:\n{}", lines.collect::<Vec<_>>().join("\n")))
        }
    }
}

fn examples(path: &str) -> Examples {
    EXAMPLES.iter().find(|(verb, _)| *verb == path).map(|(_, examples)| *examples).unwrap_or_default()
}

/// Writes all man pages into a folder. `date` is theirs, such as `2026-11-28`.
pub(crate) fn write(folder: &Path, date: &str) -> Result<()> {
    let about = || format!("write the man pages to {}", folder.display());
    std::fs::create_dir_all(folder).with_context(about)?;
    let mut command = Cli::command();
    command.build();
    let mut pages = Vec::new();
    verb_pages(&command, "moxd", date, &mut pages)?;
    for (name, what, text) in [
        ("moxd.toml", "configuration of the moxd mail server", config::example_server()),
        ("domains.toml", "domains and accounts of the moxd mail server", config::example_domains()),
    ] {
        pages.push((format!("{name}.5"), file_page(name, what, &text, date)));
    }
    pages.iter().try_for_each(|(name, page)| std::fs::write(folder.join(name), page)).with_context(about)
}

/// The page of a verb, and those of the verbs below it.
fn verb_pages(command: &Command, path: &str, date: &str, pages: &mut Vec<(String, String)>) -> Result<()> {
    let name = path.replace(' ', "-");
    let page = Man::new(command.clone())
        .title(name.to_uppercase())
        .section("1")
        .date(date)
        .source(format!("moxd {}", version::NUMBER))
        .manual("moxd manual");
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    let mut roff = Roff::new();
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    roff.control("SH", ["NAME"]).text([roman(format!("{name} - {}", lower(&about)))]);
    roff.control("SH", ["SYNOPSIS"]).text(synopsis(command, path));
    text.extend(roff.render().into_bytes());
    page.render_description_section(&mut text)?;
    if command.get_arguments().any(|arg| !arg.is_hide_set()) {
        page.render_options_section(&mut text)?;
    }
    if command.has_subcommands() {
        page.render_subcommands_section(&mut text)?;
    }
    text.extend(further(path).into_bytes());
    pages.push((format!("{name}.1"), tidy(&text)));
    let mut subs = command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help");
    subs.try_for_each(|sub| verb_pages(sub, &format!("{path} {}", sub.get_name()), date, pages))
}

fn lower(about: &str) -> String {
    let mut letters = about.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_lowercase).collect();
    let rest = letters.as_str();
    // A name such as SPF keeps its capitals.
    if rest.starts_with(char::is_uppercase) { about.to_owned() } else { first + rest }
}

/// The arguments with their values, those for every verb left to moxd(1).
fn synopsis(command: &Command, path: &str) -> Vec<Inline> {
    let mut words = vec![bold(path)];
    let shown =
        |arg: &&Arg| !arg.is_hide_set() && (path == "moxd" || !arg.is_global_set()) && arg.get_id() != "help";
    for arg in command.get_arguments().filter(shown) {
        let value = || arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
        let value = value().unwrap_or_else(|| arg.get_id().to_string().to_uppercase());
        let dots = if matches!(arg.get_action(), ArgAction::Append) { "..." } else { "" };
        let (open, close) = if arg.is_required_set() { ("", "") } else { ("[", "]") };
        words.push(roman(format!(" {open}")));
        match arg.get_long() {
            Some(long) => words.push(bold(format!("--{long}"))),
            None => words.push(italic(value.clone())),
        }
        if arg.get_long().is_some() && arg.get_action().takes_values() {
            words.extend([roman(" "), italic(value)]);
        }
        words.push(roman(format!("{close}{dots}")));
    }
    if command.has_subcommands() {
        words.extend([roman(" "), italic("VERB")]);
    }
    words
}

/// The sections after the arguments.
fn further(path: &str) -> String {
    let mut roff = Roff::new();
    let mut list = |title: &str, rows: &[(&str, &str)]| {
        roff.control("SH", [title]);
        for (term, text) in rows {
            roff.control("TP", []).text([bold(*term)]).text([roman(*text)]);
        }
    };
    let examples = examples(path);
    if !examples.is_empty() {
        let rows: Vec<_> = examples.iter().map(|(what, example)| (*example, *what)).collect();
        list("EXAMPLES", &rows);
    }
    let serves = matches!(path, "moxd" | "moxd serve" | "moxd localserve");
    list("EXIT STATUS", STATUSES);
    if serves {
        list("SIGNALS", SIGNALS);
    }
    if serves || path.starts_with("moxd c") {
        list("FILES", FILES);
    }
    if serves {
        list("ENVIRONMENT", ENVIRONMENT);
    }
    let parent = path.rsplit_once(' ').map_or("moxd", |(parent, _)| parent).replace(' ', "-");
    let mut also = vec!["moxd(1)".to_owned(), "moxd.toml(5)".to_owned(), "domains.toml(5)".to_owned()];
    if parent != "moxd" {
        also.insert(0, format!("{parent}(1)"));
    }
    roff.control("SH", ["SEE ALSO"]).text([roman(also.join(", "))]);
    roff.render()
}

/// The page of a configuration file: the annotated example says what every setting means.
fn file_page(name: &str, what: &str, example: &str, date: &str) -> String {
    let mut roff = Roff::new();
    let source = format!("moxd {}", version::NUMBER);
    roff.control("TH", [name.to_uppercase().as_str(), "5", date, source.as_str(), "moxd manual"]);
    roff.control("SH", ["NAME"]).text([roman(format!("{name} - {what}"))]);
    roff.control("SH", ["DESCRIPTION"]).text([roman(
        "The file is TOML. What follows is a valid file with every setting: lines with ## explain, a line with one # is a \
         setting that may be left out, with the value that it has then, or with an example where it has none.",
    )]);
    roff.control("PP", []).control("nf", []);
    for line in example.lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    roff.control("SH", ["FILES"]);
    for (term, text) in FILES {
        roff.control("TP", []).text([bold(*term)]).text([roman(*text)]);
    }
    roff.control("SH", ["SEE ALSO"])
        .text([roman("moxd(1), moxd-config-test(1), moxd.toml(5), domains.toml(5)")]);
    tidy(roff.render().as_bytes())
}

/// A page without blanks at the ends of its lines, and without empty lines, which mean nothing good in a page.
fn tidy(page: &[u8]) -> String {
    let text = String::from_utf8_lossy(page);
    let mut out = String::new();
    let mut literal = false;
    let mut before = "";
    for line in text.lines().map(str::trim_end) {
        literal = match line {
            ".nf" => true,
            ".fi" => false,
            _ => literal,
        };
        // One line break after another is none.
        let is_again = line == ".br" && before == ".br";
        if literal || !line.is_empty() && !is_again {
            out.push_str(line);
            out.push('\n');
            before = line;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_of_a_verb_and_can_be_read() {
        for (path, examples) in EXAMPLES {
            let mut command = Cli::command();
            command.build();
            let sub =
                path.split(' ').skip(1).try_fold(&command, |command, name| command.find_subcommand(name));
            assert!(sub.is_some(), "{path}");
            for (_, example) in *examples {
                let ours =
                    example.split(['|', ';', '&']).map(str::trim).filter(|part| part.starts_with("moxd "));
                for part in ours {
                    let part = part.split(" >").next().unwrap();
                    let read = Cli::command().try_get_matches_from(part.split_whitespace());
                    assert!(read.is_ok(), "{part}: {}", read.unwrap_err());
                }
            }
        }
    }

    #[test]
    fn pages_have_the_sections_that_readers_look_for() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "2026-11-28").unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let page = read("moxd-serve.1");
        for section in ["NAME", "SYNOPSIS", "EXAMPLES", "\"EXIT STATUS\"", "SIGNALS", "FILES", "ENVIRONMENT"]
        {
            assert!(page.contains(&format!(".SH {section}\n")), "{section}\n{page}");
        }
        assert!(page.starts_with(".ie") || page.contains(".TH MOXD-SERVE 1 2026-11-28 "), "{page}");
        assert!(read("moxd-localserve.1").contains("temperror"), "the special local parts");
        assert!(read("domains.toml.5").contains("catchall_separators"));
        assert!(!folder.path().join("moxd-keep.1").exists() && !folder.path().join("moxd-help.1").exists());
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.lines().all(|line| line == line.trim_end()), "{}", path.display());
        }
    }
}

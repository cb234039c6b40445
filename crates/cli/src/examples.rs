//! Examples of the verbs, for `--help` and the man pages.

use clap::Command;

/// Examples of a verb: what each does, and the command.
pub(crate) type Examples = &'static [(&'static str, &'static str)];

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

/// The command at this path, with the examples of its verbs in their help.
pub(crate) fn with_examples(command: Command, path: &str) -> Command {
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

/// The examples of the verb at this path, such as `moxd config test`.
pub(crate) fn examples(path: &str) -> Examples {
    EXAMPLES.iter().find(|(verb, _)| *verb == path).map(|(_, examples)| *examples).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cli;
    use clap::CommandFactory;

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
}

//! The man pages: what the command line says, and beyond it exit statuses, files, signals and the environment.

use crate::Cli;
use crate::examples::examples;
use clap::{Arg, ArgAction, Command, CommandFactory};
use clap_mangen::Man;
use roff::{Inline, Roff, bold, italic, roman};
use std::path::Path;
use std::{fs, io};

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

/// What the pages say that the command line does not know.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The version of the program.
    pub version: &'a str,
    /// The date of the pages, such as `2026-11-28`.
    pub date: &'a str,
    /// The annotated moxd.toml.
    pub server_example: &'a str,
    /// The annotated domains.toml.
    pub domains_example: &'a str,
}

/// Writes all man pages into a folder, which is made if it does not exist.
///
/// # Errors
/// A file or the folder cannot be written.
pub fn write(folder: &Path, about: &About<'_>) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    all(about)?.iter().try_for_each(|(name, page)| fs::write(folder.join(name), page))
}

/// All man pages: the name of each file, and its text.
fn all(about: &About<'_>) -> io::Result<Vec<(String, String)>> {
    // Without a version there would be no option `--version`.
    let mut command = Cli::command().version("");
    command.build();
    let mut pages = Vec::new();
    verb_pages(&command, "moxd", about, &mut pages)?;
    for (name, what, text) in [
        ("moxd.toml", "configuration of the moxd mail server", about.server_example),
        ("domains.toml", "domains and accounts of the moxd mail server", about.domains_example),
    ] {
        pages.push((format!("{name}.5"), file_page(name, what, text, about)));
    }
    Ok(pages)
}

/// The page of a verb, and those of the verbs below it.
fn verb_pages(
    command: &Command,
    path: &str,
    about: &About<'_>,
    pages: &mut Vec<(String, String)>,
) -> io::Result<()> {
    let name = path.replace(' ', "-");
    let page = Man::new(command.clone())
        .title(name.to_uppercase())
        .section("1")
        .date(about.date)
        .source(format!("moxd {}", about.version))
        .manual("moxd manual");
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    let mut roff = Roff::new();
    let purpose = command.get_about().map(ToString::to_string).unwrap_or_default();
    roff.control("SH", ["NAME"]).text([roman(format!("{name} - {}", lower(&purpose)))]);
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
    subs.try_for_each(|sub| verb_pages(sub, &format!("{path} {}", sub.get_name()), about, pages))
}

fn lower(purpose: &str) -> String {
    let mut letters = purpose.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_lowercase).collect();
    let rest = letters.as_str();
    // A name such as SPF keeps its capitals.
    if rest.starts_with(char::is_uppercase) { purpose.to_owned() } else { first + rest }
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
fn file_page(name: &str, what: &str, example: &str, about: &About<'_>) -> String {
    let mut roff = Roff::new();
    let source = format!("moxd {}", about.version);
    roff.control("TH", [name.to_uppercase().as_str(), "5", about.date, source.as_str(), "moxd manual"]);
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

/// Removes blanks at line ends, and empty lines, which troff would print as gaps.
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
        // A second line break in a row would print as a gap.
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
    use std::collections::BTreeMap;

    #[test]
    fn pages_have_the_sections_that_readers_look_for() {
        let about = About {
            version: "0.1.0",
            date: "2026-11-28",
            server_example: "## The name.\nhostname = \"mx.example\"\n",
            domains_example: "[domains.\"a.example\"]\n",
        };
        let pages: BTreeMap<String, String> = all(&about).unwrap().into_iter().collect();
        let read = |name: &str| pages[name].as_str();
        let page = read("moxd-serve.1");
        for section in ["NAME", "SYNOPSIS", "EXAMPLES", "\"EXIT STATUS\"", "SIGNALS", "FILES", "ENVIRONMENT"]
        {
            assert!(page.contains(&format!(".SH {section}\n")), "{section}\n{page}");
        }
        assert!(page.starts_with(".ie") || page.contains(".TH MOXD-SERVE 1 2026-11-28 "), "{page}");
        assert!(read("moxd-localserve.1").contains("temperror"), "the special local parts");
        assert!(read("moxd.toml.5").contains("hostname"));
        assert!(read("domains.toml.5").contains("a.example"));
        assert!(!pages.contains_key("moxd-help.1"));
        for (name, text) in &pages {
            assert!(text.lines().all(|line| line == line.trim_end()), "{name}");
        }
    }
}

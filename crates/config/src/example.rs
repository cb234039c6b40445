//! Prints annotated examples from the table of settings.

use std::fmt::Write as _;

use crate::schema::{Child, Key, Sample, Section, Shape};
use crate::{domains, server};

/// Widest line of a printed example.
const WIDTH: usize = 110;

/// An annotated `moxd.toml` with every setting. It is a valid file.
pub fn example_server() -> String {
    print(&server::SECTION)
}

/// An annotated `domains.toml` with every setting. It is a valid file.
pub fn example_domains() -> String {
    print(&domains::SECTION)
}

/// A short `moxd.toml` to start with. Together with [`short_domains`] it works unchanged.
pub fn short_server() -> &'static str {
    include_str!("../testdata/good/short-example/moxd.toml")
}

/// A short `domains.toml` to start with.
pub fn short_domains() -> &'static str {
    include_str!("../testdata/good/short-example/domains.toml")
}

fn print(root: &Section) -> String {
    let mut out = String::new();
    comment(&mut out, root.doc);
    keys(&mut out, "", root.keys);
    children(&mut out, "", "", root.children);
    out
}

fn comment(out: &mut String, lines: &[&str]) {
    for line in lines {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}", format!("## {line}").trim_end());
    }
}

/// Prints settings. `mark` is `#` in a section that is commented out.
fn keys(out: &mut String, mark: &str, keys: &[Key]) {
    for Key { name, sample, doc } in keys {
        out.push('\n');
        comment(out, doc);
        match sample {
            Sample::Required(value) | Sample::Chosen(value) | Sample::Instead(_, value) => {
                assign(out, mark, name, value)
            }
            Sample::Default(value) | Sample::Optional(value) => assign(out, "#", name, value),
        }
    }
}

/// Prints one setting; a list that is too wide for a line gets a line for each element.
fn assign(out: &mut String, mark: &str, name: &str, value: &str) {
    let line = format!("{mark}{name} = {value}");
    if line.len() <= WIDTH {
        out.push_str(&line);
    } else {
        out.push_str(
            &line.replace("[\"", &format!("[\n{mark}    \"")).replace(", ", &format!(",\n{mark}    ")),
        );
    }
    out.push('\n');
}

fn children(out: &mut String, mark: &str, path: &str, children: &[Child]) {
    for Child { name, shape, is_optional, section } in children {
        let path = if path.is_empty() { (*name).to_owned() } else { format!("{path}.{name}") };
        let headers = match shape {
            Shape::One => vec![(format!("[{path}]"), path)],
            Shape::List => vec![(format!("[[{path}]]"), path)],
            Shape::Named(names) => names
                .iter()
                .map(|name| format!("{path}.{}", quoted(name)))
                .map(|path| (format!("[{path}]"), path))
                .collect(),
        };
        for (i, (header, path)) in headers.iter().enumerate() {
            // A second name only shows another form of the name.
            let mark = if *is_optional || i > 0 { "#" } else { mark };
            out.push('\n');
            // The documentation is not repeated for the second example of a section.
            comment(out, if i == 0 { section.doc } else { &[] });
            let _ = writeln!(out, "{mark}{header}");
            if i == 0 {
                keys(out, mark, section.keys);
                children_of(out, mark, path, section);
            }
        }
    }
}

fn children_of(out: &mut String, mark: &str, path: &str, section: &Section) {
    children(out, mark, path, section.children);
}

/// A name as a TOML key, in quotes where needed.
fn quoted(name: &str) -> String {
    let bare = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if bare { name.to_owned() } else { format!("\"{name}\"") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, parse};

    /// Uncomments every setting of an example.
    fn all_written(example: &str) -> String {
        let uncomment = |line: &str| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with('#') => format!("{setting}\n"),
            _ => format!("{line}\n"),
        };
        example.lines().map(uncomment).collect()
    }

    #[track_caller]
    fn check(server: &str, domains: &str) -> Config {
        match parse((server, "moxd.toml"), (domains, "domains.toml")) {
            Ok(config) => config,
            Err(problems) => panic!("{problems:#?}\n{server}\n{domains}"),
        }
    }

    #[test]
    fn examples_are_valid_as_they_stand() {
        let config = check(&example_server(), &example_domains());
        assert_eq!(config.server.hostname.as_str(), "mail.example.org");
        assert_eq!(config.server.listeners.len(), 1);
        assert_eq!(config.server.listeners[0].tls, [], "no file has to be there first");
        let alice = &config.domains.accounts["alice"];
        // Nothing stands in it that has to be deleted first.
        assert_eq!(alice.destinations.len(), 1);
        assert!(alice.junk_flags.is_none() && alice.destinations[0].rulesets.is_empty());
        assert!(config.domains.domains.values().all(|domain| domain.dkim.selectors.is_empty()));
        assert_eq!(config.questions(), []);
    }

    #[test]
    fn the_short_pair_works_as_it_stands() {
        let config = check(short_server(), short_domains());
        assert_eq!(config.server.listeners[0].tls, [], "no file has to be there first");
        assert_eq!(config.questions(), []);
        let with_tls = all_written(&short_server().replace("smtp = { starttls = false }", ""));
        let config = check(&with_tls, &all_written(short_domains()));
        assert!(config.server.listeners[0].submissions.is_some() && config.server.user.is_some());
    }

    #[test]
    fn every_default_is_valid_and_what_is_taken_without_it() {
        let short = check(&example_server(), &example_domains());
        let all = check(&all_written(&example_server()), &all_written(&example_domains()));
        assert_eq!(short.server.limits, all.server.limits);
        assert_eq!(short.server.timeouts, all.server.timeouts);
        assert_eq!(short.server.log, all.server.log);
        assert_eq!(short.server.data_dir, all.server.data_dir);
        assert_eq!(short.server.max_message_size, all.server.max_message_size);
        // A setting without a default takes the value of the example.
        assert_eq!((short.server.user, all.server.user.as_deref()), (None, Some("moxd")));
        let account = &all.domains.accounts["alice"];
        assert_eq!(account.full_name.as_deref(), Some("Alice Example"));
        assert_eq!(short.domains.accounts["alice"].max_messages_per_day, account.max_messages_per_day);
        assert_eq!(account.destinations.len(), 2);
        assert!(account.junk_flags.is_some() && !account.destinations[0].rulesets.is_empty());
    }

    #[test]
    fn lines_are_not_too_wide() {
        for line in (example_server() + &example_domains()).lines() {
            assert!(line.chars().count() <= WIDTH + 10, "{line}");
        }
    }
}

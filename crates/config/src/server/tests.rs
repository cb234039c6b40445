use super::*;
use crate::{Problem, parse_server};
use std::path::Path;
use std::time::Duration;

const SHORT: &str = r#"
hostname = "localhost"
[postmaster]
account = "mox"
[listeners.local]
ips = ["127.0.0.1"]
smtp = { port = 2525, starttls = false }
"#;

#[track_caller]
fn server(origin: &str, text: &str) -> Server {
    match parse_server(text, origin) {
        Ok(server) => server,
        Err(problems) => panic!("{}", problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")),
    }
}

#[test]
fn a_few_lines_are_enough() {
    let server = server("/srv/mail/config/moxd.toml", SHORT);
    assert_eq!(server.hostname.as_str(), "localhost");
    assert_eq!(server.data_dir, Path::new("/srv/mail/data"));
    assert_eq!(server.max_message_size, 100 << 20);
    assert_eq!(server.timeouts.command, Duration::from_secs(300));
    assert_eq!(server.limits.connections_per_minute, [300, 900, 2700]);
    assert_eq!(server.limits.messages_per_minute, [500, 1500, 4500]);
    assert_eq!((server.user, server.metrics, server.pedantic, server.cram_md5), (None, None, false, false));
    assert!(server.scram_plus);
    assert_eq!(
        (server.postmaster.account.as_str(), server.postmaster.mailbox.as_str()),
        ("mox", "Postmaster")
    );
    let [listener] = server.listeners.as_slice() else { panic!("one listener") };
    assert_eq!(listener.name, "local");
    assert_eq!(listener.smtp, Some(Smtp { port: 2525, starttls: false, require_starttls: false }));
    assert_eq!((&listener.submission, &listener.submissions), (&None, &None));
}

#[test]
fn listeners_come_in_the_order_of_their_names() {
    let more: String = ["zone", "b", "a2", "a10"]
        .iter()
        .zip(5000..)
        .map(|(name, port)| {
            format!(
                "[listeners.{name}]\nips = [\"127.0.0.1\"]\nsmtp = {{ port = {port}, starttls = false }}\n"
            )
        })
        .collect();
    let server = server("moxd.toml", &format!("{SHORT}{more}"));
    let names: Vec<_> = server.listeners.iter().map(|listener| listener.name.as_str()).collect();
    assert_eq!(names, ["a10", "a2", "b", "local", "zone"]);
}

#[test]
fn paths_start_at_the_folder_of_the_file() {
    let with = |dir: &str| SHORT.replace("[postmaster]", &format!("data_dir = {dir:?}\n[postmaster]"));
    for (origin, dir, expected) in [
        ("config/moxd.toml", "../data", "data"),
        ("moxd.toml", "../data", "../data"),
        ("/etc/moxd/moxd.toml", "/var/lib/moxd", "/var/lib/moxd"),
        ("/etc/moxd/moxd.toml", "./data/x/../y", "/etc/moxd/data/y"),
        ("../config/moxd.toml", "../../data", "../../data"),
    ] {
        assert_eq!(server(origin, &with(dir)).data_dir, Path::new(expected), "{origin} {dir}");
    }
}

#[test]
fn services_can_be_switched_off() {
    let text =
        SHORT.replace("port = 2525", "enabled = false") + "submission = { require_starttls = false }\n";
    let listener = server("moxd.toml", &text).listeners.remove(0);
    assert_eq!(listener.smtp, None);
    assert_eq!(listener.submission, Some(Submission { port: 587, require_starttls: false }));
}

#[test]
fn certificates_come_in_their_order() {
    let tls = r#"
[[listeners.local.tls]]
certificate = "a.crt"
key = "/keys/a.key"
[[listeners.local.tls]]
certificate = "b.crt"
key = "b.key"
"#;
    let listener = server("/c/moxd.toml", &format!("{SHORT}{tls}")).listeners.remove(0);
    let paths: Vec<_> =
        listener.tls.iter().flat_map(|t| [&t.certificate, &t.key]).map(|p| p.to_str().unwrap()).collect();
    assert_eq!(paths, ["/c/a.crt", "/keys/a.key", "/c/b.crt", "/c/b.key"]);
}

#[test]
fn the_data_of_a_system_is_not_kept_below_etc() {
    for (origin, expected) in [
        ("/etc/moxd/moxd.toml", "/var/lib/moxd"),
        ("/etc/moxd/../moxd/moxd.toml", "/etc/moxd/../data"),
        ("/etc/mail/moxd.toml", "/etc/data"),
        ("/srv/mail/config/moxd.toml", "/srv/mail/data"),
    ] {
        assert_eq!(server(origin, SHORT).data_dir, Path::new(expected), "{origin}");
    }
    let given = SHORT.replace("[postmaster]", "data_dir = \"../data\"\n[postmaster]");
    assert_eq!(server("/etc/moxd/moxd.toml", &given).data_dir, Path::new("/etc/data"));
}

#[test]
fn says_where_the_data_is_whatever_else_is_wrong() {
    let text = "hostnam = 1\ndata_dir = \"../var\"\nuser = \"mail\"\n[listeners.x]\nprot = 25\n";
    let place = crate::parse_data_place(text, "/srv/config/moxd.toml").unwrap();
    let expected = DataPlace { data_dir: "/srv/var".into(), user: Some("mail".to_owned()) };
    assert_eq!(place, expected);
    for bad in ["data_dir = 5\n", "data_dir = \"x\n", "data_dir = \"a\"\nuser = 7\n"] {
        assert!(crate::parse_data_place(bad, "moxd.toml").is_err(), "{bad}");
    }
}

#[test]
fn tells_in_which_settings_two_versions_differ() {
    let old = server("moxd.toml", SHORT);
    assert_eq!(old.differences(&server("moxd.toml", &format!("\n# moved\n{SHORT}"))), [""; 0]);
    let text = SHORT.replace("port = 2525", "port = 2526").replace("\"localhost\"", "\"mail.example.org\"")
        + "[log]\nlevel = \"debug\"\n[listeners.more]\nips = [\"::1\"]\nsmtp = { starttls = false }\n";
    let names = old.differences(&server("moxd.toml", &text));
    assert_eq!(names, ["hostname", "log.level", "listeners.local", "listeners.more"]);
}

/// The texts of what is wrong with moxd.toml.
#[track_caller]
fn wrong(text: &str) -> Vec<String> {
    parse_server(text, "moxd.toml").unwrap_err().iter().map(Problem::to_string).collect()
}

#[test]
fn says_what_is_no_address_and_what_to_write() {
    let text = SHORT.replace("127.0.0.1", "0.0.0.256")
        + "[log]\nuser = \"moxd\"\nlevel = \"info,smtpserve=debug\"\n";
    let text = format!("dns_servers = [\"9.9.9.9\", \"::1\"]\nmetrics = \"localhost:8010\"\n{text}");
    let problems = wrong(&text).join("\n");
    for expected in [
        "moxd.toml:1: dns_servers[0]: \"9.9.9.9\" has no port; write \"9.9.9.9:53\" [",
        "moxd.toml:1: dns_servers[1]: \"::1\" has no port; write \"[::1]:53\" [",
        "metrics: \"localhost:8010\" is not an IP address with port; give one such as \"127.0.0.1:8010\"",
        "listeners.local.ips[0]: \"0.0.0.256\" is not an IP address; give one such as \"192.0.2.1\" or \"::1\"",
        "log.user: no such setting; user belongs above the first [section]",
        "log.level: there is no part \"smtpserve\"; did you mean smtpserver?",
    ] {
        assert!(problems.contains(expected), "{expected}\n{problems}");
    }
}

#[test]
fn says_where_a_file_stops_being_toml() {
    let [problem] = wrong("hostname = \"mail.example.org\n").try_into().unwrap();
    assert!(problem.starts_with("moxd.toml:1: ") && problem.contains("at column "), "{problem}");
    assert!(problem.contains(r#"of "hostname = \"mail.example.org"; check the quotes"#), "{problem}");
    let twice = format!("{SHORT}[listeners.local]\n");
    let [problem] = wrong(&twice).try_into().unwrap();
    assert!(problem.contains(":8: [listeners.local] is there twice, first in line 5; keep one"), "{problem}");
    let [problem] = wrong("hostname = \"a.example\"\n\n hostname=\"b.example\"\n").try_into().unwrap();
    assert!(problem.contains(":3: hostname is there twice, first in line 1; keep one"), "{problem}");
}

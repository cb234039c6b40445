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

//! The operator's side of a server: reloads, `config test`, the log, metrics.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs, reason = "test code")]

mod common;

use common::client::Smtp;
use common::run::{MOXD, moxd, run};
use common::server::{METRICS, Process, SMTP, text};
use common::site::{DOMAINS, Site};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        println!("skipped: only root can become another user");
    }
    root
}

fn with_carol() -> String {
    format!("{DOMAINS}[accounts.carol.destinations]\n\"carol@localhost\" = {{}}\n")
}

fn message(subject: &str) -> Vec<u8> {
    format!("From: you@client.example\r\nSubject: {subject}\r\n\r\nhello\r\n").into_bytes()
}

impl Site {
    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A DKIM key of localhost, and the lines of domains.toml for it.
    fn dkim(&self, algorithm: &str) -> String {
        let key = text(&self.path("config/dkim.key"));
        moxd(["dkim", "keygen", algorithm, "--out", &key]).done();
        "[domains.localhost.dkim]\nsign = [\"s\"]\nselectors.s = { key = \"dkim.key\" }\n".to_owned()
    }
}

#[test]
fn a_reload_does_not_need_the_keys_that_only_root_can_read() {
    if !is_root() {
        return;
    }
    let site = Site::new("user = \"nobody\"");
    site.mode("", 0o755);
    let dkim = site.dkim("ed25519");
    site.write("domains.toml", &format!("{DOMAINS}{dkim}"));
    site.mode("config/mail.key", 0o600);
    site.mode("config/dkim.key", 0o600);
    let mut process = site.start();
    for file in ["mail.key", "dkim.key"] {
        let file = text(&site.path("config").join(file));
        let warning = format!("file={file} owner=\"root 0600\" user=\"nobody\"");
        assert!(
            process.said.lines().any(|line| line.contains("WARN") && line.contains(&warning)),
            "{}",
            process.said
        );
    }
    site.write("domains.toml", &format!("{}{dkim}", with_carol()));
    let notes = site.verb(&["ctl", "reload"]).text();
    assert!(
        notes.contains("mail.key: the key that is loaded stays in use") && notes.contains("chown nobody"),
        "{notes}"
    );
    assert_eq!(notes.lines().count(), 2, "{notes}");
    site.smtp().deliver("you@client.example", &["carol@localhost"], &message("to Carol"));
    // A renewed certificate with the same key is loaded, at a signal too.
    let key = fs::read_to_string(site.path("config/mail.key")).unwrap();
    let key = rcgen::KeyPair::from_pem(&key).unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    site.write("mail.crt", &params.self_signed(&key).unwrap().pem());
    process.signal("HUP");
    process.wait_for(": reloaded");
    drop(Smtp::connect_tls(site.address(2), &site.certificate()));
    // A file without a certificate, and a certificate for another key, are told apart.
    let renewed = site.certificate();
    let stranger = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    for (file, reason) in [
        ("no certificate\n".to_owned(), "mail.crt has no certificate in it"),
        (stranger.cert.pem(), "mail.crt is for another key than the one loaded"),
    ] {
        site.write("mail.crt", &file);
        let why = site.verb(&["ctl", "reload"]).failed();
        assert!(why.contains(reason) && why.ends_with("the certificate loaded before stays in use"), "{why}");
        drop(Smtp::connect_tls(site.address(2), &renewed));
    }
    // A certificate whose new key the server cannot read is not, and the reload reports an error; new accounts work all the
    // same.
    site.make_certificate();
    site.mode("config/mail.key", 0o600);
    site.write("domains.toml", &format!("{DOMAINS}{dkim}"));
    let why = site.verb(&["ctl", "reload"]).failed();
    assert!(
        why.contains("mail.key has changed, but nobody cannot read it") && why.contains("chown nobody"),
        "{why}"
    );
    process.wait_for("ERROR moxd::control: reload: ");
    drop(Smtp::connect_tls(site.address(2), &renewed));
    // Carol is gone again.
    let mut client = site.smtp();
    let reply = client.send("you@client.example", &["carol@localhost"], &message("to nobody"));
    assert!(reply.starts_with("550 5.1.1 "), "{reply}");
    process.signal("TERM");
    assert_eq!(process.end(), Some(0));
}

#[test]
fn a_reload_says_what_it_left() {
    let site = Site::new("");
    let mut process = site.start();
    site.write("domains.toml", &with_carol());
    site.write("mail.key", "no key\n");
    let why = site.verb(&["ctl", "reload"]).failed();
    assert!(why.contains("mail.crt") && why.contains("mail.key"), "{why}");
    process.wait_for("ERROR moxd::control: reload: ");
    site.smtp().deliver("you@client.example", &["carol@localhost"], &message("to Carol"));
    site.make_certificate();
    assert_eq!(site.verb(&["ctl", "reload"]).text(), "");
    let settings = site.moxd_toml("pedantic = true\nlog.level = \"debug\"");
    site.write("moxd.toml", &settings);
    let notes = site.verb(&["ctl", "reload"]).text();
    assert_eq!(notes, "changed in moxd.toml, and in use after a restart: pedantic, log.level\n");
    site.write("moxd.toml", &format!("pedanti = true\n{settings}"));
    let notes = site.verb(&["ctl", "reload"]).text();
    assert!(notes.starts_with("moxd.toml has a mistake, and the next start would fail: "), "{notes}");
    // A failed reload is logged, whether a signal or a verb requested it.
    site.write("domains.toml", "[acounts]\n");
    site.verb(&["ctl", "reload"]).failed();
    process.wait_for("ERROR moxd::control: not reloaded: ");
    process.signal("TERM");
    assert_eq!(process.end(), Some(0));
}

#[test]
fn mistakes_in_the_configuration_do_not_come_between_a_verb_and_the_server() {
    let site = Site::new("");
    let mut process = site.start();
    site.smtp().deliver("you@client.example", &["alice@localhost"], &message("hello"));
    site.write("moxd.toml", "hostnam = 1\n[listeners.x]\nport = \"no\"\n");
    site.write("domains.toml", "[domains.example.org]\n");
    assert!(site.verb(&["ctl", "status"]).text().contains(", up "));
    assert_eq!(site.subjects("alice").len(), 1);
    // If moxd.toml is broken, `--data-dir` names the data directory.
    site.write("moxd.toml", "data_dir = \"../da\n");
    let why = site.verb(&["ctl", "status"]).failed();
    assert!(why.contains("name the folder with --data-dir DIR"), "{why}");
    let data = text(&site.path("data"));
    assert!(moxd(["--data-dir", &data, "ctl", "status"]).text().contains(", up "));
    let list = ["--data-dir", &data, "message", "list", "alice", "--json"];
    assert_eq!(moxd(list).json().as_array().unwrap().len(), 1);
    moxd(["--data-dir", &data, "ctl", "stop"]).done();
    assert_eq!(process.end(), Some(0));
    assert_eq!(moxd(list).json().as_array().unwrap().len(), 1);
}

#[test]
fn accounts_go_by_address_and_in_any_case() {
    let site = Site::new("");
    let mut process = site.start();
    site.smtp().deliver("you@client.example", &["alice@localhost"], &message("hello"));
    for name in ["alice", "Alice", "sales@localhost", "ALICE@localhost"] {
        assert_eq!(site.subjects(name).len(), 1, "{name}");
        assert!(site.verb(&["message", "show", name, "1"]).text().contains("hello"), "{name}");
    }
    site.set_password("alice@localhost", "correct horse").done();
    let mut client = site.submission();
    assert!(client.auth("PLAIN", "alice@localhost", "correct horse").starts_with("235 "));
    process.signal("TERM");
    assert_eq!(process.end(), Some(0));
}

/// Runs `config test`; returns its exit status and its lines.
#[track_caller]
fn tested(site: &Site) -> (Option<i32>, String) {
    let ended = site.verb(&["config", "test"]);
    (ended.status, ended.stderr)
}

fn certificate(site: &Site, host: &str, until: (i32, u8, u8)) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
    site.write("mail.crt", &params.self_signed(&key).unwrap().pem());
    site.write("mail.key", &key.serialize_pem());
    site.mode("config/mail.key", 0o600);
}

#[test]
fn config_test_finds_what_would_keep_the_server_from_its_work() {
    let site = Site::new("");
    certificate(&site, "localhost", (2200, 1, 1));
    assert_eq!(tested(&site), (Some(0), String::new()));
    let finds = |words: &[&str]| {
        let (status, lines) = tested(&site);
        assert_eq!(status, Some(1), "{lines}");
        assert!(words.iter().all(|words| lines.contains(words)), "{words:?}\n{lines}");
        assert!(!lines.contains("warning"), "{lines}");
    };
    // Dates and names.
    certificate(&site, "localhost", (2001, 2, 3));
    finds(&["listeners.public.tls: ", "mail.crt has expired on 2001-02-03; renew it"]);
    certificate(&site, "mail.example", (2200, 1, 1));
    finds(&["mail.crt is for mail.example, not for localhost: get a certificate for that name"]);
    // The files.
    certificate(&site, "localhost", (2200, 1, 1));
    let [crt, key] =
        ["mail.crt", "mail.key"].map(|name| fs::read_to_string(site.path("config").join(name)).unwrap());
    site.write("mail.crt", &key);
    site.write("mail.key", &crt);
    finds(&["mail.crt has no certificate in it: have certificate and key changed places?"]);
    site.write("mail.crt", &crt);
    site.write("mail.key", &rcgen::KeyPair::generate().unwrap().serialize_pem());
    finds(&["mail.key is not the key of ", "mail.crt: "]);
    fs::remove_file(site.path("config/mail.key")).unwrap();
    finds(&["read ", "mail.key: No such file"]);
    fs::remove_file(site.path("config/mail.crt")).unwrap();
    finds(&["read ", "mail.crt: No such file"]);
    certificate(&site, "localhost", (2200, 1, 1));
    // DKIM, the spare key too.
    let dkim = site.dkim("ed25519").replace("[\"s\"]", "[]");
    let with = |key: &str| site.write("domains.toml", &format!("{DOMAINS}{}", dkim.replace("{ key", key)));
    with("{ algorithm = \"rsa-sha256\", key");
    finds(&["DKIM selector s of localhost: ", "dkim.key is a key of another kind than its algorithm says"]);
    with("{ key");
    assert_eq!(tested(&site), (Some(0), String::new()));
    fs::remove_file(site.path("config/dkim.key")).unwrap();
    finds(&["DKIM selector s of localhost: ", "dkim.key: No such file"]);
    // A file that is not UTF-8.
    fs::write(site.path("config/domains.toml"), b"[domains.localhost]\n# \xff\n").unwrap();
    finds(&["domains.toml:2: is not UTF-8"]);
}

#[test]
fn config_test_warns_of_keys_that_others_can_use_and_the_server_cannot() {
    let site = Site::new("");
    certificate(&site, "localhost", (2200, 1, 1));
    let warns = |words: &str| {
        let (status, lines) = tested(&site);
        assert_eq!(status, Some(0), "{lines}");
        assert!(lines.starts_with("moxd: warning: ") && lines.contains(words), "{words}\n{lines}");
    };
    site.mode("config/mail.key", 0o644);
    warns("everyone on this host can use the private key");
    site.mode("config/mail.key", 0o660);
    warns("a group can replace the private key");
    site.mode("config/mail.key", 0o640);
    assert_eq!(tested(&site), (Some(0), String::new()));
    site.write("domains.toml", &format!("{DOMAINS}[accounts.carol]\n"));
    warns("accounts.carol: has no address");
    if !is_root() {
        return;
    }
    site.write("domains.toml", DOMAINS);
    site.mode("", 0o755);
    site.mode("config/mail.key", 0o600);
    site.write("moxd.toml", &site.moxd_toml("user = \"nobody\""));
    warns("nobody cannot read ");
    warns("mail.key (root 0600): a reload keeps the version read at the start");
    let mut command = Command::new(MOXD);
    command.args(["--config", "moxd.toml", "config", "test"]).current_dir(site.path("config"));
    let ended = run(command, b"");
    assert!(ended.stderr.contains("nobody cannot read mail.key (root 0600): "), "{}", ended.stderr);
    site.mode("config", 0o700);
    warns(&format!("(in {})", text(&site.path("config"))));
    // A user who may not read the key cannot check it.
    site.write("moxd.toml", &site.moxd_toml(""));
    site.mode("config", 0o755);
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups", MOXD]);
    command.args(site.arguments(&["config", "test"])).current_dir("/");
    let ended = run(command, b"");
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("warning: not checked: listeners.public.tls: read "), "{}", ended.stderr);
    fs::create_dir(site.path("data")).unwrap();
    site.write("moxd.toml", &site.moxd_toml("user = \"nobody\""));
    let (status, lines) = tested(&site);
    assert_eq!(status, Some(1), "{lines}");
    assert!(lines.contains("belongs to root and not to nobody"), "{lines}");
}

#[test]
fn the_log_begins_with_what_runs_on_what() {
    let site = Site::new("log.format = \"json\"");
    let mut process = site.start();
    process.signal("TERM");
    assert_eq!(process.end(), Some(0));
    let lines: Vec<Value> = process.said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let fields = &lines[0]["fields"];
    assert_eq!(fields["message"], "starting");
    assert!(fields["version"].as_str().unwrap().starts_with(env!("CARGO_PKG_VERSION")), "{fields}");
    assert_eq!(fields["config"], text(&site.path("config/moxd.toml")));
    assert_eq!(fields["data_dir"], text(&site.path("data")));
    assert!(fields["user"].is_string(), "{fields}");
    let new = format!("new store made at {}", text(&site.path("data")));
    assert!(lines.iter().any(|line| line["fields"]["message"] == new), "{}", process.said);
    let as_root =
        lines.iter().any(|line| line["fields"]["message"].as_str().unwrap().starts_with("moxd runs as root"));
    assert_eq!(as_root, nix::unistd::geteuid().is_root(), "{}", process.said);
    // The log has absolute paths.
    let mut command = Command::new(MOXD);
    command.args(["--config", "moxd.toml", "serve"]).current_dir(site.path("config")).stdin(Stdio::null());
    let mut process = Process::start(&mut command);
    process.wait_for("\"message\":\"ready\"");
    let starting: Value = serde_json::from_str(process.said.lines().next().unwrap()).unwrap();
    assert_eq!(starting["fields"]["config"], text(&site.path("config/moxd.toml")));
    assert_eq!(starting["fields"]["data_dir"], text(&site.path("data")));
    process.signal("TERM");
    assert_eq!(process.end(), Some(0));
    let again = site.start();
    assert!(!again.said.contains("new store"), "{}", again.said);
    // An error that keeps the server from starting has the form of the log too.
    let second = site.verb(&["serve"]);
    assert_eq!(second.status, Some(1));
    let last: Value = serde_json::from_str(second.stderr.lines().last().unwrap()).unwrap();
    assert!(last["fields"]["message"].as_str().unwrap().starts_with("listen on "), "{last}");
    let nowhere = moxd(["--log-format", "json", "--config", "/nowhere/moxd.toml", "serve"]);
    let line: Value = serde_json::from_str(nowhere.stderr.trim_end()).unwrap();
    assert_eq!((nowhere.status, &line["level"]), (Some(1), &Value::from("ERROR")), "{line}");
}

#[test]
fn json_has_the_connection_once_and_filters_no_typing_mistakes() {
    let site = Site::new("log.format = \"json\"");
    let mut process = site.start();
    let why = site.verb(&["ctl", "loglevel", "info,smtpserve=trace"]).failed();
    assert!(why.ends_with("there is no part \"smtpserve\"; did you mean smtpserver?"), "{why}");
    let why = site.verb(&["--log-level", "smtp=trace", "ctl", "status"]).wrong_arguments();
    assert!(why.starts_with("--log-level: ") && why.contains("there is no part \"smtp\""), "{why}");
    drop(site.smtp());
    let line: Value = serde_json::from_str(&process.wait_for("connection closed")).unwrap();
    assert!(line["span"]["cid"].is_string() && line.get("spans").is_none(), "{line}");
    process.signal("TERM");
    assert_eq!(process.end(), Some(0));
}

#[test]
fn the_journal_gets_priorities_and_one_time() {
    let site = Site::new("");
    let mut command = Command::new("sh");
    command
        .args(["-c", "JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec \"$0\" \"$@\"", MOXD])
        .args(site.arguments(&["serve"]))
        .stdin(Stdio::null());
    let mut process = Process::start(&mut command);
    let line = process.wait_for(": ready");
    assert_eq!(line, "<6> INFO moxd::serve: ready");
    process.signal("TERM");
    assert_eq!(process.end(), Some(0));
    assert!(
        process.said.lines().all(|line| line.starts_with("<6>") || line.starts_with("<4>")),
        "{}",
        process.said
    );
}

/// Runs moxd with a terminal as its standard error, and returns what the terminal receives.
fn on_a_terminal(site: &Site, variable: (&str, &str)) -> String {
    let pty = nix::pty::openpty(None, None).unwrap();
    let mut command = site.command();
    // The variable CI turns colours on, so the test must not inherit it.
    for inherited in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI"] {
        command.env_remove(inherited);
    }
    command.env("TERM", "xterm").env(variable.0, variable.1).stderr(pty.slave);
    let mut child = command.spawn().unwrap();
    // This process closes its copies, so that reading ends when moxd ends.
    drop(command);
    let mut terminal = fs::File::from(pty.master);
    let (mut said, mut piece) = (String::new(), [0; 4096]);
    while !said.contains("ready") {
        let read = terminal.read(&mut piece).unwrap();
        said.push_str(&String::from_utf8_lossy(&piece[..read]));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    said
}

/// Is there an SGR sequence? Others move the cursor, as a progress bar does.
fn has_colours(said: &str) -> bool {
    let mut sequences = said.split("\u{1b}[").skip(1);
    sequences.any(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m'))
}

#[test]
fn colours_are_for_terminals_whose_owner_wants_them() {
    let site = Site::new("");
    assert!(has_colours(&on_a_terminal(&site, ("LANG", "C"))));
    for variable in [("NO_COLOR", "1"), ("TERM", "dumb"), ("CLICOLOR", "0")] {
        let said = on_a_terminal(&site, variable);
        assert!(!has_colours(&said), "{variable:?}: {said}");
    }
}

/// Returns the answer to a request, up to the end of the connection, which the server does not keep for a second one.
fn http(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "{request} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn metrics_are_at_their_path_and_there_from_the_start() {
    let site = Site::new("");
    let address = SocketAddr::from(([127, 0, 0, 1], site.ports[0] - SMTP + METRICS));
    site.write("moxd.toml", &site.moxd_toml(&format!("metrics = \"{address}\"")));
    let mut process = site.start();
    for (request, status) in [
        ("GET /metrics", "200 OK"),
        ("GET /metrics?name=x", "200 OK"),
        ("HEAD /metrics", "200 OK"),
        ("GET /", "404 Not Found"),
        ("GET /metricsx", "404 Not Found"),
        ("POST /metrics", "405 Method Not Allowed"),
    ] {
        let answer = http(address, request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request}: {answer}");
    }
    let page = http(address, "GET /metrics");
    for line in [
        "mox_smtpserver_delivery_total{result=\"delivered\",reason=\"\"} 0",
        "mox_panic_total{pkg=\"smtpserver\"} 0",
        "# TYPE process_start_time_seconds gauge",
        "# TYPE mox_store_disk_free_bytes gauge",
    ] {
        assert!(page.lines().any(|have| have == line), "{line}\n{page}");
    }
    let build = format!("mox_build_info{{version=\"{}\",commit=\"", env!("CARGO_PKG_VERSION"));
    assert!(page.contains(&build), "{page}");
    let expiry =
        page.lines().find(|line| line.starts_with("mox_tls_certificate_not_after_timestamp_seconds{file=\""));
    assert!(expiry.unwrap().contains("mail.crt\"} "), "{page}");
    process.signal("TERM");
    assert_eq!(process.end(), Some(0));
}

/// The documented fields of all events with this name in a JSON log.
fn events(log: &str, name: &str) -> Vec<Value> {
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut events: Vec<Value> =
        lines.map(|line| line["fields"].clone()).filter(|fields| fields["message"] == name).collect();
    for event in &mut events {
        event.as_object_mut().unwrap().remove("message");
    }
    events
}

#[test]
fn the_log_answers_whether_a_mail_came() {
    let site = Site::new("log.format = \"json\"");
    site.set_password("alice", "correct horse").done();
    let mut process = site.start();
    let mail = b"From: you@client.example\r\nMessage-ID: <Nr1@client.example>\r\n\r\nhello\r\n";
    let mut client = site.smtp();
    client.deliver("you@client.example", &["Alice+x@localhost", "any@xn--bcher-kva.example"], mail);
    client.expect("MAIL FROM:<>", "250 ");
    client.expect("RCPT TO:<\"a\\ b\"@elsewhere.example>", "550 5.1.1 ");
    client.expect("RSET", "250 ");
    let reply = client.send("you@client.example", &["nobody@localhost"], mail);
    assert!(reply.starts_with("550 5.1.1 "), "{reply}");
    // The session refuses these without asking the backend.
    client.expect("MAIL FROM:<you@client.example> SIZE=99999999999", "552 5.3.4 ");
    client.expect("MAIL FROM:<>", "250 ");
    client.expect("RCPT TO:<alice@localhost>", "250 ");
    client.expect("RCPT TO:<second@localhost>", "452 4.5.3 ");
    client.expect("RSET", "250 ");
    client.expect("MAIL FROM:<you@client.example>", "250 ");
    client.expect("RCPT TO:<alice@localhost>", "250 ");
    client.expect("DATA", "354 ");
    client.expect("From: you@client.example\r\n\r\nhello\n.\nbye\r\n.", "500 5.5.2 ");
    let mut user = site.submission();
    user.expect("MAIL FROM:<alice@localhost>", "530 ");
    assert!(user.auth("PLAIN", "alice@localhost", "correct horse").starts_with("235 "));
    let mail = b"From: alice@localhost\r\nMessage-ID: <Nr2@localhost>\r\n\r\nhello\r\n";
    user.deliver("alice@localhost", &["bob@xn--bcher-kva.example"], mail);
    user.expect("MAIL FROM:<bob@localhost>", "550 5.7.1 ");
    user.expect("MAIL FROM:<alice@localhost>", "250 ");
    user.expect("RCPT TO:<you@elsewhere.example>", "550 5.1.1 ");
    user.expect("RSET", "250 ");
    let forged = b"From: bob@localhost\r\n\r\nhello\r\n";
    let reply = user.send("alice@localhost", &["alice@localhost"], forged);
    assert!(reply.starts_with("550 5.7.1 "), "{reply}");
    process.signal("TERM");
    assert_eq!(process.end(), Some(0));

    let short = |event: &Value| {
        let word = |key: &str| event[key].as_str().unwrap().to_owned();
        let [from, to, account, mailbox] = ["from", "to", "account", "mailbox"].map(word);
        format!(
            "{from} {to} {account} {mailbox} {} {} {}",
            word("message_id"),
            word("verdict"),
            event["code"]
        )
    };
    let delivered = events(&process.said, "delivery");
    let lines: Vec<String> = delivered.iter().map(short).collect();
    let expected = [
        "you@client.example Alice+x@localhost alice Inbox Nr1@client.example accept 250",
        "you@client.example any@b\u{fc}cher.example bob Rest Nr1@client.example accept 250",
        " \"a b\"@elsewhere.example    reject 550",
        "you@client.example nobody@localhost   Nr1@client.example reject 550",
        "you@client.example     reject 552",
        " second@localhost    reject 452",
        "you@client.example alice@localhost alice   reject 500",
    ];
    assert_eq!(lines, expected);
    assert_eq!(delivered[0]["size"], 69, "{delivered:?}");
    assert!(delivered[3]["reason"].as_str().unwrap().contains("no such user"), "{delivered:?}");
    let submitted = events(&process.said, "submission");
    let lines: Vec<String> = submitted.iter().map(short).collect();
    let expected = [
        "alice@localhost     reject 530",
        "alice@localhost bob@b\u{fc}cher.example bob Rest Nr2@localhost accept 250",
        "bob@localhost     reject 550",
        "alice@localhost you@elsewhere.example    reject 550",
        "alice@localhost alice@localhost alice   reject 550",
    ];
    assert_eq!(lines, expected);
    let keys = ["account", "code", "from", "mailbox", "message_id", "reason", "size", "to", "verdict"];
    for event in delivered.iter().chain(&submitted) {
        common::run::has_keys(event, &keys);
    }
}

//! A server from a configuration file: whose mail it takes, what it reads again on request, and how it fits into a
//! system.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

mod common;

use common::client::Smtp;
use common::run::{MOXD, has_keys, moxd, run};
use common::server::{Process, text};
use common::site::{DOMAINS, Site};
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Alice has mailing lists.
const RULESETS: &str = r#"
[[accounts.alice.destinations."alice@localhost".rulesets]]
mail_from = '^cooking-bounces@'
verified_domain = "lists.example"
mailbox = "Lists/Cooking"

[[accounts.alice.destinations."alice@localhost".rulesets]]
headers = [['^subject$', '^\[rust\]']]
mailbox = "Lists/Rust"
"#;

fn message(subject: &str) -> Vec<u8> {
    format!("From: you@client.example\r\nSubject: {subject}\r\n\r\nhello\r\n").into_bytes()
}

#[test]
fn who_is_held_back_is_listed_and_lifted() {
    let limits = "[limits]\nfailed_logins_per_minute = [2, 30, 90]\nfailed_logins_per_account_per_day = 2\n";
    let site = Site::new("");
    site.write("moxd.toml", &format!("{}\n{limits}", site.moxd_toml("")));
    site.set_password("alice", "moxmoxmox").done();
    let _process = site.start();
    let list = || site.verb(&["ctl", "blocked", "list", "--json"]).json();
    assert_eq!(list(), serde_json::json!([]));
    let mut client = site.submission();
    for _ in 0..2 {
        let reply = client.auth("PLAIN", "alice+shop@localhost", "wrong horse");
        assert!(reply.starts_with("535 5.7.8 "), "{reply}");
    }
    let blocked = list();
    let rows = blocked.as_array().unwrap();
    let named: Vec<_> = rows.iter().map(|row| (row["what"].as_str(), row["kind"].as_str())).collect();
    assert_eq!(named, [(Some("127.0.0.1"), Some("address")), (Some("alice"), Some("account"))]);
    for row in rows {
        has_keys(row, &["what", "kind", "until"]);
        assert!(row["until"].as_str().unwrap().ends_with('Z'), "{row}");
    }
    let table = site.verb(&["ctl", "blocked", "list"]).text();
    assert!(table.starts_with("WHAT ") && table.lines().count() == 3, "{table}");
    let mut refused = Smtp::open(site.address(1));
    assert!(refused.reply().starts_with("421 4.7.0 too many auth failures"));

    let why = site.verb(&["ctl", "blocked", "lift", "192.0.2.1"]).failed();
    assert!(why.contains("192.0.2.1 is not held back"), "{why}");
    assert!(site.verb(&["ctl", "blocked", "lift", "bob"]).failed().contains("bob is not held back"));
    let lifted = site.verb(&["ctl", "blocked", "lift", "127.0.0.1", "--json"]).json();
    assert_eq!(lifted.as_array().unwrap().len(), 1);
    assert_eq!(list().as_array().unwrap().len(), 1);
    assert!(site.submission().auth("PLAIN", "alice@localhost", "moxmoxmox").starts_with("235 "));
    // Without a name, all blocks are lifted; an address can stand for its account.
    site.submission().auth("PLAIN", "alice@localhost", "wrong horse");
    site.submission().auth("PLAIN", "alice@localhost", "wrong horse");
    let lifted = site.verb(&["ctl", "blocked", "lift", "sales@localhost"]).text();
    assert!(lifted.contains("alice") && lifted.contains("account"), "{lifted}");
    assert_eq!(site.verb(&["ctl", "blocked", "lift", "--json"]).json().as_array().unwrap().len(), 1);
    assert_eq!(list(), serde_json::json!([]));
}

#[test]
fn mail_goes_to_whom_it_is_for() {
    let site = Site::new("");
    let mut process = site.start();
    let mut client = site.smtp();
    for (to, subject) in [
        ("alice@localhost", "to Alice"),
        ("ALICE+list@LOCALHOST", "to Alice by a list"),
        ("sales@localhost", "to sales"),
        ("anybody@xn--bcher-kva.example", "to anybody"),
        ("postmaster@localhost", "to the postmaster"),
        ("postmaster", "to the postmaster, short"),
    ] {
        client.deliver("you@client.example", &[to], &message(subject));
    }
    // One message for two accounts.
    client.deliver(
        "you@client.example",
        &["alice@localhost", "x@xn--bcher-kva.example"],
        &message("to both"),
    );
    let pair = |mailbox: &str, subject: &str| (mailbox.to_owned(), subject.to_owned());
    let alice = [
        pair("Inbox", "to Alice"),
        pair("Inbox", "to Alice by a list"),
        pair("Work/Sales", "to sales"),
        pair("Inbox", "to the postmaster"),
        pair("Inbox", "to the postmaster, short"),
        pair("Inbox", "to both"),
    ];
    assert_eq!(site.subjects("alice"), alice);
    assert_eq!(site.subjects("bob"), [pair("Rest", "to anybody"), pair("Rest", "to both")]);

    client.expect("MAIL FROM:<you@client.example>", "250 ");
    client.expect("RCPT TO:<alice@elsewhere.example>", "550 5.1.1 not accepting email for domain");
    client.expect("RCPT TO:<alice@[127.0.0.1]>", "550 5.1.1 not accepting email for ip");
    process.signal("TERM");
    assert_eq!(process.end(), Some(0));
}

#[test]
fn users_send_to_each_other_in_their_own_names() {
    let site = Site::new("");
    site.write("domains.toml", &format!("{DOMAINS}[domains.\"signed.example\".dkim]\nsign = [\"s\"]\n\
        selectors.s = {{ key = \"dkim.key\" }}\n[accounts.carol.destinations]\n\"carol@signed.example\" = {{}}\n"));
    let key = text(&site.path("config/dkim.key"));
    assert_eq!(moxd(["dkim", "keygen", "ed25519", "--out", &key]).text(), "");
    assert_eq!(site.set_password("carol", "battery staple").text(), "");
    let mut process = site.start();
    let mut client = site.submission();
    assert!(client.auth("SCRAM-SHA-256", "carol@signed.example", "battery staple").starts_with("235 "));
    let message = b"Return-Path: <before@elsewhere.example>\r\nBcc: alice@localhost\r\n\
        From: Carol <carol@signed.example>\r\nSubject: between users\r\n\r\nhello\r\n";
    client.deliver("carol@signed.example", &["alice@localhost", "x@xn--bcher-kva.example"], message);
    for account in ["alice", "bob"] {
        let kept = String::from_utf8(site.verb(&["message", "show", account, "1"]).done()).unwrap();
        assert!(kept.contains("\r\nDKIM-Signature: v=1; d=signed.example; s=s; "), "{kept}");
        assert!(kept.contains("smtp.mailfrom=carol@signed.example\r\nFrom: Carol"), "{kept}");
        assert!(!kept.contains("before@elsewhere.example") && !kept.contains("\r\nBcc:"), "{kept}");
    }
    client.expect("MAIL FROM:<alice@localhost>", "550 5.7.1 must match authenticated user");
    client.expect("MAIL FROM:<carol@signed.example>", "250 ");
    client.expect("RCPT TO:<nobody@localhost>", "550 5.1.1 no such user");
    client.expect("RCPT TO:<you@elsewhere.example>", "550 5.1.1 ");
    process.signal("TERM");
    assert_eq!(process.end(), Some(0));
}

#[test]
fn rulesets_put_mail_where_they_say() {
    let site = Site::new("");
    let plain: Vec<_> = DOMAINS.lines().filter(|line| !line.starts_with("\"alice@")).collect();
    site.write("domains.toml", &(plain.join("\n") + RULESETS));
    let mut process = site.start();
    let mut client = site.smtp();
    let mut expected = Vec::new();
    for (from, to, subject, mailbox) in [
        ("cooking-bounces@lists.example", "alice@localhost", "soup", "Lists/Cooking"),
        // Not sorted as list mail: an unproven domain, a tag not at the start of the subject, and another address.
        ("cooking-bounces@client.example", "alice@localhost", "spam", "Inbox"),
        ("you@client.example", "alice@localhost", "[Rust] traits", "Lists/Rust"),
        ("you@client.example", "alice+x@localhost", "Re: [rust] traits", "Inbox"),
        ("you@client.example", "sales@localhost", "[rust] traits", "Work/Sales"),
    ] {
        client.deliver(from, &[to], &message(subject));
        expected.push((mailbox.to_owned(), subject.to_owned()));
    }
    assert_eq!(site.subjects("alice"), expected);
    process.signal("TERM");
    assert_eq!(process.end(), Some(0));
}

#[test]
fn who_tries_addresses_out_waits_but_never_for_the_end_of_the_server() {
    let site = Site::new("");
    let mut process = site.start();
    let mut client = site.smtp();
    // A client that has not sent a message yet does not learn which addresses exist.
    client.begin("you@client.example", &["nobody@localhost"]);
    client.write(b"Subject: for nobody\r\n\r\nhello\r\n.\r\n");
    process.signal("TERM");
    let reply = client.reply();
    assert!(reply.starts_with("550 5.1.1 no such user"), "{reply}");
    drop(client);
    assert_eq!(process.end(), Some(0));
    // The configuration has Alice, and the store has no mail for her yet.
    assert_eq!(site.verb(&["message", "list", "alice", "--json"]).json(), serde_json::json!([]));
    let why = site.verb(&["mailbox", "list", "eve"]).failed();
    assert_eq!(why, "there is no account \"eve\" in the store");
}

#[test]
fn clients_cannot_keep_the_server_from_stopping() {
    let site = Site::new("timeouts.stop = \"1s\"");
    let mut process = site.start();
    let mut client = site.smtp();
    client.begin("you@client.example", &["alice@localhost"]);
    client.write(b"Subject: never finished\r\n");
    let mut verb = UnixStream::connect(site.path("data/ctl")).unwrap();
    process.signal("TERM");
    // Byte by byte, for as long as the server reads.
    let taken = (0..600).take_while(|_| {
        std::thread::sleep(Duration::from_millis(100));
        verb.write_all(b" ").is_ok()
    });
    assert!(taken.count() < 600, "it runs on:\n{}", process.said);
    assert_eq!(process.end(), Some(0));
}

#[test]
fn the_control_socket_outlives_a_lack_of_files() {
    let site = Site::new("limits.enabled = false");
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -n 128; exec \"$0\" \"$@\"", MOXD])
        .args(site.arguments(&["serve"]))
        .stdin(Stdio::null());
    let mut process = Process::start(&mut command);
    process.wait_for("ready");
    let early: Vec<_> = (0..128).map(|_| UnixStream::connect(site.path("data/ctl")).unwrap()).collect();
    process.wait_for("control socket: accepting a connection failed");
    drop(early);
    // The new connection waits in the kernel's queue until the server accepts again.
    assert!(site.verb(&["ctl", "status"]).text().contains(", up "));
    process.signal("TERM");
    assert_eq!(process.end(), Some(0));
}

#[test]
fn passwords_need_tls_and_are_taken_once_set() {
    let site = Site::new("");
    // Before the server runs, and so before there is a data directory.
    assert_eq!(site.set_password("alice", "correct horse").text(), "");
    let mut process = site.start();
    let mut client = Smtp::connect(site.address(1));
    client.hello();
    assert!(!client.extensions.contains("PLAIN"), "{}", client.extensions);
    client.expect("AUTH PLAIN AGEAYg==", "538 5.7.11 ");
    // The third failure of a connection would make it slow.
    let mut client = site.submission();
    assert!(client.auth("PLAIN", "alice@localhost", "wrong horse").starts_with("535 5.7.8 "));
    assert!(client.auth("PLAIN", "bob@localhost", "correct horse").starts_with("535 5.7.8 "));
    assert_eq!(client.auth("SCRAM-SHA-256-PLUS", "sales@localhost", "correct horse"), "235 2.7.0 nice\r\n");

    // A password set while the server runs counts at once, for every mechanism, and the old one is refused.
    assert_eq!(site.set_password("alice", "battery staple").text(), "");
    for mechanism in ["PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-1"] {
        let mut client = site.submission();
        assert!(
            client.auth(mechanism, "alice@localhost", "correct horse").starts_with("535 5.7.8 "),
            "{mechanism}"
        );
        assert_eq!(
            client.auth(mechanism, "alice@localhost", "battery staple"),
            "235 2.7.0 nice\r\n",
            "{mechanism}"
        );
    }
    let why = site.set_password("eve", "whatever it is").failed();
    assert_eq!(why, "there is no account \"eve\" in domains.toml");
    let why = site.set_password("alice", "").failed();
    assert!(why.contains("password"), "{why}");
    let mut client = site.submission();
    assert_eq!(client.auth("PLAIN", "alice@localhost", "battery staple"), "235 2.7.0 nice\r\n");
    process.signal("TERM");
    assert_eq!(process.end(), Some(0));
}

#[test]
fn domains_and_certificates_are_read_again_on_request() {
    let site = Site::new("");
    let mut process = site.start();
    let old = site.certificate();
    let mut client = site.smtp();
    client.expect("MAIL FROM:<you@client.example>", "250 ");
    client.expect("RCPT TO:<carol@new.example>", "550 5.1.1 ");

    let more = format!(
        "{DOMAINS}[domains.\"new.example\"]\n[accounts.carol.destinations]\n\"carol@new.example\" = {{}}\n"
    );
    site.write("domains.toml", &more);
    site.make_certificate();
    assert_ne!(site.certificate(), old);
    // The server loads changed files only at a reload.
    client.expect("RCPT TO:<carol@new.example>", "550 5.1.1 ");
    process.signal("HUP");
    process.wait_for("reloaded");
    client.expect("RSET", "250 ");
    client.deliver("you@client.example", &["carol@new.example"], &message("to Carol"));
    assert_eq!(site.subjects("carol").len(), 1);
    assert!(
        Smtp::open(site.address(2)).handshake(&old).is_err(),
        "the old certificate is not served any more"
    );
    drop(Smtp::connect_tls(site.address(2), &site.certificate()));
    site.submission();

    // With a mistake in the file, everything stays as it was, and the log names the mistake.
    site.write(
        "domains.toml",
        "[domains.localhost]\n[acounts.alice.destinations]\n\"alice@localhost\" = {}\n",
    );
    process.signal("HUP");
    let line = process.wait_for("not reloaded");
    assert!(line.contains("domains.toml:2: acounts: no such setting; did you mean accounts?"), "{line}");
    let ended = site.verb(&["ctl", "reload"]);
    assert_eq!(ended.status, Some(1));
    let place = text(&site.path("config/domains.toml"));
    assert!(ended.stderr.starts_with(&format!("moxd: {place}:2: acounts: ")), "{}", ended.stderr);
    client.deliver("you@client.example", &["carol@new.example"], &message("to Carol again"));
    site.write("domains.toml", &more);
    site.write("mail.key", "no key\n");
    let why = site.verb(&["ctl", "reload"]).failed();
    assert!(why.contains("mail.key") && why.ends_with("the certificate loaded before stays in use"), "{why}");
    drop(Smtp::connect_tls(site.address(2), &site.certificate()));
    process.signal("TERM");
    assert_eq!(process.end(), Some(0));
}

#[test]
fn does_not_start_with_what_cannot_work() {
    let site = Site::new("");
    site.write("mail.key", "no key\n");
    let error = site.verb(&["config", "test"]);
    assert_eq!(error.status, Some(1));
    assert!(
        error.stderr.contains("listeners.public.tls: ") && error.stderr.contains("mail.key"),
        "{}",
        error.stderr
    );
    let why = site.verb(&["--log-level", "error", "serve"]).failed();
    assert!(why.contains("mail.crt") && why.contains("mail.key"), "{why}");
    site.make_certificate();
    site.write("moxd.toml", &site.moxd_toml("user = \"nobody-of-this-name\""));
    let why = site.verb(&["config", "test"]).failed();
    assert!(why.starts_with("user: there is no user \"nobody-of-this-name\"; "), "{why}");
    site.write("moxd.toml", &site.moxd_toml(""));

    let taken = TcpListener::bind(site.address(0)).unwrap();
    let why = site.verb(&["--log-level", "error", "serve"]).failed();
    assert!(why.starts_with(&format!("listen on {}: ", site.address(0))), "{why}");
    assert!(why.contains("choose another port"), "{why}");
    drop(taken);

    fs::write(site.path("data"), "a file\n").unwrap();
    let why = site.verb(&["--log-level", "error", "serve"]).failed();
    assert!(why.contains(&text(&site.path("data"))), "{why}");

    let why = moxd(["--config", "/nowhere/moxd.toml", "serve"]).failed();
    assert!(why.starts_with("read /nowhere/moxd.toml: "), "{why}");
    if is_installed_here() {
        println!("skipped: what moxd does where nothing is configured");
        return;
    }
    let mut command = Command::new(MOXD);
    command.arg("serve").current_dir(site.folder.path().join("config"));
    let why = run(command, b"").failed();
    assert!(why.contains("config/moxd.toml") && why.contains("--config FILE"), "{why}");
}

/// Whether this machine has a moxd of its own, which a command without a configuration would talk to.
fn is_installed_here() -> bool {
    Path::new("/etc/moxd/moxd.toml").exists()
}

#[test]
fn takes_the_sockets_of_the_service_manager_and_tells_it_how_it_goes() {
    let site = Site::new("");
    let socket = TcpListener::bind(site.address(0)).unwrap();
    let manager = UnixDatagram::bind(site.path("notify")).unwrap();
    // The shell has the process id that the server will have, and puts the socket where sockets are handed over.
    let mut command = Command::new("sh");
    command
        .args(["-c", "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" \"$@\"", MOXD])
        .args(site.arguments(&["serve"]))
        .env("NOTIFY_SOCKET", site.path("notify"))
        .stdin(OwnedFd::from(socket));
    let mut process = Process::start(&mut command);
    process.wait_for("ready");
    let mut state = [0; 64];
    let told = |state: &mut [u8]| {
        let length = manager.recv(state).unwrap();
        String::from_utf8(state[..length].to_vec()).unwrap()
    };
    assert_eq!(told(&mut state).trim_end(), "READY=1");
    site.smtp().deliver("you@client.example", &["alice@localhost"], &message("by a socket handed over"));
    process.signal("HUP");
    let reloading = told(&mut state);
    let time = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().trim_end();
    assert!(time.parse::<u64>().unwrap() > 0, "{reloading}");
    assert_eq!(told(&mut state).trim_end(), "READY=1");
    process.signal("TERM");
    assert_eq!(process.end(), Some(0));
    assert_eq!(told(&mut state).trim_end(), "STOPPING=1");
    assert!(!process.said.contains("no listener asks for"), "{}", process.said);
}

#[test]
fn tells_a_service_manager_whose_socket_is_no_file() {
    let site = Site::new("");
    let name = format!("moxd-test-{}", site.address(0).port());
    let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let mut command = site.command();
    command.env("NOTIFY_SOCKET", format!("@{name}"));
    let mut process = Process::start(&mut command);
    process.wait_for(": ready");
    let mut state = [0; 64];
    let length = manager.recv(&mut state).unwrap();
    assert_eq!(std::str::from_utf8(&state[..length]).unwrap().trim_end(), "READY=1");
    process.signal("TERM");
    assert_eq!(process.end(), Some(0));
    assert!(!process.said.contains("cannot notify"), "{}", process.said);
}

#[test]
fn a_stop_before_it_serves_is_one_too() {
    let site = Site::new("");
    let mut process = Process::start(&mut site.command());
    // At the first log line the handler is installed already; without it the signal would kill the process.
    process.wait_for("starting");
    process.signal("TERM");
    assert_eq!(process.end(), Some(0), "{}", process.said);
    assert!(process.said.contains("stopped"), "{}", process.said);
}

#[test]
fn root_becomes_another_user_for_good() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: only root can become another user");
        return;
    }
    let site = Site::new("user = \"nobody\"");
    fs::set_permissions(site.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut process = site.start();
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    let ids = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().map(|id| id.parse::<u32>().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(ids("Uid:"), [nobody.uid.as_raw(); 4]);
    assert_eq!(ids("Gid:"), [nobody.gid.as_raw(); 4]);
    assert!(status.lines().any(|line| line == "CapEff:\t0000000000000000"), "{status}");
    site.smtp().deliver("you@client.example", &["alice@localhost"], &message("without privileges"));
    assert_eq!(site.subjects("alice").len(), 1);
    process.signal("TERM");
    assert_eq!(process.end(), Some(0));
}

/// The files and folders at and below a path, with their metadata.
fn all_below(path: PathBuf) -> Vec<(PathBuf, fs::Metadata)> {
    let meta = fs::symlink_metadata(&path).unwrap();
    let inner: Vec<_> = match meta.is_dir() {
        true => fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect(),
        false => Vec::new(),
    };
    [(path, meta)].into_iter().chain(inner.into_iter().flat_map(all_below)).collect()
}

#[track_caller]
fn assert_private(path: PathBuf) {
    let all = all_below(path);
    assert!(all.len() > 3, "{all:?}");
    for (path, meta) in all {
        assert_eq!(meta.permissions().mode() & 0o077, 0, "{}", path.display());
    }
}

impl Site {
    /// A command of moxd under the usual umask (022).
    fn usual(&self, verb: &[&str]) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", "umask 022; exec \"$0\" \"$@\"", MOXD]).args(self.arguments(verb));
        command
    }
}

#[test]
fn other_users_cannot_read_mail() {
    let site = Site::new("data_dir = \"../var/data\"");
    let data = site.path("var/data");
    // The first verb that needs the folder creates it.
    run(site.usual(&["setaccountpassword", "alice"]), b"correct horse\n").done();
    assert_private(data.clone());
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(site.path("var")), 0o755, "only the data is private");
    fs::remove_dir_all(&data).unwrap();
    let mut process = Process::start(site.usual(&["serve"]).stdin(Stdio::null()));
    process.wait_for("ready");
    let mut client = site.smtp();
    let large = [message("large"), "a line of a large message\r\n".repeat(40_000).into_bytes()].concat();
    client.deliver("you@client.example", &["alice@localhost"], &large);
    client.deliver("you@client.example", &["alice@localhost"], &message("small"));
    assert_private(data.clone());
    let check = |backup: &str, export: &str| {
        run(site.usual(&["backup", &text(&site.path(backup))]), b"").done();
        assert_private(site.path(backup));
        // The exported file belongs to the user who exports.
        run(site.usual(&["export", "mbox", "alice", &text(&site.path(export))]), b"").done();
        assert_eq!(mode(site.path(export)), 0o600);
    };
    check("backup-1", "mbox-1");
    process.signal("TERM");
    assert_eq!(process.end(), Some(0));
    check("backup-2", "mbox-2");
    assert_private(data);
}

#[test]
fn what_root_begins_the_user_of_the_server_goes_on_with() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: only root can become another user");
        return;
    }
    let site = Site::new("user = \"nobody\"");
    fs::set_permissions(site.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap().uid.as_raw();
    let belongs_to_the_user = || {
        for (path, meta) in all_below(site.path("data")) {
            assert_eq!(meta.uid(), nobody, "{}", path.display());
        }
    };
    site.set_password("alice", "correct horse").done();
    belongs_to_the_user();
    // Mail that only root can read, in a folder that only root can enter.
    fs::create_dir(site.path("root")).unwrap();
    fs::set_permissions(site.path("root"), fs::Permissions::from_mode(0o700)).unwrap();
    let (source, out) = (text(&site.path("root/mbox")), text(&site.path("root/out")));
    fs::write(&source, "From a@b.example Tue Nov  3 15:04:05 2026\nSubject: old\n\nhello\n\n").unwrap();
    site.verb(&["import", "mbox", "alice", "Old", &source]).done();
    site.verb(&["export", "maildir", "alice", &out]).done();
    assert_eq!(fs::read_dir(site.path("root/out/Old/cur")).unwrap().count(), 1);
    // This verb reads no configuration.
    moxd(["verifydata", &text(&site.path("data"))]).done();
    belongs_to_the_user();

    let mut process = site.start();
    let mut client = site.submission();
    assert!(client.auth("PLAIN", "alice@localhost", "correct horse").starts_with("235 "));
    process.signal("TERM");
    assert_eq!(process.end(), Some(0));
    assert_eq!(site.subjects("alice"), [("Old".to_owned(), "old".to_owned())]);
    belongs_to_the_user();
}

#[test]
fn links_do_not_give_folders_of_root_away() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: only root gives folders away");
        return;
    }
    let site = Site::new("user = \"nobody\"");
    fs::set_permissions(site.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(site.path("roots")).unwrap();
    symlink(site.path("roots"), site.path("data")).unwrap();
    for why in [
        site.verb(&["--log-level", "error", "serve"]).failed(),
        site.set_password("alice", "correct horse").failed(),
        site.verb(&["export", "mbox", "alice", "-"]).failed(),
    ] {
        assert!(
            why.contains("belongs to root and not to nobody") && why.contains("chown -R nobody:"),
            "{why}"
        );
    }
    assert_eq!(fs::metadata(site.path("roots")).unwrap().uid(), 0);
    assert_eq!(fs::read_dir(site.path("roots")).unwrap().count(), 0);
}

#[test]
fn the_keeper_runs_as_the_owner_of_the_data() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: only root can become another user");
        return;
    }
    const NAMELESS: u32 = 54_321;
    let site = Site::new("");
    fs::set_permissions(site.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut process = site.start();
    process.signal("TERM");
    assert_eq!(process.end(), Some(0));
    for (path, _) in all_below(site.path("data")) {
        chown(path, Some(NAMELESS), Some(NAMELESS)).unwrap();
    }
    site.verb(&["mailbox", "list", "alice"]).done();
    moxd(["verifydata", &text(&site.path("data"))]).done();
    for (path, meta) in all_below(site.path("data")) {
        assert_eq!((meta.uid(), meta.gid()), (NAMELESS, NAMELESS), "{}", path.display());
    }
    // Root must not follow links that the owner of the data directory makes, neither to read nor to write.
    fs::create_dir(site.path("roots")).unwrap();
    fs::set_permissions(site.path("roots"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::rename(site.path("data/journal"), site.path("data/before")).unwrap();
    symlink(site.path("roots"), site.path("data/journal")).unwrap();
    let why = site.verb(&["mailbox", "list", "alice"]).failed();
    assert!(why.contains("Permission denied"), "{why}");
    assert_eq!(fs::read_dir(site.path("roots")).unwrap().count(), 0);
    // Nor does root serve mail in a folder where another user can put such links.
    let why = site.verb(&["--log-level", "error", "serve"]).failed();
    assert!(why.contains("data, which is not root's alone: start as the user whose folder it is"), "{why}");
}

#[test]
fn root_does_not_take_the_configuration_of_a_strangers_folder() {
    if !nix::unistd::geteuid().is_root() || is_installed_here() {
        println!("skipped: for root alone, where nothing is configured");
        return;
    }
    let site = Site::new("");
    let here = |verb: &[&str]| {
        let mut command = Command::new(MOXD);
        command.args(verb).current_dir(site.folder.path());
        run(command, b"")
    };
    assert_eq!(here(&["config", "test"]).status, Some(0));
    chown(site.folder.path(), Some(54_321), None).unwrap();
    let ended = here(&["mailbox", "list", "alice"]);
    assert_ne!(ended.status, Some(0));
    let warning = ended.stderr.lines().next().unwrap();
    assert!(warning.starts_with("moxd: warning: config/moxd.toml is passed over: "), "{warning}");
    assert!(!site.path("data").exists());
    // Named with `--config`, it is read.
    assert_eq!(site.verb(&["config", "test"]).status, Some(0));
}

#[test]
fn root_makes_no_development_server_in_a_strangers_folder() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: for root alone");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    chown(folder.path(), Some(54_321), None).unwrap();
    for name in ["", "new"] {
        let why = moxd(["localserve", "--dir", &text(&folder.path().join(name))]).failed();
        assert!(why.contains("which is not root's alone"), "{why}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

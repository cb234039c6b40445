//! Plays the exchanges in `testdata/`: see the README there for their form.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, missing_docs, reason = "test code")]

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use moxd_sasl::*;

const SEED: [u8; SEED_BYTES] = [42; SEED_BYTES];

/// A line, by its sender.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Client(Vec<u8>),
    Server(Vec<u8>),
}

/// The end of an exchange.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Done(String),
    Error(String),
    ErrorAtSuccess(String),
}

struct Talk {
    path: PathBuf,
    settings: BTreeMap<String, String>,
    lines: Vec<Line>,
    end: End,
}

/// Undoes `\0` and `\xNN`.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        (rest, out) = match (first, after) {
            (b'\\', [b'0', after @ ..]) => (after, [out, vec![0]].concat()),
            (b'\\', [b'x', a, b, after @ ..]) => {
                let byte = u8::from_str_radix(std::str::from_utf8(&[*a, *b]).unwrap(), 16).unwrap();
                (after, [out, vec![byte]].concat())
            }
            _ => (after, [out, vec![first]].concat()),
        };
    }
    out
}

impl Talk {
    fn read(path: &Path) -> Talk {
        let mut settings = BTreeMap::new();
        let (mut lines, mut end) = (Vec::new(), None);
        for line in std::fs::read_to_string(path).unwrap().lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("{}: {line}", path.display()));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match name {
                "C" => lines.push(Line::Client(unescape(value))),
                "S" => lines.push(Line::Server(unescape(value))),
                "done" => end = Some(End::Done(value.to_owned())),
                "error" => end = Some(End::Error(value.to_owned())),
                "error-at-success" => end = Some(End::ErrorAtSuccess(value.to_owned())),
                _ => drop(settings.insert(name.to_owned(), value.to_owned())),
            }
        }
        Talk { path: path.to_owned(), settings, lines, end: end.expect("a talk has an end") }
    }

    fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    fn mechanism(&self) -> Mechanism {
        self.setting("mechanism").unwrap().parse().unwrap()
    }

    fn nonce(&self, name: &str) -> Nonce {
        self.setting(name)
            .map_or_else(|| Nonce::from_random([1; NONCE_BYTES]), |text| Nonce::from_text(text).unwrap())
    }

    fn channel(&self) -> Channel {
        let bound = |binding, bytes| Channel::bound(binding, BASE64.decode(bytes).unwrap());
        let mut words = self.setting("channel").unwrap_or("plaintext").split(' ');
        let channel = match (words.next().unwrap(), words.next()) {
            ("plaintext", None) => Channel::plaintext(),
            ("tls", None) => Channel::tls(),
            ("tls-exporter", Some(bytes)) => bound(Binding::TlsExporter, bytes),
            ("tls-unique", Some(bytes)) => bound(Binding::TlsUnique, bytes),
            other => panic!("{}: channel {other:?}", self.path.display()),
        };
        match self.setting("plus-offered") {
            Some(offered) => channel.with_plus_offered(offered == "yes"),
            None => channel,
        }
    }

    fn server(&self) -> Server {
        Server::new(self.mechanism(), &self.channel(), self.nonce("server-nonce"))
    }

    fn client(&self) -> Client {
        let username = self.setting("username");
        let credentials = match self.setting("password") {
            Some(password) => Credentials::new(username.unwrap(), password),
            None => Credentials::certificate(username),
        };
        Client::new(self.mechanism(), &credentials.unwrap(), &self.channel(), self.nonce("client-nonce"))
    }

    /// Is this the user of the transcript?
    fn knows(&self, name: &str) -> bool {
        self.setting("username").is_some_and(|known| username(known).unwrap() == name)
    }

    /// The answer of the owner of the secrets.
    fn verifier(&self, need: Need) -> Verifier {
        let password = || Password::new(self.setting("password").unwrap()).unwrap();
        let iterations =
            self.setting("iterations").map_or(NonZeroU32::new(4096).unwrap(), |count| count.parse().unwrap());
        match need {
            Need::Password { username, password: given } => {
                Verifier::Checked(self.knows(&username) && given.as_str() == password().as_str())
            }
            Need::Scram { username, hash } if self.knows(&username) => {
                let salt = BASE64.decode(self.setting("salt").unwrap()).unwrap();
                let stored = ScramSecret::derive(hash, &password(), &salt, iterations).to_text();
                Verifier::Scram(stored.parse().unwrap())
            }
            Need::Scram { username, hash } => {
                Verifier::Scram(Decoy::new(&SEED, &username, Absent::User).scram(hash, iterations))
            }
            Need::CramMd5 { username } if self.knows(&username) => {
                Verifier::CramMd5(CramMd5Secret::derive(&password()).to_text().parse().unwrap())
            }
            Need::CramMd5 { username } => {
                Verifier::CramMd5(Decoy::new(&SEED, &username, Absent::User).cram_md5())
            }
            Need::Certificate { username } => {
                let of_certificate = self.setting("certificate").map(str::to_owned);
                Verifier::Certificate(
                    of_certificate.filter(|name| username.is_none_or(|wanted| wanted == *name)),
                )
            }
        }
    }

    #[track_caller]
    fn same<T: std::fmt::Debug + PartialEq>(&self, got: T, wanted: T) {
        assert_eq!(got, wanted, "{}", self.path.display());
    }
}

/// Plays the client's lines to a server.
fn play_server(talk: &Talk) {
    let mut server = talk.server();
    let mut lines = talk.lines.iter().peekable();
    let initial = match lines.peek() {
        Some(Line::Client(line)) => {
            lines.next();
            Some(line.as_slice())
        }
        _ => None,
    };
    let mut step = server.begin(initial);
    loop {
        step = match step {
            Ok(Step::Need(need)) => server.supply(talk.verifier(need)),
            Ok(Step::Challenge(challenge)) => {
                talk.same(Some(&Line::Server(challenge)), lines.next());
                match lines.next() {
                    Some(Line::Client(line)) => server.step(line),
                    other => panic!("{}: {other:?} after a challenge", talk.path.display()),
                }
            }
            Ok(Step::Done(identity)) => {
                talk.same(&End::Done(identity.username), &talk.end);
                talk.same(identity.mechanism, talk.mechanism());
                break;
            }
            Err(error) => {
                talk.same(&End::Error(error.kind().token().to_owned()), &talk.end);
                // A failed exchange cannot go on.
                assert_eq!(server.step(b"").unwrap_err().kind(), ErrorKind::Misuse);
                break;
            }
        };
    }
    talk.same(lines.next(), None);
}

/// Plays the server's lines to a client.
fn play_client(talk: &Talk) {
    match run_client(talk) {
        Ok(()) => assert!(matches!(talk.end, End::Done(_)), "{}", talk.path.display()),
        Err(error) => {
            let token = error.kind().token().to_owned();
            let late = matches!(talk.end, End::ErrorAtSuccess(_));
            let end = if late { End::ErrorAtSuccess(token) } else { End::Error(token) };
            talk.same(&end, &talk.end);
        }
    }
}

fn run_client(talk: &Talk) -> Result<(), Error> {
    let mut client = talk.client();
    let mut answer = client.begin()?.map(Line::Client);
    for line in &talk.lines {
        match line {
            Line::Client(_) => talk.same(answer.take().as_ref(), Some(line)),
            Line::Server(challenge) => answer = Some(Line::Client(client.step(challenge)?)),
        }
    }
    talk.same(answer, None);
    client.finish()
}

fn talks(folder: &str) -> Vec<Talk> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(folder);
    let mut paths: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths.iter().map(|path| Talk::read(path)).collect()
}

#[test]
fn client_and_server_say_what_is_written() {
    for talk in talks("exchanges") {
        play_server(&talk);
        play_client(&talk);
    }
}

#[test]
fn server_answers_as_written() {
    talks("server").iter().for_each(play_server);
}

#[test]
fn client_answers_as_written() {
    talks("client").iter().for_each(play_client);
}

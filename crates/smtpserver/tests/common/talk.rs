//! Conversations in files, and a player for them. It needs only `base64` and `sasl`, so that the
//! tests of other packages can include it and play the same files against the real server.
//!
//! A file begins with a header of `name: value` lines up to an empty line:
//!
//! - `kind`: `smtp`, `submission` or `submissions`: which listener;
//! - `rules`: how the listener differs from that of developer mode; such a file is not for the real server;
//! - `heights`: where it can be played: `session` (the pure session, with whole lines), `pieces` (the same, byte by byte
//!   and in pieces), `driver`, `server`; everywhere if there is no such line.
//!
//! Then come lines of the conversation:
//!
//! - `C: text` sends the text with CRLF, `c: text` without; both know `\r`, `\n`, `\t`, `\\` and `\xNN`. Consecutive ones are
//!   sent together. `C*9: text` is sent nine times.
//! - `S: text` is the next line of a reply; `*` in it stands for anything. `S*9: text` is nine such lines.
//! - `R: text` is a whole reply: its last line matches `text`, and all lines have its code.
//! - `<TLS>` does a handshake, `<AUTH mechanism user password>` sends AUTH and goes through the exchange up to the last
//!   reply, `<STOP>` asks the server to stop, `<CLOSED>` expects the connection to be closed without another reply.
//! - `#` begins a comment.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::Path;

/// A conversation.
pub struct Talk {
    /// The name of its file.
    pub name: String,
    /// The kind of listener.
    pub kind: String,
    /// How the listener differs from that of developer mode.
    pub rules: Vec<String>,
    heights: Vec<String>,
    steps: Vec<(usize, Act)>,
}

enum Act {
    Send(Vec<u8>),
    Line(String),
    Reply(String),
    Tls,
    Auth(String, String, String),
    Stop,
    Closed,
}

/// The client's end of a connection.
#[allow(async_fn_in_trait, reason = "of tests")]
pub trait Peer {
    /// Sends bytes.
    async fn send(&mut self, bytes: &[u8]);
    /// The next line without its CRLF; `None` where the connection is closed.
    async fn line(&mut self) -> Option<String>;
    /// Does a TLS handshake.
    async fn start_tls(&mut self);
    /// Asks the server to stop.
    async fn stop(&mut self);
}

impl Talk {
    /// All files of a folder, by name.
    pub fn all(folder: &Path) -> Vec<Talk> {
        let mut files: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "talk"));
        files.sort();
        files.iter().map(|path| Talk::parse(path)).collect()
    }

    /// Can it be played at this height?
    pub fn suits(&self, height: &str) -> bool {
        let fit = self.heights.is_empty() || self.heights.iter().any(|h| h == height);
        fit && (height != "server" || self.rules.is_empty())
    }

    /// All input of the client, without logins.
    pub fn sent(&self) -> Vec<u8> {
        let sent = self.steps.iter().filter_map(|(_, act)| match act {
            Act::Send(bytes) => Some(bytes.as_slice()),
            _ => None,
        });
        sent.collect::<Vec<_>>().concat()
    }

    fn parse(path: &Path) -> Talk {
        let text = std::fs::read_to_string(path).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let mut talk = Talk { name, kind: String::new(), rules: vec![], heights: vec![], steps: vec![] };
        let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
        for (at, line) in lines.by_ref().take_while(|(_, line)| !line.is_empty()) {
            let Some((key, value)) = line.split_once(": ") else {
                assert!(line.starts_with('#'), "{}:{at}: no header", talk.name);
                continue;
            };
            let words = || value.split_whitespace().map(str::to_owned).collect();
            match key {
                "kind" => talk.kind = value.to_owned(),
                "rules" => talk.rules = words(),
                "heights" => talk.heights = words(),
                _ => assert!(key.starts_with('#'), "{}:{at}: unknown header {key}", talk.name),
            }
        }
        for (at, line) in lines {
            talk.step(at, line);
        }
        assert!(!talk.kind.is_empty() && !talk.steps.is_empty(), "{}: the file is empty", talk.name);
        talk
    }

    fn step(&mut self, at: usize, line: &str) {
        if line.is_empty() || line.starts_with('#') {
            return;
        }
        if let Some(order) = line.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')) {
            let words: Vec<_> = order.split(' ').map(str::to_owned).collect();
            let act = match words.as_slice() {
                [word] if word == "TLS" => Act::Tls,
                [word] if word == "STOP" => Act::Stop,
                [word] if word == "CLOSED" => Act::Closed,
                [word, m, user, password] if word == "AUTH" => {
                    Act::Auth(m.clone(), user.clone(), password.clone())
                }
                _ => panic!("{}:{at}: unknown order {line}", self.name),
            };
            self.steps.push((at, act));
            return;
        }
        let (head, text) = line.split_once(':').unwrap_or_else(|| panic!("{}:{at}: no step", self.name));
        let text = text.strip_prefix(' ').unwrap_or(text);
        let (who, times) = match head.split_once('*') {
            Some((who, times)) => (who, times.parse().unwrap()),
            None => (head, 1),
        };
        let new = match who {
            "C" => Act::Send([unescape(text), b"\r\n".to_vec()].concat().repeat(times)),
            "c" => Act::Send(unescape(text).repeat(times)),
            "S" => {
                self.steps.extend((0..times).map(|_| (at, Act::Line(text.to_owned()))));
                return;
            }
            "R" => Act::Reply(text.to_owned()),
            _ => panic!("{}:{at}: unknown step {head}", self.name),
        };
        match (self.steps.last_mut(), new) {
            (Some((_, Act::Send(bytes))), Act::Send(more)) => bytes.extend(more),
            (_, new) => self.steps.push((at, new)),
        }
    }

    /// Plays the conversation; panics where the server replies differently.
    pub async fn play(&self, peer: &mut impl Peer) {
        let peer = &mut Reader { peer, ahead: VecDeque::new() };
        for (at, act) in &self.steps {
            let place = format!("{}:{at}", self.name);
            match act {
                Act::Send(bytes) => peer.peer.send(bytes).await,
                Act::Line(pattern) => {
                    let line = peer.line().await;
                    let line = line.unwrap_or_else(|| panic!("{place}: closed, not {pattern}"));
                    assert!(matches(pattern, &line), "{place}:\n  want {pattern}\n  have {line}");
                }
                Act::Reply(pattern) => {
                    let lines = peer.reply(&place).await;
                    let last = lines.last().unwrap();
                    assert!(matches(pattern, last), "{place}:\n  want {pattern}\n  have {lines:?}");
                    assert!(lines.iter().all(|line| line[..3] == last[..3]), "{place}: {lines:?}");
                }
                Act::Tls => peer.peer.start_tls().await,
                Act::Auth(mechanism, user, password) => {
                    authenticate(peer, mechanism, user, password, &place).await;
                }
                Act::Stop => peer.peer.stop().await,
                Act::Closed => assert_eq!(peer.line().await, None, "{place}: still open"),
            }
        }
    }
}

/// Reads lines, first those that were read ahead.
struct Reader<'a, P> {
    peer: &'a mut P,
    ahead: VecDeque<String>,
}

impl<P: Peer> Reader<'_, P> {
    async fn line(&mut self) -> Option<String> {
        match self.ahead.pop_front() {
            Some(line) => Some(line),
            None => self.peer.line().await,
        }
    }

    /// One whole reply.
    async fn reply(&mut self, place: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await;
            let line = line.unwrap_or_else(|| panic!("{place}: closed within a reply: {lines:?}"));
            let more = line.as_bytes().get(3) == Some(&b'-');
            lines.push(line);
            if !more {
                return lines;
            }
        }
    }
}

/// Goes through an exchange. The next step checks the last reply.
async fn authenticate(
    peer: &mut Reader<'_, impl Peer>,
    mechanism: &str,
    user: &str,
    password: &str,
    place: &str,
) {
    let mechanism: sasl::Mechanism = mechanism.parse().unwrap();
    let credentials = sasl::Credentials::new(user, password).unwrap();
    let nonce = sasl::Nonce::from_random([9; sasl::NONCE_BYTES]);
    let mut client = sasl::Client::new(mechanism, &credentials, &sasl::Channel::plaintext(), nonce);
    let mut line = format!("AUTH {mechanism}");
    match client.begin().unwrap() {
        Some(initial) if initial.is_empty() => line.push_str(" ="),
        Some(initial) => write!(line, " {}", BASE64.encode(&initial)).unwrap(),
        None => {}
    }
    loop {
        peer.peer.send(format!("{line}\r\n").as_bytes()).await;
        let lines = peer.reply(place).await;
        let Some(challenge) = lines[0].strip_prefix("334 ") else {
            peer.ahead.extend(lines);
            return;
        };
        line = match client.step(&BASE64.decode(challenge).unwrap()) {
            Ok(response) => BASE64.encode(&response),
            Err(error) => panic!("{place}: {error}"),
        };
    }
}

/// Does `text` match, where `*` stands for anything?
fn matches(pattern: &str, text: &str) -> bool {
    let parts: Vec<_> = pattern.split('*').collect();
    let [first, middle @ .., last] = parts.as_slice() else { return pattern == text };
    let Some(rest) = text.strip_prefix(first).and_then(|rest| rest.strip_suffix(last)) else { return false };
    let mut at = 0;
    middle.iter().all(|part| {
        let found = rest[at..].find(part);
        at += found.unwrap_or(0) + part.len();
        found.is_some()
    })
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('r') => bytes.push(b'\r'),
                Some('n') => bytes.push(b'\n'),
                Some('t') => bytes.push(b'\t'),
                Some('\\') => bytes.push(b'\\'),
                Some('x') => {
                    let digits: String = chars.by_ref().take(2).collect();
                    bytes.push(u8::from_str_radix(&digits, 16).unwrap());
                }
                other => panic!("unknown escape {other:?} in {text}"),
            },
            (c, _) => bytes.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

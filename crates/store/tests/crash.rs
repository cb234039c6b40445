//! A child process delivers mail and is killed at random moments. No message whose commit was acknowledged may be lost,
//! changed or doubled. `MOXD_CRASH_ROUNDS` and `MOXD_CRASH_SEED` make it longer or repeat it.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "environment variables configure the child"
)]

use std::{
    collections::{BTreeMap, HashSet},
    env,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, SystemTime},
};

use moxd_store::{AccountId, Facts, INITIAL_MAILBOXES, Message, NewMessage, Options, Row, Store};

const WRITERS: u64 = 8;

fn options() -> Options {
    Options { segment_size: 4 * 1024 * 1024, snapshot_min: 256 * 1024, ..Options::default() }
}

/// Pseudo-random numbers from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// The content of message `n`: its number in the first line, then bytes that follow from the number.
fn content(n: u64) -> Vec<u8> {
    let mut dice = Dice(n | 1 << 40);
    // One of sixteen is large enough to become a file.
    let len = if dice.roll().is_multiple_of(16) {
        300_000 + dice.roll() % 1_700_000
    } else {
        1024 + dice.roll() % 30_000
    };
    let mut content = format!("{n}\r\n").into_bytes();
    while (content.len() as u64) < len {
        content.extend_from_slice(&dice.roll().to_le_bytes());
    }
    content
}

fn deliver(store: &Store, account: AccountId, n: u64) -> Message {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(n);
    let mut writer = store.body_writer();
    content(n).chunks(10_000).for_each(|chunk| writer.write(chunk).wait().unwrap());
    let mut message = NewMessage::new(Facts::new(now));
    message.facts.message_id = format!("{n}@crash.test");
    message.prefix = format!("Number: {n}\r\n").into_bytes();
    let mut t = store.transaction(now);
    t.deliver(account, "Inbox", message, &writer.finish());
    let delivered = store.commit(t).wait().unwrap().delivered[0];
    store.message(account, delivered.id).unwrap().unwrap()
}

#[test]
#[ignore = "no test: the process that `loses_nothing_when_it_is_killed` starts and kills"]
fn child() {
    let dir = env::var("MOXD_CRASH_CHILD").unwrap();
    let first: u64 = env::var("MOXD_CRASH_FIRST").unwrap().parse().unwrap();
    let store = Store::open(Path::new(&dir), options()).unwrap();
    let account = store.open_account("mox", INITIAL_MAILBOXES, SystemTime::UNIX_EPOCH).wait().unwrap();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let store = &store;
            scope.spawn(move || {
                for n in (first + writer..).step_by(WRITERS as usize) {
                    let message = deliver(store, account, n);
                    say(&format!("stored {n} {}", message.id.get()));
                    // Remove some messages again.
                    if n % 3 == 0 {
                        let mut t = store.transaction(SystemTime::UNIX_EPOCH);
                        t.remove(account, message.id);
                        say(&format!("removing {n} {}", message.id.get()));
                        let _ = store.commit(t).wait().unwrap();
                        say(&format!("removed {n} {}", message.id.get()));
                    }
                }
            });
        }
    });
}

/// One line at a time, whole.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n{line}\n").as_bytes()).and_then(|()| out.flush()).unwrap();
}

/// What the parent knows of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Known {
    Stored,
    /// It may or may not be there.
    Going,
    Removed,
}

fn kill_once(dir: &Path, first: u64, after: Duration, known: &mut BTreeMap<u64, Known>) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env("MOXD_CRASH_CHILD", dir)
        .env("MOXD_CRASH_FIRST", first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let (at_work, begun) = mpsc::channel();
    let reader = thread::spawn(move || {
        let tell = |line: &String| {
            if line.starts_with("stored") {
                // The parent waits for the first line only; later sends may fail.
                let _ = at_work.send(());
            }
        };
        out.lines().map_while(Result::ok).inspect(tell).collect::<Vec<_>>()
    });
    // The delay counts from the first message on; in some rounds from the start, to hit the opening as well.
    if !after.as_millis().is_multiple_of(5) {
        begun.recv_timeout(Duration::from_secs(30)).unwrap();
    }
    thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    for line in reader.join().unwrap() {
        let mut words = line.split(' ');
        let state = match words.next() {
            Some("stored") => Known::Stored,
            Some("removing") => Known::Going,
            Some("removed") => Known::Removed,
            _ => continue,
        };
        // The last line may be cut.
        if let (Some(Ok(n)), Some(Ok(_))) =
            (words.next().map(str::parse), words.next().map(str::parse::<u64>))
        {
            known.insert(n, state);
        }
    }
}

/// Asserts that every stored message exists once and entirely, and that the store is consistent.
fn check(dir: &Path, known: &BTreeMap<u64, Known>) -> u64 {
    let store = Store::open(dir, options()).unwrap();
    let account = store.open_account("mox", INITIAL_MAILBOXES, SystemTime::UNIX_EPOCH).wait().unwrap();
    let inbox = store.mailbox(account, "Inbox").unwrap().unwrap();
    let mut found = HashSet::new();
    let mut after = None;
    loop {
        let rows = store.messages(account, inbox.id, after, 100).unwrap();
        let Some(last) = rows.last() else { break };
        after = Some(match last {
            Row::Message(message) => message.uid,
            Row::Expunged(expunged) => expunged.uid,
        });
        for row in &rows {
            let Row::Message(message) = row else { continue };
            let n: u64 = message.facts.message_id.split('@').next().unwrap().parse().unwrap();
            assert!(found.insert(n), "message {n} is there twice");
            let mut read = Vec::new();
            store.content(message).unwrap().read_to_end(&mut read).unwrap();
            assert_eq!(read, [format!("Number: {n}\r\n").into_bytes(), content(n)].concat(), "message {n}");
        }
    }
    for (n, state) in known {
        match state {
            Known::Stored => assert!(found.contains(n), "message {n} was stored and is lost"),
            Known::Removed => assert!(!found.contains(n), "message {n} was removed and is back"),
            Known::Going => {}
        }
    }
    let findings = store.check().unwrap();
    assert!(findings.is_empty(), "{findings:#?}");
    found.into_iter().chain(known.keys().copied()).max().map_or(0, |n| n + 1)
}

#[test]
fn loses_nothing_when_it_is_killed() {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let rounds = number("MOXD_CRASH_ROUNDS").unwrap_or(4);
    let seed = number("MOXD_CRASH_SEED").unwrap_or_else(|| {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64 | 1
    });
    println!("seed {seed}");
    let mut dice = Dice(seed);
    let dir = folder();
    let mut known = BTreeMap::new();
    let mut first = 0;
    for round in 0..rounds {
        kill_once(dir.path(), first, Duration::from_millis(dice.roll() % 700), &mut known);
        first = check(dir.path(), &known);
        let stored = known.values().filter(|state| **state == Known::Stored).count();
        println!("round {round}: {} reported, {stored} stored", known.len());
    }
    assert!(known.values().any(|state| *state == Known::Stored), "the child did no work");
}

/// A folder for one test, in memory if possible: syncs cost nothing there, and a killed process leaves the same files.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

//! Tests the promises of the store while its commits wait, fail, overtake each other, or end with an outcome that no
//! caller learns.
//!
//! The model plays random rounds. `MOXD_INTERLEAVING_ROUNDS` says how many (with `--release` a thousand take about a
//! minute), and `MOXD_INTERLEAVING_SEED` where to begin: a number, or `random`. A round that fails names its seed, with
//! which it can be repeated.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "environment variables configure the model"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use moxd_store::{
    AccountId, Change, Delivered, ErrorKind, Facts, Flags, INITIAL_MAILBOXES, InitialMailbox, Message,
    MessageId, NewMessage, Options, Pending, Receipt, Result, Row, Store, Transaction,
    engine::{CommitError, Engine, local::Local, memory::Memory},
};

mod held;

use held::{Fate, Held};

/// More accounts than the store caches: reading them all makes it forget the others.
const CROWD: usize = 4100;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

/// Adds a delivery. All messages have the same size, so that batches that add one leave the same numbers.
fn deliver(transaction: &mut Transaction, store: &Store, account: AccountId, mailbox: &str, id: &str) {
    let mut body = store.body_writer();
    body.write(b"same size").wait().unwrap();
    let mut message = NewMessage::new(Facts::new(now()));
    message.facts.message_id = id.to_owned();
    transaction.deliver(account, mailbox, message, &body.finish());
}

/// Makes accounts without mailboxes in one transaction.
fn crowd(store: &Store) -> Vec<AccountId> {
    let mut transaction = store.transaction(now());
    for i in 0..CROWD {
        transaction.create_account(&format!("crowd{i}"), &[]);
    }
    store.commit(transaction).wait().unwrap().accounts
}

/// Reads the rows of the whole crowd, so that the cache forgets all others.
fn crowd_out(store: &Store, crowd: &[AccountId]) -> Pending<Result<Receipt>> {
    let mut transaction = store.transaction(now());
    for account in crowd {
        transaction.set_credentials(*account, None);
    }
    store.commit(transaction)
}

/// All messages of an account, by their Message-ID.
fn messages(store: &Store, account: AccountId) -> BTreeMap<String, Vec<Message>> {
    let mut found: BTreeMap<String, Vec<Message>> = BTreeMap::new();
    for mailbox in store.mailboxes(account).unwrap() {
        for row in store.messages(account, mailbox.id, None, 1000).unwrap() {
            if let Row::Message(message) = row {
                found.entry(message.facts.message_id.clone()).or_default().push(message);
            }
        }
    }
    found
}

#[track_caller]
fn sound(store: &Store) {
    let findings = store.check().unwrap();
    assert!(findings.is_empty(), "{findings:#?}");
}

/// A transaction is planned on what one before it will leave. Then the cache forgets the rows, and another transaction is
/// planned on what the engine has. Both write rows that differ in the stamp alone.
#[test]
fn keeps_every_acknowledged_message_when_rows_go_from_memory() {
    let engine = Held::over(Memory::new());
    let store = Store::on(engine.clone());
    let me = store.open_account("me", INITIAL_MAILBOXES, now()).wait().unwrap();
    let crowd = crowd(&store);
    let send = |mailbox: &str, id: &str| {
        let mut transaction = store.transaction(now());
        deliver(&mut transaction, &store, me, mailbox, id);
        store.commit(transaction)
    };
    engine.hold();
    let first = send("Inbox", "1@x");
    let others = crowd_out(&store, &crowd);
    let second = send("Junk", "2@x");
    let third = send("Inbox", "3@x");
    let mut pending: Vec<_> = [first, others, second, third].map(Box::pin).into_iter().collect();
    while !pending.is_empty() {
        while engine.waiting() > 0 {
            engine.settle(0, Fate::Decided);
        }
        pending.retain_mut(|commit| match poll(commit.as_mut()) {
            Poll::Ready(result) => result.map(drop).map_or_else(|e| panic!("{e}"), |()| false),
            Poll::Pending => true,
        });
    }
    assert_eq!(messages(&store, me).keys().collect::<Vec<_>>(), ["1@x", "2@x", "3@x"]);
    sound(&store);
}

/// A client that disconnects leaves a commit that no caller waits for. If it fails, it must not count against the account.
#[test]
fn forgets_a_failed_commit_that_no_caller_waits_for() {
    let engine = Held::over(Memory::new());
    let store = Store::on(engine.clone());
    let me = store.open_account("me", INITIAL_MAILBOXES, now()).wait().unwrap();
    let send = |id: &str| {
        let mut transaction = store.transaction(now());
        deliver(&mut transaction, &store, me, "Inbox", id);
        transaction.quota(me, 10);
        store.commit(transaction)
    };
    engine.hold();
    drop(send("1@x"));
    engine.settle(0, Fate::Refused(CommitError::Full));
    let mut second = Box::pin(send("2@x"));
    engine.settle(0, Fate::Decided);
    assert!(matches!(poll(second.as_mut()), Poll::Ready(Ok(_))), "one message is within the quota");
    assert_eq!(messages(&store, me).keys().collect::<Vec<_>>(), ["2@x"]);
    sound(&store);
}

/// Two stores on one engine, as on two machines. Rows in the cache of one may be outdated, and must not make it refuse what
/// the engine would accept.
#[test]
fn refuses_nothing_for_rows_that_are_outdated() {
    let engine = Held::over(Memory::new());
    let [one, other] = [Store::on(engine.clone()), Store::on(engine.clone())];
    let me = one.open_account("me", INITIAL_MAILBOXES, now()).wait().unwrap();
    let send = |store: &Store, mailbox: &str, id: &str| {
        let mut transaction = store.transaction(now());
        deliver(&mut transaction, store, me, mailbox, id);
        transaction.quota(me, 20);
        store.commit(transaction).wait().map(|receipt| receipt.delivered[0].id)
    };
    let remove = |store: &Store, id: MessageId| {
        let mut transaction = store.transaction(now());
        transaction.remove(me, id);
        store.commit(transaction).wait().unwrap();
    };
    // The other knows neither the new mailbox, nor what is left of the quota.
    send(&other, "Inbox", "1@x").unwrap();
    let second = send(&one, "Lists/new", "2@x").unwrap();
    remove(&other, second);
    let third = send(&other, "Inbox", "3@x").unwrap();
    assert_eq!(send(&other, "Inbox", "4@x").unwrap_err().kind(), ErrorKind::OverQuota);
    remove(&one, third);
    send(&other, "Inbox", "5@x").unwrap();
    assert_eq!(messages(&one, me).keys().collect::<Vec<_>>(), ["1@x", "5@x"]);
    sound(&one);
}

/// At each step of a check, a message arrives in the account that is being checked, and another is removed. The check goes
/// on when both are acknowledged.
#[test]
fn commits_go_on_while_a_busy_account_is_checked() {
    let dir = folder();
    let local: Arc<dyn Engine> = Local::open(dir.path(), Options::default()).unwrap();
    for inner in [Memory::new(), local] {
        let engine = Held::over(inner);
        let store = Store::on(engine.clone());
        let me = store.open_account("me", INITIAL_MAILBOXES, now()).wait().unwrap();
        let arrived = Arc::new(AtomicUsize::new(0));
        let (writer, number) = (store.clone(), Arc::clone(&arrived));
        let work = move || {
            let id = format!("{}@x", number.fetch_add(1, Ordering::Relaxed));
            let mut transaction = writer.transaction(now());
            deliver(&mut transaction, &writer, me, "Inbox", &id);
            deliver(&mut transaction, &writer, me, "Junk", &id);
            let receipt = writer.commit(transaction).wait().unwrap();
            let mut transaction = writer.transaction(now());
            transaction.remove(me, receipt.delivered[1].id);
            let _ = writer.commit(transaction).wait().unwrap();
        };
        (0..20).for_each(|_| work());
        engine.set_meanwhile(Some(Arc::new(work)));
        sound(&store);
        engine.set_meanwhile(None);
        assert!(arrived.load(Ordering::Relaxed) > 40, "the check was in the middle");
        assert_eq!(messages(&store, me).len(), arrived.load(Ordering::Relaxed));
        sound(&store);
    }
}

/// A message to many recipients, with more references than are looked up: the number of reads is bounded, and does not grow
/// with recipients times references.
#[test]
fn looks_up_a_reference_once_for_an_account() {
    let engine = Held::over(Memory::new());
    let store = Store::on(engine.clone());
    let open = |name: &str| store.open_account(name, INITIAL_MAILBOXES, now()).wait().unwrap();
    let accounts: Vec<_> = (0..1000).map(|i| open(&format!("a{i}"))).collect();
    let send = |accounts: &[AccountId], references: &[String]| {
        let mut transaction = store.transaction(now());
        for (i, account) in accounts.iter().enumerate() {
            let mut message = NewMessage::new(Facts::new(now()));
            message.facts.message_id = format!("{i}-{}@x", references.len());
            message.references = references.into();
            transaction.deliver(*account, "Inbox", message, &store.body_writer().finish());
        }
        let before = engine.ranges();
        let delivered = store.commit(transaction).wait().unwrap().delivered;
        (delivered, engine.ranges() - before)
    };
    // Reads the rows of all accounts, and leaves an ancestor in each.
    let (ancestors, _) = send(&accounts, &[]);
    let unknown =
        |i: usize| (0..20).map(|n| format!("unknown{n}@x")).chain([format!("{i}-0@x")]).collect::<Vec<_>>();
    // Copies for one account: up to ten references.
    let (_, read) = send(&[accounts[7]; 1000], &unknown(3));
    assert_eq!(read, 10);
    let (_, read) = send(&accounts[..100], &unknown(3));
    assert!(read <= 1000, "{read} for 100 accounts");
    // For more accounts than that: the nearest reference of each.
    let (delivered, read) = send(&accounts, &unknown(3));
    assert_eq!(read, 1000);
    let answer = store.message(accounts[3], delivered[3].id).unwrap().unwrap();
    assert_eq!(answer.thread.parents, [ancestors[3].id], "its ancestor was the nearest");
    sound(&store);
}

/// While a message to many recipients is planned, the only worker of the runtime runs other tasks.
#[test]
fn plans_a_message_to_many_recipients_beside_other_tasks() {
    let engine = Held::over(Memory::new());
    let store = Store::on(engine.clone());
    let me = store.open_account("me", INITIAL_MAILBOXES, now()).wait().unwrap();
    let (go_on, waiting) = std::sync::mpsc::channel::<()>();
    let waiting = Mutex::new(waiting);
    // Reads wait until another task has run, and never again after that.
    engine.set_before_range(Arc::new(move || {
        let _ = waiting.lock().unwrap().recv();
    }));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    runtime.block_on(async {
        let large = tokio::spawn(async move {
            tokio::spawn(async move { go_on.send(()) });
            let mut transaction = store.transaction(now());
            (0..100).for_each(|i| deliver(&mut transaction, &store, me, "Inbox", &format!("{i}@x")));
            assert_eq!(store.commit(transaction).await.unwrap().delivered.len(), 100);
        });
        large.await.unwrap();
    });
}

fn poll<T>(future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Pseudo-random numbers from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        // SplitMix64: neighbouring seeds give rounds that have nothing in common.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut n = self.0;
        n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((n ^ (n >> 31)) % sides as u64) as usize
    }
}

/// The steps of a transaction.
#[derive(Clone, Debug, Default)]
struct Wanted {
    /// Account and Message-ID of each delivery, in order.
    delivered: Vec<(AccountId, String)>,
    /// Names of the accounts that it creates, in order.
    accounts: Vec<String>,
    /// Messages that it flags or removes.
    flagged: Vec<(AccountId, String)>,
    removed: Vec<(AccountId, String)>,
}

/// What callers have learned from the answers.
#[derive(Default)]
struct Known {
    accounts: BTreeMap<String, AccountId>,
    delivered: BTreeMap<(AccountId, String), Delivered>,
    flagged: BTreeSet<(AccountId, String)>,
    removed: BTreeSet<(AccountId, String)>,
    /// Deliveries and removals that may have happened.
    vague: BTreeSet<(AccountId, String)>,
}

type Commit = Pin<Box<Pending<Result<Receipt>>>>;

struct Round {
    dice: Dice,
    engine: Arc<Held>,
    /// Two stores on the same engine, as two machines would have.
    stores: [Store; 2],
    busy: Vec<AccountId>,
    crowd: Vec<AccountId>,
    under_way: Vec<(Commit, Wanted)>,
    known: Known,
    next: usize,
}

impl Round {
    fn new(seed: u64, inner: Arc<dyn Engine>) -> Round {
        let engine = Held::over(inner);
        let stores = [Store::on(engine.clone()), Store::on(engine.clone())];
        let mailboxes: Vec<_> =
            INITIAL_MAILBOXES.iter().take(2).copied().collect::<Vec<InitialMailbox<'_>>>();
        let open = |name| stores[0].open_account(name, &mailboxes, now()).wait().unwrap();
        let busy = ["ann", "bob", "cid"].map(open).to_vec();
        let crowd = crowd(&stores[0]);
        engine.hold();
        let (under_way, known) = (Vec::new(), Known::default());
        Round { dice: Dice(seed), engine, stores, busy, crowd, under_way, known, next: 0 }
    }

    fn step(&mut self) {
        match self.dice.roll(100) {
            0..40 => self.transact(),
            40..42 => {
                let store = &self.stores[self.dice.roll(2)];
                self.under_way.push((Box::pin(crowd_out(store, &self.crowd)), Wanted::default()));
            }
            42..72 => self.settle(),
            72..98 => self.poll(),
            // The client disconnects.
            _ => {
                if !self.under_way.is_empty() {
                    let (_, wanted) = self.under_way.swap_remove(self.dice.roll(self.under_way.len()));
                    self.is_vague(wanted);
                }
            }
        }
    }

    fn transact(&mut self) {
        let store = self.stores[self.dice.roll(2)].clone();
        let mut transaction = store.transaction(now());
        let mut wanted = Wanted::default();
        for _ in 0..=self.dice.roll(2) {
            let account = self.busy[self.dice.roll(self.busy.len())];
            match self.dice.roll(10) {
                0 | 1 => transaction.quota(account, u64::MAX),
                2 => {
                    let name = format!("new{}", self.dice.roll(20));
                    transaction.create_account(&name, &INITIAL_MAILBOXES[..1]);
                    wanted.accounts.push(name);
                }
                3 | 4 => self.change(&mut transaction, &mut wanted),
                roll => {
                    self.next += 1;
                    let id = format!("{:06}@x", self.next);
                    let mailbox = ["Inbox", "Archive", "Lists/new"][roll % 3];
                    deliver(&mut transaction, &store, account, mailbox, &id);
                    wanted.delivered.push((account, id));
                }
            }
        }
        self.under_way.push((Box::pin(store.commit(transaction)), wanted));
    }

    /// Flags or removes a message that is, or was, there.
    fn change(&mut self, transaction: &mut Transaction, wanted: &mut Wanted) {
        if self.known.delivered.is_empty() {
            return;
        }
        let at = self.dice.roll(self.known.delivered.len());
        let (key, delivered) = self.known.delivered.iter().nth(at).unwrap();
        if self.dice.roll(2) == 0 {
            let change = Change { set: Flags::FLAGGED, ..Change::default() };
            transaction.change(key.0, delivered.id, change);
            wanted.flagged.push(key.clone());
        } else {
            transaction.remove(key.0, delivered.id);
            wanted.removed.push(key.clone());
        }
    }

    fn settle(&mut self) {
        let waiting = self.engine.waiting();
        if waiting == 0 {
            return;
        }
        // Mostly in order, as the local engine decides; at times in any order, as several committers would.
        let at = if self.dice.roll(4) == 0 { self.dice.roll(waiting) } else { 0 };
        let fate = match self.dice.roll(20) {
            0 => Fate::Refused(CommitError::Full),
            1 => Fate::Refused(CommitError::Failed),
            2 => Fate::Refused(CommitError::Unknown),
            3 => Fate::Lost,
            _ => Fate::Decided,
        };
        self.engine.settle(at, fate);
    }

    fn poll(&mut self) {
        if self.under_way.is_empty() {
            return;
        }
        let at = self.dice.roll(self.under_way.len());
        if let Poll::Ready(result) = poll(self.under_way[at].0.as_mut()) {
            let (_, wanted) = self.under_way.swap_remove(at);
            self.learn(result, wanted);
        }
    }

    fn learn(&mut self, result: Result<Receipt>, wanted: Wanted) {
        match result {
            Ok(receipt) => {
                for (name, id) in wanted.accounts.into_iter().zip(receipt.accounts) {
                    // Every caller that opens an account gets the same number.
                    assert_eq!(*self.known.accounts.entry(name).or_insert(id), id);
                }
                self.known.delivered.extend(wanted.delivered.into_iter().zip(receipt.delivered));
                self.known.flagged.extend(wanted.flagged);
                self.known.removed.extend(wanted.removed);
            }
            Err(e) if e.kind() == ErrorKind::Unknown => self.is_vague(wanted),
            Err(e) => {
                let may = [ErrorKind::Full, ErrorKind::Failed, ErrorKind::NoMessage, ErrorKind::Conflict];
                assert!(may.contains(&e.kind()), "{e}");
            }
        }
    }

    fn is_vague(&mut self, wanted: Wanted) {
        self.known.vague.extend(wanted.delivered.into_iter().chain(wanted.removed));
    }

    /// Settles all that waits.
    fn finish(&mut self) {
        while !self.under_way.is_empty() {
            while self.engine.waiting() > 0 {
                self.engine.settle(0, Fate::Decided);
            }
            for (mut commit, wanted) in std::mem::take(&mut self.under_way) {
                match poll(commit.as_mut()) {
                    Poll::Ready(result) => self.learn(result, wanted),
                    Poll::Pending => self.under_way.push((commit, wanted)),
                }
            }
        }
        // Batches that no caller waited for.
        while self.engine.waiting() > 0 {
            self.engine.settle(0, Fate::Decided);
        }
    }

    fn agrees(&self) {
        let store = &self.stores[0];
        sound(store);
        for (name, id) in &self.known.accounts {
            assert_eq!(store.account(name).unwrap(), Some(*id), "{name}");
        }
        let accounts = store.accounts().unwrap();
        let numbers: BTreeSet<_> = accounts.iter().map(|(_, id)| *id).collect();
        assert_eq!(numbers.len(), accounts.len(), "two accounts have the same number");
        let mut ids: BTreeSet<(AccountId, MessageId)> = BTreeSet::new();
        for account in &self.busy {
            let mut found = messages(store, *account);
            for ((_, id), delivered) in self.known.delivered.range((*account, String::new())..) {
                if delivered.account != *account {
                    break;
                }
                let key = (*account, id.clone());
                assert!(ids.insert((*account, delivered.id)), "{id}: its number was given out twice");
                let there = found.remove(id);
                if self.known.removed.contains(&key) {
                    assert!(there.is_none(), "{id} was removed and is back");
                    continue;
                }
                let Some(there) = there else {
                    assert!(self.known.vague.contains(&key), "{id} was acknowledged and is lost");
                    continue;
                };
                let [message] = &there[..] else { panic!("{id} is there twice") };
                assert_eq!(
                    (message.id, message.mailbox, message.uid, message.created),
                    (delivered.id, delivered.mailbox, delivered.uid, delivered.mod_seq),
                    "{id}"
                );
                if self.known.flagged.contains(&key) {
                    assert!(message.facts.flags.contains(Flags::FLAGGED), "{id} has lost its flag");
                }
            }
            for (id, there) in found {
                assert!(self.known.vague.contains(&(*account, id.clone())), "{id} was refused and is there");
                assert_eq!(there.len(), 1, "{id} is there twice");
            }
        }
    }
}

/// A folder for one test, in memory if possible: syncs cost nothing there, and a killed process leaves the same files.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn play(seed: u64) -> usize {
    let dir = folder();
    // Every eighth round runs on the disk, where one thread decides and others read.
    let inner: Arc<dyn Engine> = if seed.is_multiple_of(8) {
        Local::open(dir.path(), Options { reserve: 0, ..Options::default() }).unwrap()
    } else {
        Memory::new()
    };
    let mut round = Round::new(seed, inner);
    for _ in 0..200 {
        round.step();
    }
    round.finish();
    round.agrees();
    round.known.delivered.len()
}

#[test]
fn keeps_acknowledged_batches_whatever_the_outcome_of_others() {
    let rounds = env::var("MOXD_INTERLEAVING_ROUNDS").map_or(4, |n| n.parse().unwrap());
    let first = match env::var("MOXD_INTERLEAVING_SEED").as_deref() {
        Ok("random") => SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64,
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => 1,
    };
    let mut acknowledged = 0;
    for seed in (first..).take(rounds) {
        acknowledged += std::panic::catch_unwind(|| play(seed)).unwrap_or_else(|panic| {
            println!("repeat with MOXD_INTERLEAVING_SEED={seed} MOXD_INTERLEAVING_ROUNDS=1");
            std::panic::resume_unwind(panic)
        });
    }
    println!("{rounds} rounds from seed {first}: {acknowledged} messages acknowledged");
    assert!(acknowledged > rounds, "the rounds did some work");
}

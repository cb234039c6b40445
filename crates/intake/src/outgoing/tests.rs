use super::*;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const LIMITS: OutgoingLimits = OutgoingLimits { messages: 5, first_time_recipients: 2 };
const DAY: Duration = Duration::from_secs(24 * 3600 + 1);

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn instant() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Other bytes with every call.
fn random(bytes: &mut [u8]) {
    static CALLS: AtomicU64 = AtomicU64::new(1);
    let call = CALLS.fetch_add(1, Ordering::Relaxed).to_le_bytes();
    bytes.iter_mut().zip(call.iter().cycle()).for_each(|(byte, call)| *byte = *call);
}

fn ledgers(store: &Store) -> Ledgers {
    Ledgers::new(store.clone(), Environment { now, instant, random })
}

fn account(store: &Store) -> AccountId {
    store.open_account("mox", store::INITIAL_MAILBOXES, now()).wait().unwrap()
}

/// Addresses of these names.
fn addresses(names: &str) -> Vec<String> {
    names.split_whitespace().map(|name| format!("{name}@x.test")).collect()
}

/// Submits to recipients, without a message. Tells the limit that it would exceed.
async fn submit(ledgers: &Ledgers, account: AccountId, to: &str, now: SystemTime) -> Option<Exceeded> {
    let recipients = addresses(to);
    let sending = Sending { account, recipients: &recipients, limits: LIMITS, now };
    loop {
        let mut transaction = ledgers.store.transaction(now);
        let reservation = match ledgers.reserve(&mut transaction, sending).await {
            Ok(reservation) => reservation,
            Err(NotReserved::Exceeded(limit)) => return Some(limit),
            Err(NotReserved::Store(error)) => panic!("{error}"),
        };
        match ledgers.store.commit(transaction).await {
            Ok(_) => {
                reservation.keep();
                return None;
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
        }
    }
}

const MESSAGES: Option<Exceeded> = Some(Exceeded::Messages);
const RECIPIENTS: Option<Exceeded> = Some(Exceeded::FirstTimeRecipients);

#[tokio::test]
async fn limits_what_an_account_sends() {
    let store = Store::memory();
    let (ledgers, account) = (ledgers(&store), account(&store));
    let send = async |to: &str, at| submit(&ledgers, account, to, at).await;
    assert_eq!(send("a b", now()).await, None);
    assert_eq!(send("c", now()).await, RECIPIENTS);
    for to in ["a", "b", "a"] {
        assert_eq!(send(to, now()).await, None);
    }
    assert_eq!(send("a", now()).await, MESSAGES);
    // A day later only the recipients are remembered.
    let tomorrow = now() + DAY;
    assert_eq!(send("a b c d", tomorrow).await, None);
    assert_eq!(send("e", tomorrow).await, RECIPIENTS);
    // The same recipient twice is one first-time recipient, but two messages.
    let after = tomorrow + DAY;
    assert_eq!(send("f f f", after).await, None);
    assert_eq!(send("g g", after).await, None);
    assert_eq!(send("a", after).await, MESSAGES);
}

#[tokio::test]
async fn forgets_what_was_sent_while_the_clock_was_ahead() {
    let store = Store::memory();
    let (ledgers, account) = (ledgers(&store), account(&store));
    let send = async |to: &str, at| submit(&ledgers, account, to, at).await;
    let year = now() + 365 * DAY;
    for to in ["a b", "a", "b", "a"] {
        assert_eq!(send(to, year).await, None);
    }
    assert_eq!(send("a", year).await, MESSAGES);
    // The clock is right again: both limits count from zero, and hold.
    assert_eq!(send("c d", now()).await, None);
    assert_eq!(send("e", now()).await, RECIPIENTS);
    assert_eq!(send("a b c", now()).await, None);
    assert_eq!(send("a", now()).await, MESSAGES);
    // A message a moment ahead, of a submission at the same time, counts.
    assert_eq!(send("a", now() - Duration::from_secs(1)).await, MESSAGES);
    // Entries from the future were dropped, and do not count again once their time comes.
    assert_eq!(send("a b c d a", year).await, None);
}

#[tokio::test]
async fn counts_the_rows_of_an_earlier_process() {
    let store = Store::memory();
    let account = account(&store);
    // Rows as earlier versions wrote them, which had the limits in the store.
    let at = 1_700_000_000_000 - 3_600_000;
    let mut transaction = store.transaction(now());
    for (number, recipient) in [(7u64, "a@x.test"), (8, "b@x.test"), (9, "a@x.test")] {
        let key = [&[0, 0, 0, 1][..], &u64::to_be_bytes(at), &number.to_be_bytes()].concat();
        let value = [&[u8::from(number < 9)], recipient.as_bytes()].concat();
        transaction.put(Table::OUTGOING, &key, &value);
        let key = [&[0, 0, 0, 1][..], recipient.as_bytes()].concat();
        transaction.put(Table::RECIPIENTS, &key, &at.to_be_bytes());
    }
    store.commit(transaction).wait().unwrap();
    for _ in 0..2 {
        let ledgers = ledgers(&store);
        assert_eq!(submit(&ledgers, account, "c", now()).await, RECIPIENTS);
        assert_eq!(submit(&ledgers, account, "a", now()).await, None);
    }
    assert_eq!(submit(&ledgers(&store), account, "a", now()).await, MESSAGES);
    // A day later the rows are gone.
    assert_eq!(submit(&ledgers(&store), account, "a", now() + DAY).await, None);
    assert_eq!(store.scan(Table::OUTGOING, &[], None, 10).unwrap().len(), 1);
}

/// Submits from eight tasks at once, five times each, and returns how many submissions were accepted.
async fn race(ledgers: [Arc<Ledgers>; 2], account: AccountId) -> usize {
    let accepted = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let (ledgers, accepted) = (Arc::clone(&ledgers[task % 2]), Arc::clone(&accepted));
            tokio::spawn(async move {
                for _ in 0..5 {
                    if submit(&ledgers, account, "a", now()).await.is_none() {
                        accepted.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    accepted.load(Ordering::Relaxed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn holds_limits_under_parallel_submissions() {
    let store = Store::memory();
    let (ledgers, account) = (Arc::new(ledgers(&store)), account(&store));
    assert_eq!(race([Arc::clone(&ledgers), ledgers], account).await, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn holds_limits_between_processes_that_share_a_store() {
    let store = Store::memory();
    let account = account(&store);
    let both = [ledgers(&store), ledgers(&store)].map(Arc::new);
    assert_eq!(race(both, account).await, 5);
}

/// Reserves places for five messages, in a transaction that is not committed.
async fn reserve_five<'a>(ledgers: &'a Ledgers, account: AccountId) -> (Transaction, Reservation<'a>) {
    let recipients = addresses("a a a a a");
    let sending = Sending { account, recipients: &recipients, limits: LIMITS, now: now() };
    let mut transaction = ledgers.store.transaction(now());
    let reservation = ledgers.reserve(&mut transaction, sending).await.unwrap();
    (transaction, reservation)
}

#[tokio::test]
async fn a_submission_that_is_cancelled_before_its_commit_does_not_count() {
    let store = Store::memory();
    let (ledgers, account) = (ledgers(&store), account(&store));
    let (transaction, reservation) = reserve_five(&ledgers, account).await;
    assert_eq!(submit(&ledgers, account, "a", now()).await, MESSAGES, "the places are taken meanwhile");
    drop(reservation);
    assert_eq!(submit(&ledgers, account, "a a a a a", now()).await, None);
    // Its commit comes too late.
    let late = store.commit(transaction).wait().unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn a_submission_that_is_cancelled_during_its_commit_counts_if_it_was_committed() {
    let store = Store::memory();
    let (ledgers, account) = (ledgers(&store), account(&store));
    let (transaction, reservation) = reserve_five(&ledgers, account).await;
    drop(store.commit(transaction));
    drop(reservation);
    assert_eq!(submit(&ledgers, account, "a", now()).await, MESSAGES);
}

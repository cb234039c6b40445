use super::*;
use crate::{Rules, discover, organization};
use dns::zone::{Zone, block_on_ready};
use dns::{Domain, LookupError, LookupErrorKind, txt};
use futures_util::future::join_all;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Counts the questions that reach it, and answers each at its second poll.
struct Counting {
    zone: Zone,
    asked: AtomicUsize,
}

impl Resolver for Counting {
    fn lookup<'a>(&'a self, question: Question<'a>) -> Lookup<'a> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut polled = false;
        let mut answer = self.zone.lookup(question);
        Lookup::waiting(poll_fn(move |context| {
            if std::mem::replace(&mut polled, true) {
                Pin::new(&mut answer).poll(context)
            } else {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }))
    }
}

fn counting(zone: &str) -> Counting {
    Counting { zone: Zone::parse(zone).unwrap(), asked: AtomicUsize::new(0) }
}

/// Counts how often it is woken.
struct Flag(AtomicUsize);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Polls to the end; every poll that is not the last must have been followed by a wake-up.
fn drive<F: Future>(future: F) -> F::Output {
    let flag = Arc::new(Flag(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&flag));
    let mut future = std::pin::pin!(future);
    for polls in 0..1000 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        assert!(flag.0.load(Ordering::Relaxed) > polls, "no waiting future was woken");
    }
    panic!("no end");
}

#[test]
fn asks_each_question_once_whenever_it_comes() {
    let dns = counting("_dmarc.example.com. TXT v=DMARC1");
    let memo = Memo::new(&dns);
    let name: Name = "_dmarc.example.com".parse().unwrap();
    let both = drive(join_all([txt(&memo, &name), txt(&memo, &name)]));
    assert_eq!(both[0].as_ref().unwrap(), both[1].as_ref().unwrap());
    assert_eq!(block_on_ready(txt(&memo, &name)).unwrap().records.len(), 1);
    assert_eq!(dns.asked.load(Ordering::Relaxed), 1);
    let other: Name = "_dmarc.com".parse().unwrap();
    for _ in 0..2 {
        assert_eq!(drive(txt(&memo, &other)).unwrap_err().kind(), LookupErrorKind::NoName, "failures too");
    }
    assert_eq!(dns.asked.load(Ordering::Relaxed), 2);
}

#[test]
fn goes_on_when_the_one_that_asked_first_is_gone() {
    let dns = counting("_dmarc.example.com. TXT v=DMARC1");
    let memo = Memo::new(&dns);
    let name: Name = "_dmarc.example.com".parse().unwrap();
    let (mut first, second) =
        (Box::pin(txt(&memo, &name)), memo.lookup(Question { name: &name, kind: Kind::Txt }));
    assert!(first.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(first);
    assert!(drive(second).is_ok());
    assert_eq!(dns.asked.load(Ordering::Relaxed), 1);
}

#[test]
fn gives_up_a_query_without_waiters() {
    /// Never answers, and has one place for a question.
    struct OnePlace(AtomicUsize);
    struct Place<'a>(&'a AtomicUsize);
    impl Drop for Place<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
    impl Resolver for OnePlace {
        fn lookup<'a>(&'a self, _: Question<'a>) -> Lookup<'a> {
            assert_eq!(self.0.fetch_add(1, Ordering::Relaxed), 0, "the place is free");
            let place = Place(&self.0);
            Lookup::waiting(poll_fn(move |_| {
                let _place = &place;
                Poll::Pending
            }))
        }
    }
    let dns = OnePlace(AtomicUsize::new(0));
    let memo = Memo::new(&dns);
    for name in ["a.test", "b.test", "a.test"] {
        let name: Name = name.parse().unwrap();
        let mut lookups = [Kind::Txt, Kind::Txt].map(|kind| memo.lookup(Question { name: &name, kind }));
        for lookup in &mut lookups {
            assert!(Pin::new(lookup).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
    }
}

#[test]
fn all_who_wait_are_woken_by_the_one_that_gets_the_answer() {
    /// Ready at the second poll, and never calls a waker.
    struct Silent;
    impl Resolver for Silent {
        fn lookup<'a>(&'a self, question: Question<'a>) -> Lookup<'a> {
            let error = LookupError::new(LookupErrorKind::NoName, question.name.clone(), question.kind);
            let mut polls = 0;
            Lookup::waiting(poll_fn(move |_| {
                polls += 1;
                if polls == 2 { Poll::Ready(Err(error.clone())) } else { Poll::Pending }
            }))
        }
    }
    let memo = Memo::new(&Silent);
    let name: Name = "example.com".parse().unwrap();
    let (mut first, mut second) = (Box::pin(txt(&memo, &name)), Box::pin(txt(&memo, &name)));
    let flag = Arc::new(Flag(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&flag));
    assert!(first.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    assert!(second.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    assert_eq!(flag.0.load(Ordering::Relaxed), 1);
    assert!(first.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
}

#[test]
fn walks_of_one_message_share_their_answers() {
    let dns = Arc::new(counting("_dmarc.example.com. TXT \"v=DMARC1; p=none\""));
    let memo = Memo::shared(dns.clone());
    let domain = |text: &str| text.parse::<Domain>().unwrap();
    let author = drive(discover(&memo, &domain("example.com"), Rules::Rfc9989));
    let signer = drive(organization(&memo, &domain("mail.example.com"), Rules::Rfc9989));
    assert_eq!(author.organizational, signer.domain);
    assert_eq!(dns.asked.load(Ordering::Relaxed), 3, "example.com, com and mail.example.com");
}

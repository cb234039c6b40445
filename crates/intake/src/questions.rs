//! Limits on the DNS queries that a client may cause. A client's text decides which names are queried, of which servers, and
//! how often. So the queries of a connection are counted, and those of its network. Beyond the limits DNS is not queried for a
//! while, and checks that need it end in a temporary error.

use crate::asked::Clock;
use dns::{Lookup, LookupError, LookupErrorKind, Question, Resolver};
use parking_lot::Mutex;
use ratelimit::{Addresses, Limiter, Window};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::Semaphore;

/// Queries of one connection until one of its messages is accepted. An ordinary message needs a dozen, the worst some 200.
const CONNECTION_QUESTIONS: usize = 500;
/// Queries of a host, a site or a provider for each message that it may begin: an ordinary message needs no more. Answers from
/// the resolver's cache are not counted.
const QUESTIONS_PER_MESSAGE: u32 = 12;
/// Queries of one connection, and so of one message, that may be open at the same time. Further ones wait, so that a message
/// with many names does not take the places of all others. Ordinary messages never wait: ten terms of SPF, a few keys, two
/// walks for DMARC.
const OPEN_QUESTIONS: usize = 32;

/// Counts the queries of all networks.
pub(crate) struct Networks {
    /// None: networks have no limit.
    limiter: Option<Mutex<Limiter>>,
    /// Windows slide by a clock that is never set.
    clock: Clock,
    since: Instant,
}

impl Networks {
    /// Without limits.
    pub(crate) fn new(clock: Clock) -> Self {
        Self { limiter: None, clock, since: clock() }
    }

    /// With the queries that `messages` messages a minute need, per host, site and provider.
    pub(crate) fn limited(messages: [u32; 3], addresses: Addresses, clock: Clock) -> Self {
        let limits = messages.map(|messages| messages.saturating_mul(QUESTIONS_PER_MESSAGE));
        let window = Window { name: "DNS questions", length: Duration::from_secs(60), limits };
        let limiter = Limiter::new(&[window], addresses);
        Self { limiter: Some(Mutex::new(limiter)), clock, since: clock() }
    }

    fn take(&self, ip: IpAddr) -> bool {
        let Some(limiter) = &self.limiter else { return true };
        let now = SystemTime::UNIX_EPOCH + (self.clock)().saturating_duration_since(self.since);
        limiter.lock().take(ip, now, 1).is_allowed()
    }
}

/// The queries that one connection may cause.
pub(crate) struct Allowance {
    networks: Arc<Networks>,
    ip: IpAddr,
    left: AtomicUsize,
    turns: Semaphore,
}

impl Allowance {
    pub(crate) fn new(networks: Arc<Networks>, ip: IpAddr) -> Self {
        Self {
            networks,
            ip,
            left: AtomicUsize::new(CONNECTION_QUESTIONS),
            turns: Semaphore::new(OPEN_QUESTIONS),
        }
    }

    /// Starts again after an accepted message, whose queries were worthwhile.
    pub(crate) fn renew(&self) {
        self.left.store(CONNECTION_QUESTIONS, Ordering::Relaxed);
    }

    /// Takes one query; false if none is left.
    fn take(&self) -> bool {
        let one_less = |left: usize| left.checked_sub(1);
        match self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less) {
            Ok(_) => self.networks.take(self.ip),
            Err(_) => false,
        }
    }
}

/// A resolver for the queries of one connection.
pub(crate) struct Allowed {
    pub(crate) dns: Arc<dyn Resolver>,
    pub(crate) allowance: Arc<Allowance>,
}

impl Resolver for Allowed {
    fn lookup<'a>(&'a self, question: Question<'a>) -> Lookup<'a> {
        let lookup = self.dns.lookup(question);
        if matches!(lookup, Lookup::Ready(_)) {
            return lookup;
        }
        let allowance = &self.allowance;
        Lookup::waiting(async move {
            // The semaphore is never closed.
            let _turn = allowance.turns.acquire().await;
            if allowance.take() {
                return lookup.await;
            }
            tracing::debug!(ip = %allowance.ip, "too many questions to DNS for this client");
            let Question { name, kind } = question;
            Err(LookupError::new(LookupErrorKind::Temporary, name.clone(), kind))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dns::zone::Zone;
    use dns::{Kind, Name};
    use std::future::{pending, poll_fn};
    use std::task::Poll;

    /// Answers at once about names that begin with `known`, later about others, and never about `silent.test`.
    struct Dns {
        zone: Zone,
        asked: AtomicUsize,
    }

    impl Resolver for Dns {
        fn lookup<'a>(&'a self, question: Question<'a>) -> Lookup<'a> {
            let name = question.name.as_str();
            if name.starts_with("known") {
                return self.zone.lookup(question);
            }
            Lookup::waiting(async move {
                self.asked.fetch_add(1, Ordering::Relaxed);
                if name.ends_with("silent.test") {
                    pending::<()>().await;
                }
                self.zone.lookup(question).await
            })
        }
    }

    fn clock() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn dns() -> Arc<Dns> {
        let zone = Zone::parse("*.test. TXT x").unwrap();
        Arc::new(Dns { zone, asked: AtomicUsize::new(0) })
    }

    fn connection(dns: &Arc<Dns>, networks: &Arc<Networks>, ip: &str) -> Allowed {
        let allowance = Arc::new(Allowance::new(Arc::clone(networks), ip.parse().unwrap()));
        Allowed { dns: Arc::clone(dns) as Arc<dyn Resolver>, allowance }
    }

    async fn ask(dns: &Allowed, name: &str) -> Result<(), LookupErrorKind> {
        let name: Name = name.parse().unwrap();
        dns::txt(dns, &name).await.map(|_| ()).map_err(|error| error.kind())
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_has_a_number_of_queries_until_a_message_is_accepted() {
        let (dns, networks) = (dns(), Arc::new(Networks::new(clock)));
        let connection = connection(&dns, &networks, "192.0.2.1");
        for _ in 0..2 {
            for n in 0..CONNECTION_QUESTIONS {
                assert_eq!(ask(&connection, &format!("n{n}.test")).await, Ok(()));
            }
            assert_eq!(ask(&connection, "more.test").await, Err(LookupErrorKind::Temporary));
            assert_eq!(
                ask(&connection, "known.test").await,
                Ok(()),
                "an answer from the cache costs nothing"
            );
            connection.allowance.renew();
        }
        assert_eq!(dns.asked.load(Ordering::Relaxed), 2 * CONNECTION_QUESTIONS);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_has_the_queries_of_the_messages_it_may_begin_unless_it_is_exempt() {
        let allowed = vec!["203.0.113.0/24".parse().unwrap()];
        let addresses = Addresses { allowed, ..Addresses::default() };
        let (dns, networks) = (dns(), Arc::new(Networks::limited([100, 300, 900], addresses, clock)));
        let limit = 100 * QUESTIONS_PER_MESSAGE as usize;
        for _ in 0..limit.div_ceil(CONNECTION_QUESTIONS) + 3 {
            let connection = connection(&dns, &networks, "192.0.2.1");
            for n in 0..CONNECTION_QUESTIONS {
                let _ = ask(&connection, &format!("n{n}.test")).await;
            }
        }
        assert_eq!(dns.asked.load(Ordering::Relaxed), limit);
        assert_eq!(ask(&connection(&dns, &networks, "198.51.100.1"), "other.test").await, Ok(()));
        for n in 0..2 * limit {
            let exempt = connection(&dns, &networks, "203.0.113.1");
            assert_eq!(ask(&exempt, &format!("n{n}.test")).await, Ok(()), "a relay of one's own");
        }
        tokio::time::advance(Duration::from_mins(2)).await;
        assert_eq!(ask(&connection(&dns, &networks, "192.0.2.1"), "later.test").await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_queries_of_one_message_wait_for_their_turns() {
        let (dns, networks) = (dns(), Arc::new(Networks::new(clock)));
        let one = connection(&dns, &networks, "192.0.2.1");
        let names: Vec<Name> =
            (0..3 * OPEN_QUESTIONS).map(|n| format!("n{n}.silent.test").parse().unwrap()).collect();
        let mut lookups: Vec<_> =
            names.iter().map(|name| one.lookup(Question { name, kind: Kind::Txt })).collect();
        poll_fn(|context| {
            for lookup in &mut lookups {
                assert!(std::pin::Pin::new(lookup).poll(context).is_pending());
            }
            Poll::Ready(())
        })
        .await;
        assert_eq!(dns.asked.load(Ordering::Relaxed), OPEN_QUESTIONS);
        assert_eq!(ask(&connection(&dns, &networks, "192.0.2.1"), "other.test").await, Ok(()));
        drop(lookups);
        assert_eq!(ask(&one, "other.test").await, Ok(()), "turns come back");
    }
}

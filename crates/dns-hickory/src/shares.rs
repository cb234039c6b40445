//! [`Shares`]: decides which exchange may run. Sockets are limited, and strangers choose the names that are queried. So no zone
//! gets more than its share of sockets, and none keeps one for long while its servers are silent.

use crate::convert;
use dns::{Name, suffix};
use hickory_proto::rr;
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Concurrent exchanges about names of one organization: more than the terms of an SPF record, and 800 queries a second if a
/// server answers within 20 ms.
const ZONE_SHARE: usize = 16;
/// An exchange that takes longer than this makes room for others.
const SLOW_AFTER: Duration = Duration::from_millis(500);
/// Labels of the zones of reverse names: a network of 256 IPv4 addresses, and an IPv6 site (48 bits).
const REVERSE: [(&str, usize); 2] = [(".in-addr.arpa", 3), (".ip6.arpa", 12)];

/// The exchanges of one resolver.
pub(crate) struct Shares {
    /// Exchanges that began a moment ago.
    fresh: Semaphore,
    /// Exchanges that wait for slow servers.
    slow: Semaphore,
    /// The zones that exchanges run for, or wait for.
    zones: Mutex<HashMap<Name, Arc<Semaphore>>>,
}

impl Shares {
    /// Allows `exchanges` at the same time, at least 2; half of them are for slow exchanges.
    pub(crate) fn new(exchanges: usize) -> Self {
        Self {
            fresh: Semaphore::new(exchanges.div_ceil(2).max(1)),
            slow: Semaphore::new((exchanges / 2).max(1)),
            zones: Mutex::default(),
        }
    }

    /// Runs an exchange about a name when there is room. None if it was slow while too many others were; that counts as a
    /// timeout.
    pub(crate) async fn run<T>(&self, name: &rr::Name, exchange: impl Future<Output = T>) -> Option<T> {
        let zone = self.zone(name);
        // The semaphores are never closed. Waiting for a zone's share takes no place from other zones.
        let _share = match &zone {
            Some(zone) => Some(zone.share.acquire().await),
            None => None,
        };
        let place = self.fresh.acquire().await;
        let mut exchange = pin!(exchange);
        if let Ok(answer) = timeout(SLOW_AFTER, &mut exchange).await {
            return Some(answer);
        }
        let _slow = self.slow.try_acquire().ok()?;
        drop(place);
        Some(exchange.await)
    }

    /// The share of the zone that a name belongs to. None for the root and public suffixes, whose servers no stranger controls.
    fn zone(&self, name: &rr::Name) -> Option<Zone<'_>> {
        let name = zone_of(&printable(name))?;
        let share = Arc::clone(
            self.lock().entry(name.clone()).or_insert_with(|| Arc::new(Semaphore::new(ZONE_SHARE))),
        );
        Some(Zone { shares: self, name, share })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Arc<Semaphore>>> {
        self.zones.lock()
    }
}

/// The entry of a zone, for as long as an exchange needs it.
struct Zone<'s> {
    shares: &'s Shares,
    name: Name,
    share: Arc<Semaphore>,
}

impl Drop for Zone<'_> {
    fn drop(&mut self) {
        let mut zones = self.shares.lock();
        // One reference is in the table, one is ours, and the lock keeps others from taking one.
        if Arc::strong_count(&self.share) == 2 {
            zones.remove(&self.name);
        }
    }
}

/// The name, or its longest end that fits our type: aliases may lead to labels of any bytes, and the labels behind those tell
/// the zone.
fn printable(name: &rr::Name) -> Name {
    let mut end = name.clone();
    loop {
        match convert::from_hickory(&end) {
            Some(name) => return name,
            // The root, at the end, has a form.
            None => end = end.base_name(),
        }
    }
}

/// The zone of the organization that `name` belongs to, as far as the name alone tells.
fn zone_of(name: &Name) -> Option<Name> {
    for (suffix, labels) in REVERSE {
        if name.as_str().ends_with(suffix) {
            return name.last_labels(labels + 2);
        }
    }
    suffix::registered(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};
    use tokio::task::JoinSet;

    fn name(text: &str) -> rr::Name {
        rr::Name::from_ascii(text).unwrap()
    }

    #[test]
    fn a_zone_is_what_one_organization_answers_for() {
        let check = |name: &str, want: Option<&str>| {
            let zone = zone_of(&name.parse().unwrap());
            assert_eq!(zone.as_ref().map(Name::as_str), want, "{name}");
        };
        check("s._domainkey.mail.example.org", Some("example.org"));
        check("_dmarc.example.co.uk", Some("example.co.uk"));
        check("a b._spf.example.org", Some("example.org"));
        check("example.org", Some("example.org"));
        check("_dmarc.org", Some("_dmarc.org"));
        check("org", None);
        check("co.uk", None);
        check(".", None);
        check("7.2.0.192.in-addr.arpa", Some("2.0.192.in-addr.arpa"));
        check(
            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.3.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
            Some("3.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"),
        );
        check("192.in-addr.arpa", Some("192.in-addr.arpa"));
    }

    #[test]
    fn names_that_no_text_can_have_belong_to_their_zone_too() {
        let shares = Shares::new(2);
        let labels = [b"\0".as_slice(), b"b", b"silent", b"test"];
        let name = rr::Name::from_labels(labels).unwrap();
        assert_eq!(shares.zone(&name).unwrap().name.as_str(), "silent.test");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_zone_leaves_the_others_their_places() {
        let shares = Arc::new(Shares::new(4 * ZONE_SHARE));
        let mut silent = JoinSet::new();
        for n in 0..100 * ZONE_SHARE {
            let shares = Arc::clone(&shares);
            silent
                .spawn(async move { shares.run(&name(&format!("n{n}.silent.test")), pending::<()>()).await });
        }
        tokio::task::yield_now().await;
        // Without waiting: the paused clock only moves while all tasks wait.
        let begin = tokio::time::Instant::now();
        assert_eq!(shares.run(&name("other.test"), ready(1)).await, Some(1));
        assert_eq!(begin.elapsed(), Duration::ZERO);
        silent.shutdown().await;
        assert!(shares.lock().is_empty(), "zones without queries take no memory");
    }

    #[tokio::test(start_paused = true)]
    async fn many_silent_zones_hold_others_up_for_a_moment_alone() {
        let shares = Arc::new(Shares::new(4 * ZONE_SHARE));
        let mut silent = JoinSet::new();
        for n in 0..4 * ZONE_SHARE {
            let shares = Arc::clone(&shares);
            silent.spawn(async move { shares.run(&name(&format!("silent{n}.test")), pending::<()>()).await });
        }
        tokio::task::yield_now().await;
        let begin = tokio::time::Instant::now();
        assert_eq!(shares.run(&name("other.test"), ready(1)).await, Some(1));
        // Those that came before it had their turns, half of them at a time.
        assert!(begin.elapsed() <= 2 * SLOW_AFTER, "{:?}", begin.elapsed());
        // Half of them wait on; the others had to make room.
        tokio::time::sleep(3 * SLOW_AFTER).await;
        let mut ended = 0;
        while let Some(end) = silent.try_join_next() {
            assert_eq!(end.unwrap(), None);
            ended += 1;
        }
        assert_eq!(ended, 2 * ZONE_SHARE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_answer_comes_where_there_is_room() {
        let shares = Shares::new(2);
        let slow = async {
            tokio::time::sleep(10 * SLOW_AFTER).await;
            7
        };
        assert_eq!(shares.run(&name("slow.test"), slow).await, Some(7));
    }
}

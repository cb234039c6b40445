//! A queue for a limited number of slots that is fair to networks.

use parking_lot::{Mutex, MutexGuard};
use ratelimit::Network;
use smtpserver::Standing;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Waiting entries at most from networks where their accounts have logged in recently.
pub const MAX_WAITING_KNOWN: usize = 100;
/// Waiting entries at most from any other network (a provider's).
pub const MAX_WAITING_OF_NETWORK: usize = 32;
/// The longest wait for a slot. Clients give up after a while.
pub const MAX_WAIT: Duration = Duration::from_secs(30);

/// A number of slots, and the queue for them. Entries from networks where the account has logged in recently come first. Then
/// the other networks take turns with one entry each, however many entries a network has.
#[derive(Clone, Debug)]
pub(crate) struct FairQueue(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    free: usize,
    known: Line,
    others: HashMap<Network, Line>,
    /// The networks in `others`, in the order of their turns.
    turns: VecDeque<Network>,
}

type Line = VecDeque<oneshot::Sender<Slot>>;

/// A slot, free again when dropped.
#[derive(Debug)]
pub(crate) struct Slot(Option<FairQueue>);

impl FairQueue {
    pub(crate) fn new(slots: usize) -> Self {
        let state = State { free: slots, known: Line::new(), others: HashMap::new(), turns: VecDeque::new() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Waits for a slot. None if too many of the same standing wait already, or after [`MAX_WAIT`].
    pub(crate) async fn enter(&self, standing: Standing) -> Option<Slot> {
        let slot = {
            let mut state = self.state();
            if state.free > 0 {
                state.free -= 1;
                return Some(Slot(Some(self.clone())));
            }
            state.wait(standing)?
        };
        tokio::time::timeout(MAX_WAIT, slot).await.ok()?.ok()
    }

    /// Gives a free slot to the next entry.
    fn pass_on(&self) {
        let mut state = self.state();
        while let Some(next) = state.next() {
            match next.send(Slot(Some(self.clone()))) {
                Ok(()) => return,
                // That entry gave up. Its slot is taken apart, because dropping it would call this function again.
                Err(mut slot) => drop(slot.0.take()),
            }
        }
        state.free += 1;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}

impl State {
    fn wait(&mut self, standing: Standing) -> Option<oneshot::Receiver<Slot>> {
        let (line, most) = match standing.known {
            true => (&mut self.known, MAX_WAITING_KNOWN),
            false => (self.others.entry(standing.network).or_default(), MAX_WAITING_OF_NETWORK),
        };
        // A network keeps its turn while it has a line, even if all entries in it have given up.
        let has_turn = standing.known || !line.is_empty();
        if line.len() >= most {
            line.retain(|waiting| !waiting.is_closed());
        }
        if line.len() >= most {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        line.push_back(sender);
        if !has_turn {
            self.turns.push_back(standing.network);
        }
        Some(receiver)
    }

    fn next(&mut self) -> Option<oneshot::Sender<Slot>> {
        if let Some(known) = self.known.pop_front() {
            return Some(known);
        }
        let network = self.turns.pop_front()?;
        let line = self.others.get_mut(&network)?;
        let next = line.pop_front();
        if line.is_empty() {
            self.others.remove(&network);
        } else {
            self.turns.push_back(network);
        }
        next
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(queue) = self.0.take() {
            queue.pass_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(third: u8, known: bool) -> Standing {
        Standing { known, network: Network::new([10, third, 0, 0].into(), 21) }
    }

    /// Queues entries in this order, and returns the order in which they get slots.
    async fn served(queue: &FairQueue, waiting: &[(&'static str, Standing)]) -> Vec<&'static str> {
        let busy = queue.enter(from(0, false)).await.unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for (name, standing) in waiting.iter().copied() {
            let (queue, order) = (queue.clone(), Arc::clone(&order));
            tasks.push(tokio::spawn(async move {
                let slot = queue.enter(standing).await;
                if slot.is_some() {
                    order.lock().push(name);
                }
            }));
            tokio::task::yield_now().await;
        }
        drop(busy);
        for task in tasks {
            task.await.unwrap();
        }
        let order = order.lock();
        order.clone()
    }

    #[tokio::test(start_paused = true)]
    async fn every_network_has_its_turn_and_known_ones_come_first() {
        let queue = FairQueue::new(1);
        let mut waiting = vec![("flood", from(1, false)); 3];
        waiting.extend([("other", from(2, false)), ("late", from(3, false)), ("known", from(1, true))]);
        let order = served(&queue, &waiting).await;
        assert_eq!(order, ["known", "flood", "other", "late", "flood", "flood"]);
    }

    #[tokio::test(start_paused = true)]
    async fn no_flood_keeps_newcomers_or_known_ones_out() {
        let queue = FairQueue::new(1);
        // More entries than a line may have, from thirty networks.
        let mut waiting = Vec::new();
        for third in 1..=30 {
            waiting.extend(vec![("flood", from(third, false)); 2 * MAX_WAITING_OF_NETWORK]);
        }
        waiting.extend([("newcomer", from(31, false)), ("known", from(1, true))]);
        let order = served(&queue, &waiting).await;
        let place = |name| order.iter().position(|served| *served == name);
        assert_eq!((place("known"), place("newcomer")), (Some(0), Some(31)));
        assert_eq!(order.len(), 30 * MAX_WAITING_OF_NETWORK + 2);
    }

    #[tokio::test(start_paused = true)]
    async fn entries_that_gave_up_do_not_hold_up_those_behind_them() {
        let queue = FairQueue::new(1);
        let busy = queue.enter(from(1, false)).await.unwrap();
        for _ in 0..=MAX_WAITING_OF_NETWORK {
            let gone = tokio::time::timeout(Duration::from_secs(1), queue.enter(from(1, false))).await;
            assert!(gone.is_err());
        }
        let behind = {
            let queue = queue.clone();
            tokio::spawn(async move { queue.enter(from(2, false)).await.is_some() })
        };
        tokio::task::yield_now().await;
        let begin = tokio::time::Instant::now();
        drop(busy);
        assert!(behind.await.unwrap());
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn an_entry_that_gives_up_takes_no_slot() {
        let queue = FairQueue::new(1);
        let busy = queue.enter(from(1, false)).await.unwrap();
        // No entry waits for ever.
        assert!(queue.enter(from(1, false)).await.is_none());
        for _ in 0..2 * MAX_WAITING_OF_NETWORK {
            let gone = tokio::time::timeout(Duration::from_secs(1), queue.enter(from(1, false))).await;
            assert!(gone.is_err(), "entries that gave up make room");
        }
        drop(busy);
        assert!(queue.enter(from(1, false)).await.is_some());
        assert!(queue.enter(from(2, true)).await.is_some());
        let state = queue.state();
        assert!(state.free == 1 && state.others.is_empty() && state.turns.is_empty());
    }
}

//! Waiting for several lookups side by side, without a runtime.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// Drives all futures at the same time and returns their outputs in order.
///
/// Every wake-up polls all that are open: meant for the few questions that one message asks, not for thousands.
pub async fn join_all<T>(futures: Vec<Pin<Box<dyn Future<Output = T> + Send + '_>>>) -> Vec<T> {
    enum Slot<'a, T> {
        Open(Pin<Box<dyn Future<Output = T> + Send + 'a>>),
        Done(T),
    }
    let mut slots: Vec<Slot<'_, T>> = futures.into_iter().map(Slot::Open).collect();
    let mut slots_left = slots.len();
    poll_fn(|context| {
        for slot in &mut slots {
            if let Slot::Open(future) = slot
                && let Poll::Ready(output) = future.as_mut().poll(context)
            {
                *slot = Slot::Done(output);
                slots_left -= 1;
            }
        }
        if slots_left == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    let done = |slot| if let Slot::Done(output) = slot { Some(output) } else { None };
    slots.into_iter().filter_map(done).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Waker};

    /// Ready at the `n`th poll.
    fn after(mut n: usize) -> Pin<Box<dyn Future<Output = usize> + Send>> {
        let result = n;
        Box::pin(poll_fn(move |_| {
            n -= 1;
            if n == 0 { Poll::Ready(result) } else { Poll::Pending }
        }))
    }

    #[test]
    fn outputs_keep_their_order_and_nobody_is_polled_after_the_end() {
        let mut all = Box::pin(join_all(vec![after(3), after(1), after(2)]));
        let mut context = Context::from_waker(Waker::noop());
        assert!(all.as_mut().poll(&mut context).is_pending());
        assert!(all.as_mut().poll(&mut context).is_pending());
        assert_eq!(all.as_mut().poll(&mut context), Poll::Ready(vec![3, 1, 2]));
    }
}

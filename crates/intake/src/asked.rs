//! [`Asked`]: a judge at work in a task of its own while the message arrives.

use crate::metrics;
use std::future::Future;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long one judge may take in all. A judge without an answer by then counts as a temporary failure of DNS.
pub(crate) const JUDGE_TIMEOUT: Duration = Duration::from_secs(60);

/// A clock that is never set.
pub(crate) type Clock = fn() -> Instant;

/// A judge at work. Dropping it stops the work.
#[derive(Debug)]
pub(crate) struct Asked<T> {
    /// The name of the judge, as the metrics have it.
    judge: &'static str,
    task: JoinHandle<Option<Timed<T>>>,
}

/// An answer, and how long the judge took for it.
#[derive(Debug, Clone)]
pub(crate) struct Timed<T> {
    pub(crate) value: T,
    pub(crate) took: Duration,
}

impl<T: Send + 'static> Asked<T> {
    /// Starts the work of a judge, for at most [`JUDGE_TIMEOUT`].
    pub(crate) fn start(
        judge: &'static str,
        clock: Clock,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Self {
        let task = tokio::spawn(async move {
            let begin = clock();
            let value = timeout(JUDGE_TIMEOUT, work).await.ok()?;
            Some(Timed { value, took: clock().saturating_duration_since(begin) })
        });
        Self { judge, task }
    }

    /// Waits for the answer. None if the judge took too long, or panicked, which is counted.
    pub(crate) async fn answer(mut self) -> Option<Timed<T>> {
        match (&mut self.task).await {
            Ok(answer) => answer,
            Err(error) => {
                metrics::panicked(self.judge);
                tracing::error!(%error, judge = self.judge, "a judge failed");
                None
            }
        }
    }

    /// Waits for the answer of a judge that may not have been asked.
    pub(crate) async fn maybe(asked: Option<Self>) -> Option<Timed<T>> {
        match asked {
            Some(asked) => asked.answer().await,
            None => None,
        }
    }
}

impl<T> Drop for Asked<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    /// A clock that stands still while tests sleep, as the paused one of the runtime does.
    fn clock() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_comes_with_its_time() {
        let work = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            7
        };
        let answer = Asked::start("test", clock, work).answer().await.unwrap();
        assert_eq!((answer.value, answer.took), (7, Duration::from_secs(5)));
    }

    #[tokio::test]
    async fn a_judge_that_panics_has_no_answer() {
        assert!(Asked::<()>::start("test", clock, async { panic!("on purpose") }).answer().await.is_none());
        assert!(Asked::<()>::maybe(None).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_judge_has_its_time_and_no_more() {
        let begin = clock();
        let just_in_time = tokio::time::sleep(JUDGE_TIMEOUT - Duration::from_millis(1));
        assert!(Asked::start("test", clock, just_in_time).answer().await.is_some());
        assert!(clock() - begin < JUDGE_TIMEOUT);
        let begin = clock();
        let too_late = tokio::time::sleep(2 * JUDGE_TIMEOUT);
        assert!(Asked::start("test", clock, too_late).answer().await.is_none());
        let took = clock() - begin;
        assert!(took >= JUDGE_TIMEOUT && took < 2 * JUDGE_TIMEOUT, "{took:?}");
    }

    #[tokio::test]
    async fn dropping_a_question_stops_the_judge() {
        let (open, closed) = tokio::sync::oneshot::channel::<()>();
        let asked = Asked::start("test", clock, async move {
            let _open = open;
            pending::<()>().await;
        });
        drop(asked);
        assert!(closed.await.is_err(), "the work was dropped");
    }
}

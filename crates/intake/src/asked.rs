//! [`Asked`]: a question that is being asked elsewhere while the message arrives.

use crate::metrics;
use std::future::Future;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// How long one judge may take in all; what is not there then counts as a temporary failure of DNS.
pub(crate) const JUDGE_TIMEOUT: Duration = Duration::from_secs(60);

/// A question that is being asked elsewhere. Dropping it stops the asking.
#[derive(Debug)]
pub(crate) struct Asked<T> {
    /// The part that a fault is counted for.
    judge: &'static str,
    task: JoinHandle<Option<Timed<T>>>,
}

/// An answer, and how long it took to find.
#[derive(Debug, Clone)]
pub(crate) struct Timed<T> {
    pub(crate) value: T,
    pub(crate) took: Duration,
}

impl<T: Send + 'static> Asked<T> {
    pub(crate) fn start(judge: &'static str, work: impl Future<Output = T> + Send + 'static) -> Self {
        let task = tokio::spawn(async move {
            let begin = Instant::now();
            let value = timeout(JUDGE_TIMEOUT, work).await.ok()?;
            Some(Timed { value, took: begin.elapsed() })
        });
        Self { judge, task }
    }

    /// The answer; none if it took too long, or the judge failed, which is counted.
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

    /// The answer to what may not have been asked.
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

    #[tokio::test]
    async fn an_answer_comes_with_its_time() {
        let answer = Asked::start("test", async { 7 }).answer().await.unwrap();
        assert_eq!(answer.value, 7);
        assert!(answer.took < JUDGE_TIMEOUT);
    }

    #[tokio::test]
    async fn a_judge_that_breaks_has_no_answer() {
        assert!(Asked::<()>::start("test", async { panic!("on purpose") }).answer().await.is_none());
        assert!(Asked::<()>::maybe(None).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_judge_has_its_time_and_no_more() {
        assert!(Asked::<()>::start("test", pending()).answer().await.is_none());
    }

    #[tokio::test]
    async fn a_question_nobody_waits_for_is_not_asked_on() {
        let (open, closed) = tokio::sync::oneshot::channel::<()>();
        let asked = Asked::start("test", async move {
            let _open = open;
            pending::<()>().await;
        });
        drop(asked);
        assert!(closed.await.is_err(), "the work was dropped");
    }
}

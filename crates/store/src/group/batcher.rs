//! Natural batching: while one batch is in flight the next one gathers. An idle store pays no delay (whoever comes
//! first carries out its own item, on its own task), a busy one pays one round trip and one fsync for everything
//! that waited.
//!
//! An item that was accepted is carried out even when its asker goes away: a request that is cut off by its client
//! leaves no half-done write behind.

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use sessile_core::StoreError;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::oneshot;

/// Items that may wait for a batch; beyond that an asker is told that the store is overloaded.
const QUEUE_MAX: usize = 16 * 1024;

/// How large batches grow, and how many run side by side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Items in one batch at most.
    pub(crate) batch_max: usize,
    /// Batches in flight at once.
    pub(crate) lanes: usize,
}

type Answer<R> = Result<R, StoreError>;
type Reply<R> = oneshot::Sender<Answer<R>>;
/// Items and where their answers go, in the same order.
type Batch<T, R> = (Vec<T>, Vec<Reply<R>>);
type Run<T, R> = Box<dyn Fn(Vec<T>) -> BoxFuture<'static, Vec<Answer<R>>> + Send + Sync>;

/// Gathers items and hands them to one function, a batch at a time.
pub(crate) struct Batcher<T, R>(Arc<Shared<T, R>>);

struct Shared<T, R> {
    shape: Shape,
    run: Run<T, R>,
    queue: Mutex<Queue<T, R>>,
}

struct Queue<T, R> {
    items: Vec<T>,
    replies: Vec<Reply<R>>,
    lanes_busy: usize,
    last_batch: usize,
}

impl<T: Send + 'static, R: Send + 'static> Batcher<T, R> {
    /// `run` answers every item of its batch, in order.
    pub(crate) fn new<F, Fut>(shape: Shape, run: F) -> Self
    where
        F: Fn(Vec<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Vec<Answer<R>>> + Send + 'static,
    {
        let run: Run<T, R> = Box::new(move |items| Box::pin(run(items)));
        let queue = Queue { items: Vec::new(), replies: Vec::new(), lanes_busy: 0, last_batch: 0 };
        Self(Arc::new(Shared { shape, run, queue: Mutex::new(queue) }))
    }

    /// Waits until `item` has been carried out, with others or alone.
    pub(crate) async fn ask(&self, item: T) -> Answer<R> {
        let (reply, answer) = oneshot::channel();
        if self.0.enter(item, reply)? == Part::Leading {
            Lead::of(self.0.clone()).await;
        }
        answer.await.map_err(|_| StoreError::unavailable("the batch ended without an answer"))?
    }
}

/// What an asker does after its item has joined the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// There is a free lane: it carries the next batch out.
    Leading,
    /// Somebody else will.
    Waiting,
}

impl<T: Send + 'static, R: Send + 'static> Shared<T, R> {
    fn enter(&self, item: T, reply: Reply<R>) -> Result<Part, StoreError> {
        let mut queue = self.queue.lock();
        if queue.items.len() >= QUEUE_MAX {
            return Err(StoreError::unavailable("more requests wait for the store than it can take"));
        }
        queue.items.push(item);
        queue.replies.push(reply);
        if queue.lanes_busy < self.shape.lanes {
            queue.lanes_busy += 1;
            return Ok(Part::Leading);
        }
        Ok(Part::Waiting)
    }

    /// Carries out one batch of what has gathered; says whether there was anything.
    async fn batch(&self) -> Gathered {
        // Requests that arrive together ask together: where the last batch had company, let those that are ready come
        // in first. A lone request does not wait for anybody.
        if self.queue.lock().last_batch > 1 {
            tokio::task::yield_now().await;
        }
        let Some((items, replies)) = self.take() else { return Gathered::Nothing };
        let lane = Lane(self);
        let answers = (self.run)(items).await;
        drop(lane);
        // An asker that went away does not want its answer.
        replies.into_iter().zip(answers).for_each(|(reply, answer)| drop(reply.send(answer)));
        Gathered::Some
    }

    /// What has gathered; frees the lane when that is nothing.
    fn take(&self) -> Option<Batch<T, R>> {
        let mut queue = self.queue.lock();
        if queue.items.is_empty() {
            queue.lanes_busy -= 1;
            return None;
        }
        let count = queue.items.len().min(self.shape.batch_max);
        queue.last_batch = count;
        if count == queue.items.len() {
            let (items, replies) = (Vec::with_capacity(count), Vec::with_capacity(count));
            return Some((
                std::mem::replace(&mut queue.items, items),
                std::mem::replace(&mut queue.replies, replies),
            ));
        }
        Some((queue.items.drain(..count).collect(), queue.replies.drain(..count).collect()))
    }

    /// Frees the lane if nothing waits for it.
    fn rest(&self) -> Gathered {
        let mut queue = self.queue.lock();
        if queue.items.is_empty() {
            queue.lanes_busy -= 1;
            return Gathered::Nothing;
        }
        Gathered::Some
    }

    /// A task of its own goes on with what has gathered, until nothing has.
    fn go_on(self: Arc<Self>) {
        if self.rest() == Gathered::Some {
            tokio::spawn(async move { while self.batch().await == Gathered::Some {} });
        }
    }
}

/// Frees the lane when a batch panics: its askers are told that there is no answer, everybody else goes on.
struct Lane<'a, T, R>(&'a Shared<T, R>);

impl<T, R> Drop for Lane<'_, T, R> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.queue.lock().lanes_busy -= 1;
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gathered {
    Some,
    Nothing,
}

/// A batch on its first asker's own task. Dropped before its end, it goes on without the asker.
struct Lead(Option<BoxFuture<'static, ()>>);

impl Lead {
    fn of<T: Send + 'static, R: Send + 'static>(shared: Arc<Shared<T, R>>) -> Self {
        Self(Some(Box::pin(async move {
            if shared.batch().await == Gathered::Some {
                shared.go_on();
            }
        })))
    }
}

impl Future for Lead {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(batch) = self.0.as_mut() {
            std::task::ready!(batch.as_mut().poll(cx));
            self.0 = None;
        }
        Poll::Ready(())
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        // Outside a runtime there is nobody left to wait for the outcome.
        if let (Some(batch), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(batch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Notify;

    /// A batcher whose first batch waits for the gate; it counts batches and items.
    #[derive(Clone, Default)]
    struct Gate {
        batches: Arc<AtomicUsize>,
        items: Arc<AtomicUsize>,
        open: Arc<Notify>,
    }

    impl Gate {
        async fn pass(self, batch: Vec<u32>) -> Vec<Answer<u32>> {
            if self.batches.fetch_add(1, Ordering::SeqCst) == 0 {
                self.open.notified().await;
            }
            self.items.fetch_add(batch.len(), Ordering::SeqCst);
            batch.into_iter().map(|n| Ok(n * 2)).collect()
        }
    }

    fn gated() -> (Arc<Batcher<u32, u32>>, Gate) {
        let gate = Gate::default();
        let inner = gate.clone();
        let shape = Shape { batch_max: 100, lanes: 1 };
        (Arc::new(Batcher::new(shape, move |batch| inner.clone().pass(batch))), gate)
    }

    async fn until(mut done: impl FnMut() -> bool) {
        while !done() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_comes_while_a_batch_is_in_flight_joins_the_next() {
        let (batcher, Gate { batches, open, .. }) = gated();
        let ask = |n: u32| {
            let batcher = batcher.clone();
            tokio::spawn(async move { batcher.ask(n).await.unwrap() })
        };
        let first = ask(0);
        until(|| batches.load(Ordering::SeqCst) == 1).await;
        let others: Vec<_> = (1..50).map(ask).collect();
        until(|| batcher.0.queue.lock().items.len() == 49).await;
        open.notify_one();
        assert_eq!(first.await.unwrap(), 0);
        for (n, ask) in others.into_iter().enumerate() {
            assert_eq!(ask.await.unwrap(), u32::try_from(n + 1).unwrap() * 2);
        }
        assert_eq!(batches.load(Ordering::SeqCst), 2);
        until(|| batcher.0.queue.lock().lanes_busy == 0).await;
    }

    #[tokio::test]
    async fn an_item_is_carried_out_when_its_asker_goes_away() {
        let (batcher, Gate { batches, items, open }) = gated();
        let leader = tokio::spawn({
            let batcher = batcher.clone();
            async move { batcher.ask(1).await }
        });
        until(|| batches.load(Ordering::SeqCst) == 1).await;
        let waiter = tokio::spawn({
            let batcher = batcher.clone();
            async move { batcher.ask(2).await }
        });
        until(|| batcher.0.queue.lock().items.len() == 1).await;
        leader.abort();
        waiter.abort();
        assert!(leader.await.is_err() && waiter.await.is_err());
        open.notify_one();
        until(|| items.load(Ordering::SeqCst) == 2).await;
        until(|| batcher.0.queue.lock().lanes_busy == 0).await;
        assert_eq!(batcher.ask(3).await.unwrap(), 6);
    }

    #[tokio::test]
    async fn a_batch_that_panics_does_not_stop_the_next() {
        let batcher =
            Arc::new(Batcher::new(Shape { batch_max: 1, lanes: 1 }, |items: Vec<u32>| async move {
                assert!(items != [0], "a bug in an engine");
                items.into_iter().map(Ok).collect()
            }));
        let bad = tokio::spawn({
            let batcher = batcher.clone();
            async move { batcher.ask(0).await }
        });
        assert!(bad.await.is_err());
        assert_eq!(batcher.ask(1).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn one_failing_item_does_not_fail_its_neighbours() {
        let batcher = Batcher::new(Shape { batch_max: 10, lanes: 1 }, |items: Vec<u32>| async move {
            items.into_iter().map(|n| if n == 1 { Err(StoreError::Gone) } else { Ok(n) }).collect()
        });
        let (a, b, c) = tokio::join!(batcher.ask(0), batcher.ask(1), batcher.ask(2));
        assert!(matches!((a, b, c), (Ok(0), Err(StoreError::Gone), Ok(2))));
    }
}

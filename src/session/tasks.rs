use std::collections::HashMap;
use std::future::Future;

use tokio::task::{Id, JoinError, JoinSet};

/// Tasks, each of which serves something: so that of one that panics it is still known what it served.
pub(super) struct Tasks<K, T> {
    running: JoinSet<T>,
    served: HashMap<Id, K>,
}

impl<K, T: Send + 'static> Tasks<K, T> {
    pub(super) fn new() -> Self {
        Self {
            running: JoinSet::new(),
            served: HashMap::new(),
        }
    }

    /// Starts a task that serves `key`.
    pub(super) fn spawn(&mut self, key: K, work: impl Future<Output = T> + Send + 'static) {
        let task = self.running.spawn(work);
        self.served.insert(task.id(), key);
    }

    /// The next task that has ended, what it served, and what came of it: nothing if it panicked. None while no task
    /// runs. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Option<(K, Option<T>)> {
        let done = self.running.join_next_with_id().await?;
        let (task, result) = match done {
            Ok((task, result)) => (task, Some(result)),
            Err(error) => (JoinError::id(&error), None),
        };
        Some((self.served.remove(&task)?, result))
    }

    /// Stops them all, and waits until they have.
    pub(super) async fn shutdown(&mut self) {
        self.running.shutdown().await;
    }
}

//! Places for connections: so many in all, and a part of them for one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::rate_limit::Subject;
use crate::metrics::ConnectionMetrics;

/// All places.
pub struct Places {
    free: Arc<Semaphore>,
    n_all: usize,
    /// How many are taken by each client that has any, counted as for its budgets.
    taken: Mutex<HashMap<Subject, usize>>,
    metrics: ConnectionMetrics,
}

impl Places {
    /// So many, all free.
    pub fn new(n_all: usize, metrics: &ConnectionMetrics) -> Arc<Self> {
        metrics.limit.set(i64::try_from(n_all).unwrap_or(i64::MAX));
        Arc::new(Self {
            free: Arc::new(Semaphore::new(n_all)),
            n_all,
            taken: Mutex::default(),
            metrics: metrics.clone(),
        })
    }

    /// Waits until there is a place for somebody.
    pub async fn room(self: &Arc<Self>) -> Room {
        let permit = Arc::clone(&self.free).acquire_owned().await;
        Room {
            places: Arc::clone(self),
            permit: permit.expect("the semaphore is never closed"),
        }
    }

    /// Whether most places are taken.
    pub fn is_crowded(&self) -> bool {
        self.free.available_permits() < self.n_all / PARTS
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<Subject, usize>> {
        self.taken.lock().expect("no holder of this lock panics")
    }
}

/// A place that nobody has taken yet.
pub struct Room {
    places: Arc<Places>,
    permit: OwnedSemaphorePermit,
}

impl Room {
    /// The place for a client of this address; `None` when it has its part of all places, unless it
    /// may have more.
    pub fn take(self, address: IpAddr, may_have_more: bool) -> Option<Place> {
        let (client, _) = Subject::of_address(address.to_canonical());
        let mut taken = self.places.taken();
        let n_taken = taken.entry(client).or_default();
        if *n_taken >= (self.places.n_all / PARTS).max(1) && !may_have_more {
            self.places.metrics.refused.inc();
            return None;
        }
        *n_taken += 1;
        drop(taken);
        self.places.metrics.open.inc();
        Some(Place {
            places: self.places,
            client,
            _permit: self.permit,
        })
    }
}

/// A connection's place, free again when it is dropped.
pub struct Place {
    places: Arc<Places>,
    client: Subject,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.metrics.open.dec();
        let mut taken = self.places.taken();
        if let Some(n_taken) = taken.get_mut(&self.client) {
            *n_taken -= 1;
            if *n_taken == 0 {
                taken.remove(&self.client);
            }
        }
    }
}

/// One address gets a fourth of all places, and the last fourth is a crowd.
const PARTS: usize = 4;

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const AWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

    async fn take(places: &Arc<Places>, address: IpAddr) -> Option<Place> {
        places.room().await.take(address, false)
    }

    #[tokio::test]
    async fn one_address_has_a_fourth_and_gets_another_when_it_leaves_one() {
        let places = Places::new(8, &ConnectionMetrics::default());
        let first = take(&places, HOME).await.expect("a place");
        let _second = take(&places, HOME).await.expect("a place");
        assert!(take(&places, HOME).await.is_none());
        let mapped = IpAddr::V6(Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped());
        assert!(take(&places, mapped).await.is_none(), "the same address");
        assert!(take(&places, AWAY).await.is_some(), "another's part");
        drop(first);
        assert!(take(&places, HOME).await.is_some());
        assert_eq!(places.metrics.refused.get(), 2);
        assert_eq!(places.metrics.open.get(), 1);
        assert_eq!(places.metrics.limit.get(), 8);
    }

    #[tokio::test]
    async fn a_network_of_ipv6_is_one_address() {
        let places = Places::new(4, &ConnectionMetrics::default());
        let host = |net, host| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, net, 0, 0, 0, host));
        let _one = take(&places, host(1, 1)).await.expect("a place");
        assert!(take(&places, host(1, 2)).await.is_none());
        assert!(take(&places, host(2, 1)).await.is_some());
    }

    #[tokio::test]
    async fn who_may_have_more_can_have_all_and_then_everybody_waits() {
        let places = Places::new(4, &ConnectionMetrics::default());
        let mut all = Vec::new();
        for _ in 0..4 {
            assert!(!places.is_crowded());
            all.extend(places.room().await.take(HOME, true));
        }
        assert!(places.is_crowded());
        let soon = Duration::from_millis(20);
        assert!(timeout(soon, places.room()).await.is_err());
        all.pop();
        assert!(timeout(soon, places.room()).await.is_ok());
    }

    #[tokio::test]
    async fn addresses_that_left_are_forgotten() {
        let places = Places::new(4, &ConnectionMetrics::default());
        drop(take(&places, HOME).await);
        assert!(places.taken().is_empty());
    }
}

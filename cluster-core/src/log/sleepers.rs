//! The wakers of subscriptions that wait for the next event.

use std::task::Waker;

/// Parked wakers. All of them are taken out at once by what wakes them; one that is dropped or replaced before
/// that is found by its place.
#[derive(Default)]
pub(super) struct Sleepers {
    wakers: Vec<Option<Waker>>,
    /// Empty places, so that subscriptions that come and go while nothing is published do not pile up.
    free: Vec<usize>,
    /// Grows whenever the wakers are taken: places of former rounds are void.
    round: u64,
}

/// Where a waker is parked.
#[derive(Clone, Copy)]
pub(super) struct Place {
    round: u64,
    index: usize,
}

/// Runs taken wakers: not to be called under a lock.
pub(super) fn wake(sleepers: Vec<Option<Waker>>) {
    for waker in sleepers.into_iter().flatten() {
        waker.wake();
    }
}

// === impl Sleepers ===

impl Sleepers {
    /// Parks a waker, in place of the one at `place` if that still sleeps. The one it replaced is returned, to be
    /// dropped outside the lock.
    pub(super) fn park(&mut self, place: &mut Option<Place>, waker: Waker) -> Option<Waker> {
        if let Some(sleeping) = place.and_then(|place| self.at(place)) {
            return sleeping.replace(waker);
        }
        let index = self.free.pop().unwrap_or(self.wakers.len());
        match self.wakers.get_mut(index) {
            Some(empty) => *empty = Some(waker),
            None => self.wakers.push(Some(waker)),
        }
        *place = Some(Place { round: self.round, index });
        None
    }

    /// Takes one waker out, if it still sleeps.
    pub(super) fn remove(&mut self, place: Place) -> Option<Waker> {
        let waker = self.at(place)?.take();
        self.free.push(place.index);
        waker
    }

    /// Takes all wakers out: whoever takes them must wake them.
    pub(super) fn take(&mut self) -> Vec<Option<Waker>> {
        if self.wakers.is_empty() {
            return Vec::new();
        }
        self.round = self.round.wrapping_add(1);
        self.free.clear();
        // Most will be back for the next event: they find the room ready.
        let room = Vec::with_capacity(self.wakers.len());
        std::mem::replace(&mut self.wakers, room)
    }

    /// How many places there are, taken or empty.
    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.wakers.len()
    }

    fn at(&mut self, place: Place) -> Option<&mut Option<Waker>> {
        if place.round == self.round { self.wakers.get_mut(place.index) } else { None }
    }
}

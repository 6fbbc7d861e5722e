//! A lock that is given out in the order in which it was asked for.
//!
//! `std::sync::Mutex` lets whoever is fastest in, which is the one who has just let go of it. A listening thread in a
//! flood of messages takes the connection again and again; with such a lock the sending thread could wait for ever.

use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::sync::lock;

/// A value that threads take in turns.
pub(crate) struct Fair<T> {
    turns: Mutex<Turns>,
    next: Condvar,
    value: Mutex<T>,
}

#[derive(Default)]
struct Turns {
    /// The number that the next one to ask gets.
    given: u64,
    /// Whose turn it is.
    serving: u64,
}

/// The value, until this is dropped.
pub(crate) struct Turn<'a, T> {
    // In this order they are dropped: the next one finds the value free.
    value: MutexGuard<'a, T>,
    _over: Over<'a, T>,
}

/// Lets the next one have its turn when it is dropped.
struct Over<'a, T>(&'a Fair<T>);

impl<T> Fair<T> {
    /// Nobody has it yet.
    pub(crate) fn new(value: T) -> Self {
        Self { turns: Mutex::default(), next: Condvar::new(), value: Mutex::new(value) }
    }

    /// Waits for all who asked before. Not to be called by a thread that has a turn.
    pub(crate) fn turn(&self) -> Turn<'_, T> {
        let mine = self.queue();
        self.wait(mine)
    }

    /// A place behind all who asked before. Whoever has one must wait for it.
    fn queue(&self) -> u64 {
        let mut turns = self.turns();
        let mine = turns.given;
        turns.given += 1;
        mine
    }

    fn wait(&self, mine: u64) -> Turn<'_, T> {
        let others = |turns: &mut Turns| turns.serving != mine;
        drop(self.next.wait_while(self.turns(), others).unwrap_or_else(PoisonError::into_inner));
        Turn { value: lock(&self.value), _over: Over(self) }
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        lock(&self.turns)
    }
}

impl<T> Deref for Turn<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Turn<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T> Drop for Over<'_, T> {
    fn drop(&mut self) {
        self.0.turns().serving += 1;
        self.0.next.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// One thread takes the value again the moment it has let go of it, and yet never overtakes another that asked.
    #[test]
    fn whoever_asked_first_is_never_overtaken() {
        let counter = Fair::new(0_u64);
        let (go, gone) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for () in gone {
                    for _ in 0..10 {
                        *counter.turn() += 1;
                    }
                }
            });
            // Owned here, so that a failed assertion ends the other thread.
            let go = go;
            for round in 0..1000 {
                let mine = counter.queue();
                // Those who asked before this place was taken may still come first, nobody else.
                let most = 10 * round;
                go.send(()).unwrap();
                let value = *counter.wait(mine);
                assert!(value <= most, "{value} turns, {most} were asked for before");
            }
        });
    }

    #[test]
    fn turns_exclude_each_other() {
        let counter = Fair::new(0_u64);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let mut turn = counter.turn();
                        let before = *turn;
                        *turn = before + 1;
                    }
                });
            }
        });
        assert_eq!(*counter.turn(), 2000);
    }
}

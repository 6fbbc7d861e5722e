//! A lock that is given out in the order in which it was asked for.
//!
//! `std::sync::Mutex` lets whoever is fastest in, which is the one who has just let go of it. A listening thread in a
//! flood of messages takes the connection again and again; with such a lock the sending thread could wait for ever.

use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A value that threads take in turns.
pub struct Fair<T> {
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
pub struct Turn<'a, T> {
    owner: &'a Fair<T>,
    /// `None` only while it is dropped.
    value: Option<MutexGuard<'a, T>>,
}

impl<T> Fair<T> {
    /// Nobody has it yet.
    pub fn new(value: T) -> Self {
        Self { turns: Mutex::default(), next: Condvar::new(), value: Mutex::new(value) }
    }

    /// Waits for all who asked before. Not to be called by a thread that has a turn.
    pub fn turn(&self) -> Turn<'_, T> {
        let mut turns = self.turns();
        let mine = turns.given;
        turns.given += 1;
        drop(self.next.wait_while(turns, |turns| turns.serving != mine).unwrap_or_else(PoisonError::into_inner));
        Turn { owner: self, value: Some(self.value.lock().unwrap_or_else(PoisonError::into_inner)) }
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Deref for Turn<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("a turn has the value until it is dropped")
    }
}

impl<T> DerefMut for Turn<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("a turn has the value until it is dropped")
    }
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        self.value = None;
        self.owner.turns().serving += 1;
        self.owner.next.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// One thread takes the value again the moment it has let go of it. Each wait of another one must end after
    /// one more turn of the greedy thread at the most.
    #[test]
    fn a_greedy_thread_never_starves_another() {
        let counter = Fair::new(0_u64);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    *counter.turn() += 1;
                }
            });
            for _ in 0..1000 {
                let asked_at = counter.turns().given;
                let turn = counter.turn();
                // Whoever came in between asking and counting is one turn; the one that was being served another.
                let waited_for = counter.turns().serving - asked_at;
                assert!(waited_for <= 2, "{waited_for} turns went by");
                drop(turn);
            }
            done.store(true, Ordering::Relaxed);
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

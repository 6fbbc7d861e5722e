//! How the kernel runs the server's threads: one that is woken does not take the processor from the one that woke it.

use thread_priority::unix::{
    NormalThreadSchedulePolicy::{Batch, Other},
    ThreadSchedulePolicy::{self, Normal},
    set_thread_priority_and_policy, thread_native_id, thread_schedule_policy,
};
use thread_priority::{ThreadPriority, ThreadPriorityValue};

/// Takes the policy `SCHED_BATCH` (sched(7)) for this thread and those that it will start.
///
/// A message for many wakes many threads. By default each of them may take the processor at once, and whoever woke it goes on
/// later: two switches for each recipient. Under this policy the sender first wakes them all and finishes its turn. A policy that the
/// owner has chosen (`chrt`, `CPUSchedulingPolicy=`) is left as it is, and where a sandbox forbids the call all works without.
pub fn wake_without_preemption() {
    if !matches!(thread_schedule_policy(), Ok(Normal(Other))) {
        return;
    }
    let nice = rustix::process::getpriority_process(None).unwrap_or_default();
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), priority(nice), BATCH) {
        log::debug!("the scheduling policy stays as it is: {error:?}");
    }
}

const BATCH: ThreadSchedulePolicy = Normal(Batch);

/// What the crate turns into this nice value again: it sets one in any case, and maps its own scale from 0 to 99 to them.
fn priority(nice: i32) -> ThreadPriority {
    let middle = i32::from(*ThreadPriorityValue::MAX) * (37 - 2 * nice).max(0) / 78;
    let value = u8::try_from(middle).ok().and_then(|value| ThreadPriorityValue::try_from(value).ok());
    ThreadPriority::Crossplatform(value.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_nice_value_stays_as_it_is() {
        for nice in -20..20 {
            assert_eq!(priority(nice).to_posix(BATCH).unwrap(), nice);
        }
    }

    #[test]
    fn only_the_default_policy_is_changed() {
        let policy_after = |before: Option<ThreadSchedulePolicy>| {
            let changed = std::thread::spawn(move || {
                if let Some(policy) = before {
                    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy).unwrap();
                }
                wake_without_preemption();
                let inherited = std::thread::spawn(thread_schedule_policy).join().unwrap().unwrap();
                (thread_schedule_policy().unwrap(), inherited)
            });
            changed.join().unwrap()
        };
        assert_eq!(policy_after(None), (BATCH, BATCH));
        let idle = Normal(thread_priority::unix::NormalThreadSchedulePolicy::Idle);
        assert_eq!(policy_after(Some(idle)), (idle, idle));
    }
}

//! Values by number, for numbers that only grow: found in one step as long as hardly any is missing. Pure.

use std::collections::VecDeque;

/// A map whose keys are added in ascending order. A removed value leaves a gap, and gaps are closed when they are many.
pub(crate) struct Ascending<T> {
    slots: VecDeque<(u64, Option<T>)>,
    count: usize,
}

impl<T> Default for Ascending<T> {
    fn default() -> Self {
        Self { slots: VecDeque::new(), count: 0 }
    }
}

impl<T> Ascending<T> {
    /// Adds a value. Its number is greater than all before.
    pub(crate) fn push(&mut self, number: u64, value: T) {
        debug_assert!(self.slots.back().is_none_or(|(last, _)| *last < number));
        self.slots.push_back((number, Some(value)));
        self.count += 1;
    }

    pub(crate) fn get(&self, number: u64) -> Option<&T> {
        self.slots.get(self.position(number)?)?.1.as_ref()
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let position = self.position(number)?;
        self.slots.get_mut(position)?.1.as_mut()
    }

    pub(crate) fn remove(&mut self, number: u64) -> Option<T> {
        let position = self.position(number)?;
        let value = self.slots.get_mut(position)?.1.take()?;
        self.count -= 1;
        while self.slots.front().is_some_and(|(_, value)| value.is_none()) {
            self.slots.pop_front();
        }
        if self.slots.len() > 2 * self.count + GAPS {
            self.slots.retain(|(_, value)| value.is_some());
        }
        Some(value)
    }

    /// The value with the lowest number.
    pub(crate) fn first(&self) -> Option<(u64, &T)> {
        // What is removed at the front leaves no gap.
        self.slots.front().and_then(|(number, value)| Some((*number, value.as_ref()?)))
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Where a number stands: as far behind the first as it is greater, unless some between were never there.
    fn position(&self, number: u64) -> Option<usize> {
        let (first, _) = self.slots.front()?;
        let guess = usize::try_from(number.checked_sub(*first)?).ok()?;
        if self.slots.get(guess).is_some_and(|(there, _)| *there == number) {
            return Some(guess);
        }
        self.slots.binary_search_by_key(&number, |(number, _)| *number).ok()
    }
}

/// Gaps that are not worth closing.
const GAPS: usize = 64;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn gaps_behind_one_that_stays_take_no_memory() {
        let mut values = Ascending::default();
        for number in 1..100_000_u64 {
            values.push(number, number);
            if number > 1 {
                values.remove(number);
            }
        }
        assert_eq!((values.len(), values.first()), (1, Some((1, &1))));
        assert!(values.slots.len() <= GAPS + 2);
    }

    proptest! {
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((1_u64..4, any::<u16>()), 0..400)) {
            let (mut values, mut model, mut last) = (Ascending::default(), BTreeMap::new(), 0);
            for (step, pick) in steps {
                last += step;
                values.push(last, last * 2);
                model.insert(last, last * 2);
                let some = u64::from(pick) % (last + 2);
                prop_assert_eq!(values.get(some), model.get(&some));
                prop_assert_eq!(values.get_mut(some), model.get_mut(&some));
                if pick % 3 > 0 {
                    prop_assert_eq!(values.remove(some), model.remove(&some));
                }
                prop_assert_eq!(values.len(), model.len());
                prop_assert_eq!(values.first(), model.first_key_value().map(|(number, value)| (*number, value)));
            }
        }
    }
}

//! A bounded table by id that remembers the order of arrival and forgets the oldest.

use std::collections::{HashMap, VecDeque};

#[derive(Debug)]
pub(crate) struct Shelf<T> {
    items: HashMap<String, T>,
    order: VecDeque<String>,
    items_max: usize,
}

impl<T> Shelf<T> {
    pub(crate) fn new(items_max: usize) -> Self {
        Self { items: HashMap::new(), order: VecDeque::new(), items_max: items_max.max(1) }
    }

    /// Adds or replaces.
    pub(crate) fn put(&mut self, id: &str, item: T) {
        if self.items.insert(id.to_owned(), item).is_none() {
            self.order.push_back(id.to_owned());
        }
        while self.items.len() > self.items_max {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            self.items.remove(&oldest);
        }
    }

    pub(crate) fn get(&self, id: &str) -> Option<&T> {
        self.items.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.items.get_mut(id)
    }

    /// Oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.order.iter().filter_map(|id| self.items.get(id))
    }
}

#[cfg(test)]
mod tests {
    use super::Shelf;

    #[test]
    fn the_oldest_goes_first_and_replacing_is_not_arriving() {
        let mut shelf = Shelf::new(2);
        shelf.put("a", 1);
        shelf.put("b", 2);
        shelf.put("a", 3);
        shelf.put("c", 4);
        assert_eq!(shelf.iter().copied().collect::<Vec<_>>(), [2, 4]);
        assert_eq!(shelf.get("a"), None);
    }
}

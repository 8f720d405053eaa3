//! Budgets in process.

use std::collections::HashMap;
use std::sync::Mutex;

use super::model::{Budget, Class, Decision, Subject};

/// When the budget of everyone who drew on one lately will be whole again, in microseconds.
#[derive(Debug, Default)]
pub struct LocalTable {
    table: Mutex<HashMap<(Class, Subject), i64>>,
}

impl LocalTable {
    /// Draws one request.
    pub fn draw(&self, class: Class, subject: Subject, budget: Budget, now: i64) -> Decision {
        let mut table = self.table.lock().expect("no holder of this lock panics");
        let subject = make_room(&mut table, (class, subject), now);
        let whole_at = table.entry((class, subject)).or_insert(now);
        let after = (*whole_at).max(now) + budget.interval_micros();
        let decision = budget.decide(after - now);
        if decision.allowed {
            *whole_at = after;
        }
        decision
    }
}

/// Keeps the table bounded: forgets whoever has a whole budget again, and, should that not be
/// enough, lets newcomers share one budget.
fn make_room(
    table: &mut HashMap<(Class, Subject), i64>,
    key: (Class, Subject),
    now: i64,
) -> Subject {
    if table.len() < MAX_SUBJECTS || table.contains_key(&key) {
        return key.1;
    }
    table.retain(|_, whole_at| *whole_at > now);
    if table.len() < MAX_SUBJECTS {
        key.1
    } else {
        Subject::Overflow
    }
}

/// About 10 MB; an attack from more addresses than that within a minute meets one shared budget.
const MAX_SUBJECTS: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_stays_bounded() {
        let local = LocalTable::default();
        let budget = Class::Register.budget();
        let start = 1_000_000_000_000;
        for i in 0..u32::try_from(MAX_SUBJECTS).expect("fits") + 50 {
            local.draw(Class::Register, Subject::Address(i), budget, start);
        }
        let size = local.table.lock().expect("lock").len();
        assert!(size <= MAX_SUBJECTS + 1, "{size}");
        let later = start + 120_000_000;
        local.draw(Class::Register, Subject::Address(u32::MAX), budget, later);
        assert_eq!(local.table.lock().expect("lock").len(), 1);
    }
}

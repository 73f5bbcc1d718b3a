//! Outcomes are judged in their order over k, not as a set: a "lost" would pass for a "taken".

use super::report::Flip;

/// The outcomes of one sweep so far.
#[derive(Debug)]
pub(super) struct Order {
    outcomes: &'static [&'static str],
    flips: Vec<Flip>,
    last: Option<usize>,
    /// Where the outcomes begin and end; `None` until the first one has said so.
    ends: Option<(usize, usize)>,
    /// How far apart in k two victims may be that have come equally far.
    slack: u32,
}

/// Longer operations may hold a string copy, which the processor steps through in pieces of its own
/// choice: the same victim is then some steps longer or shorter each time.
const EXACT: u32 = 1000;
/// And where it wakes somebody more than once, as for each part of a message, it depends on how far the
/// other has come whether there is anybody to wake: by that many steps.
const WAKE: u32 = 300;

impl Order {
    pub(super) fn new(outcomes: &'static [&'static str]) -> Self {
        let ends = Some((0, outcomes.len() - 1));
        Self { outcomes, flips: Vec::new(), last: None, ends, slack: 0 }
    }

    /// An order that begins anywhere, and ends one outcome later.
    pub(super) fn one_more(outcomes: &'static [&'static str]) -> Self {
        Self { ends: None, ..Self::new(outcomes) }
    }

    /// The same for an operation of so many instructions: of a long one, k is not quite exact, and less so
    /// where it `wakes_often`.
    pub(super) fn over(self, instructions: u32, wakes_often: bool) -> Self {
        let wake = if wakes_often { WAKE } else { 0 };
        let slack = if instructions > EXACT { (instructions / 16).max(wake) } else { 0 };
        Self { slack, ..self }
    }

    /// Whether an outcome would come of which the one before was not seen.
    pub(super) fn would_skip(&self, outcome: usize) -> bool {
        self.last.is_some_and(|last| outcome > last + 1)
    }

    /// Whether the outcome is the same as that of the place before.
    pub(super) fn would_stay(&self, outcome: usize) -> bool {
        self.last == Some(outcome)
    }

    pub(super) fn would_go_back(&self, outcome: usize) -> bool {
        self.last.is_some_and(|last| outcome < last)
    }

    /// Takes the outcome of a victim killed after `k` instructions; `k` must not fall.
    pub(super) fn note(&mut self, k: u32, outcome: usize) -> Result<(), String> {
        let Some(&name) = self.outcomes.get(outcome) else {
            return Err(format!("outcome number {outcome} is not one of the scenario's"));
        };
        let since = self.flips.last().map_or(0, |flip| k.saturating_sub(flip.k));
        if self.would_go_back(outcome) && self.flips.len() > 1 && since < self.slack {
            // The one that came further had been a little longer under way than its k says.
            return Ok(());
        }
        let (first, _) = *self.ends.get_or_insert((outcome, outcome + 1));
        let verdict = match self.last {
            None if outcome != first => Err(format!("\"{name}\" before the first instruction")),
            Some(last) if self.would_go_back(outcome) => {
                Err(format!("\"{name}\" again after \"{}\"", self.outcomes[last]))
            }
            _ => Ok(()),
        };
        if self.last != Some(outcome) {
            self.flips.push(Flip { k, outcome: name.to_owned() });
        }
        self.last = Some(outcome);
        verdict
    }

    /// All outcomes must have come, the last at the end: a sweep that never saw the victim's
    /// effect proves nothing.
    pub(super) fn finish(self) -> (Vec<Flip>, Result<(), String>) {
        let (first, end) = self.ends.unwrap_or_default();
        let due = &self.outcomes[first..self.outcomes.len().min(end + 1)];
        let missing = due.iter().find(|name| !self.flips.iter().any(|flip| flip.outcome == **name));
        let verdict = match (missing, self.last) {
            (Some(name), _) => Err(format!("outcome \"{name}\" was never seen")),
            (None, Some(last)) if last == end => Ok(()),
            (None, _) => Err("the operation returned, and the outcome is another".to_owned()),
        };
        (self.flips, verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::Order;

    const OUTCOMES: &[&str] = &["absent", "present"];

    #[test]
    fn an_effect_that_comes_once_and_stays_is_right() {
        let mut order = Order::new(OUTCOMES);
        for (k, outcome) in [(0, 0), (1, 0), (2, 1), (3, 1)] {
            order.note(k, outcome).unwrap();
        }
        let (flips, verdict) = order.finish();
        assert_eq!(verdict, Ok(()));
        assert_eq!(flips.iter().map(|flip| flip.k).collect::<Vec<_>>(), [0, 2]);
    }

    #[test]
    fn an_effect_that_goes_away_again_is_wrong() {
        let mut order = Order::new(OUTCOMES);
        order.note(0, 0).unwrap();
        order.note(1, 1).unwrap();
        order.note(2, 0).unwrap_err();
    }

    #[test]
    fn of_a_long_operation_k_is_not_quite_exact() {
        let mut order = Order::new(OUTCOMES).over(1600, false);
        for (k, outcome) in [(0, 0), (700, 1), (750, 0), (799, 0), (800, 1)] {
            order.note(k, outcome).unwrap();
        }
        order.note(801, 0).unwrap_err();
        let mut order = Order::new(OUTCOMES).over(1600, true);
        for (k, outcome) in [(0, 0), (700, 1), (999, 0), (1000, 1)] {
            order.note(k, outcome).unwrap();
        }
        order.note(1301, 0).unwrap_err();
        let mut order = Order::new(OUTCOMES).over(900, true);
        for (k, outcome) in [(0, 0), (700, 1)] {
            order.note(k, outcome).unwrap();
        }
        order.note(701, 0).unwrap_err();
    }

    #[test]
    fn an_effect_before_the_first_instruction_is_wrong() {
        Order::new(OUTCOMES).note(0, 1).unwrap_err();
    }

    #[test]
    fn a_count_begins_anywhere_and_goes_on_by_one() {
        let mut order = Order::one_more(&["none", "one", "two", "three"]);
        order.note(0, 1).unwrap();
        order.note(1, 2).unwrap();
        assert_eq!(order.finish().1, Ok(()));
        let mut order = Order::one_more(&["none", "one", "two", "three"]);
        order.note(0, 1).unwrap();
        order.note(1, 3).unwrap();
        order.finish().1.unwrap_err();
    }

    #[test]
    fn it_is_told_before_it_is_noted_that_an_outcome_was_missed() {
        let mut order = Order::new(&["none", "one", "two"]);
        assert!(!order.would_skip(0));
        order.note(0, 0).unwrap();
        assert!(!order.would_skip(1) && order.would_skip(2));
    }

    #[test]
    fn an_effect_that_never_comes_is_wrong() {
        let mut order = Order::new(OUTCOMES);
        order.note(0, 0).unwrap();
        order.finish().1.unwrap_err();
    }
}

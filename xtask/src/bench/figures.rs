//! Ratios of several rounds, their spread, and what they have to reach.

use anyhow::{Result, bail};

use super::plot;
use crate::ui;
use crate::workspace::Workspace;

/// A ratio in thousandths for each round, and the figure to reach.
pub struct Figure {
    /// What was divided by what.
    pub name: String,
    /// One ratio a round.
    pub ratios: Vec<u64>,
    /// What the median has to reach.
    pub goal: Goal,
}

/// In thousandths.
#[derive(Clone, Copy)]
pub enum Goal {
    /// At least so much.
    AtLeast(u64),
    /// At most so much.
    AtMost(u64),
    /// Whatever it is: printed beside the others.
    Reported,
}

impl Goal {
    /// Whether a median is good enough.
    pub fn is_reached(self, median: u64) -> bool {
        match self {
            Self::AtLeast(goal) => median >= goal,
            Self::AtMost(goal) => median <= goal,
            Self::Reported => true,
        }
    }

    /// As it is written beside a figure.
    pub fn text(self) -> String {
        match self {
            Self::AtLeast(goal) => format!("≥ {}", decimal(goal)),
            Self::AtMost(goal) => format!("≤ {}", decimal(goal)),
            Self::Reported => "reported".to_owned(),
        }
    }
}

/// Prints and draws them all, and fails when one was not reached.
pub fn conclude(workspace: &Workspace, name: &str, figures: &[Figure]) -> Result<()> {
    plot::write(workspace, name, figures)?;
    judge(figures)
}

fn judge(figures: &[Figure]) -> Result<()> {
    let header = ["figure", "median", "spread", "to reach"].map(str::to_owned);
    let mut rows = vec![header.to_vec()];
    let mut n_missed = 0;
    for figure in figures {
        let [least, median, most] = spread(&figure.ratios);
        n_missed += usize::from(!figure.goal.is_reached(median));
        rows.push(vec![
            figure.name.clone(),
            decimal(median),
            format!("{}–{}", decimal(least), decimal(most)),
            figure.goal.text(),
        ]);
    }
    println!("\n{}", ui::table(&rows));
    match n_missed {
        0 => Ok(()),
        _ => bail!("{n_missed} of {} figures not reached", figures.len()),
    }
}

/// How much of `whole` there is, in thousandths.
pub fn ratio(part: u64, whole: u64) -> u64 {
    part.saturating_mul(1000) / whole.max(1)
}

/// Least, median and most.
pub fn spread(values: &[u64]) -> [u64; 3] {
    let mut values = values.to_vec();
    values.sort_unstable();
    [
        values[0],
        values[values.len() / 2],
        values[values.len() - 1],
    ]
}

/// Thousandths as a decimal number.
pub fn decimal(thousandths: u64) -> String {
    format!("{}.{:03}", thousandths / 1000, thousandths % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_written_as_decimals() {
        assert_eq!(decimal(950), "0.950");
        assert_eq!(decimal(6_004), "6.004");
        assert_eq!(ratio(1, 3), 333);
    }

    #[test]
    fn median_and_spread_are_those_of_the_rounds() {
        let texts = spread(&[2500, 1900, 2040]).map(decimal);
        assert_eq!(texts, ["1.900", "2.040", "2.500"]);
    }

    #[test]
    fn a_figure_that_is_missed_fails_the_run() {
        let concluded = |goal, ratios: &[u64]| {
            let (name, ratios) = ("a ÷ b".to_owned(), ratios.to_vec());
            judge(&[Figure { name, ratios, goal }]).is_ok()
        };
        assert!(concluded(Goal::AtLeast(950), &[1, 950, 2_000]));
        assert!(!concluded(Goal::AtLeast(950), &[949, 949, 2_000]));
        assert!(concluded(Goal::AtMost(6_000), &[1, 6_000, 9_000]));
        assert!(!concluded(Goal::AtMost(6_000), &[1, 6_001, 9_000]));
        assert!(concluded(Goal::Reported, &[0, 0, 0]));
    }
}

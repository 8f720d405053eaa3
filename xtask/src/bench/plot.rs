//! One picture for each benchmark: how its figures lie beside what they have to reach.

use std::fmt::Write;
use std::fs;

use anyhow::{Context, Result};

use super::figures::{Figure, Goal, decimal, spread};
use crate::ui;
use crate::workspace::Workspace;

/// Writes `bench/plots/NAME.svg`.
pub fn write(workspace: &Workspace, name: &str, figures: &[Figure]) -> Result<()> {
    let folder = workspace.root.join("bench/plots");
    fs::create_dir_all(&folder)?;
    let file = folder.join(format!("{name}.svg"));
    fs::write(&file, draw(name, figures)).with_context(|| file.display().to_string())?;
    ui::line("plot", &format!("bench/plots/{name}.svg"));
    Ok(())
}

/// A row for each figure: a line from the least to the most, a dot at the median, both as parts of
/// what has to be reached; further right is better.
fn draw(name: &str, figures: &[Figure]) -> String {
    let n_rows = figures.len() as u64;
    let height = TOP + n_rows * ROW + BOTTOM;
    let axis_y = TOP + n_rows * ROW;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"cargo xtask bench {name}\">\n{STYLE}\
         <text class=\"title\" x=\"8\" y=\"22\">cargo xtask bench {name}</text>\n"
    );
    let limit = limit(figures);
    for tick in (0..=limit).step_by(usize::try_from(limit / N_TICKS).unwrap_or(1)) {
        let x = x_of(tick, limit);
        let class = if tick == ONE { "goal" } else { "grid" };
        put(
            &mut svg,
            format_args!(
                "<line class=\"{class}\" x1=\"{x}\" y1=\"{TOP}\" x2=\"{x}\" y2=\"{axis_y}\"/>"
            ),
        );
        put(
            &mut svg,
            format_args!(
                "<text class=\"tick\" x=\"{x}\" y=\"{}\">{}</text>",
                axis_y + 16,
                short(tick)
            ),
        );
    }
    for (figure, row) in figures.iter().zip(0..) {
        draw_row(&mut svg, figure, TOP + row * ROW + ROW / 2, limit);
    }
    put(
        &mut svg,
        format_args!(
            "<text class=\"tick\" x=\"{}\" y=\"{}\">{AXIS}</text>\n</svg>",
            u64::midpoint(LEFT, RIGHT),
            axis_y + 34
        ),
    );
    svg
}

fn draw_row(svg: &mut String, figure: &Figure, y: u64, limit: u64) {
    let [least, median, most] = spread(&figure.ratios);
    let [from, at, to] =
        [least, median, most].map(|ratio| x_of(reached(ratio, figure.goal).min(limit), limit));
    let class = match figure.goal {
        Goal::Reported => "reported",
        _ if figure.goal.is_reached(median) => "reached",
        _ => "missed",
    };
    let numbers = format!(
        "{} ({}–{}), {}",
        decimal(median),
        decimal(least),
        decimal(most),
        figure.goal.text()
    );
    for line in [
        format!(
            "<text x=\"8\" y=\"{}\">{}</text>",
            y - 2,
            escaped(&figure.name)
        ),
        format!(
            "<text class=\"small\" x=\"8\" y=\"{}\">{}</text>",
            y + 13,
            escaped(&numbers)
        ),
        format!("<line class=\"{class}\" x1=\"{from}\" y1=\"{y}\" x2=\"{to}\" y2=\"{y}\"/>"),
        format!("<circle class=\"{class}\" cx=\"{at}\" cy=\"{y}\" r=\"5\"/>"),
    ] {
        put(svg, format_args!("{line}"));
    }
}

/// In thousandths of what has to be reached; where less is better, the other way round.
fn reached(ratio: u64, goal: Goal) -> u64 {
    match goal {
        Goal::AtLeast(goal) => ratio * ONE / goal.max(1),
        Goal::AtMost(goal) => goal * ONE / ratio.max(1),
        Goal::Reported => ratio,
    }
}

/// The end of the axis: a multiple of what its ticks need, with the best median on it.
fn limit(figures: &[Figure]) -> u64 {
    let best = figures
        .iter()
        .map(|figure| reached(spread(&figure.ratios)[1], figure.goal))
        .max();
    let halves = best
        .unwrap_or(ONE)
        .clamp(ONE + 1, MOST_SHOWN)
        .div_ceil(N_TICKS * STEP);
    halves * N_TICKS * STEP
}

fn x_of(thousandths: u64, limit: u64) -> u64 {
    LEFT + (RIGHT - LEFT) * thousandths / limit
}

/// A tick as it is written: `0.5`, `1`.
fn short(thousandths: u64) -> String {
    let text = decimal(thousandths);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn put(svg: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(svg, "{line}").expect("writing to a String cannot fail");
}

const ONE: u64 = 1000;
const N_TICKS: u64 = 4;
/// An axis ends at 2, 4, 6, …, so that one of its ticks is 1 or stands beside it.
const STEP: u64 = 500;
/// What is further right than this is drawn at the edge.
const MOST_SHOWN: u64 = 4 * ONE;
const WIDTH: u64 = 720;
const LEFT: u64 = 330;
const RIGHT: u64 = 700;
const TOP: u64 = 40;
const ROW: u64 = 44;
const BOTTOM: u64 = 48;
const AXIS: &str = "parts of what has to be reached, further right is better";
/// Readable on light and on dark, for whoever the reader's system says.
const STYLE: &str = "<style>
text { font: 13px system-ui, sans-serif; fill: #222 }
.title { font-size: 15px; font-weight: 600 }
.small, .tick { font-size: 11px; fill: #555 }
.tick { text-anchor: middle }
line { stroke-width: 4; stroke-linecap: round }
.grid { stroke: #8884; stroke-width: 1 }
.goal { stroke: #888; stroke-width: 2; stroke-dasharray: 4 4 }
.reached { stroke: #1a7f4b; fill: #1a7f4b }
.missed { stroke: #c4501b; fill: #c4501b }
.reported { stroke: #4a6fa5; fill: #4a6fa5 }
@media (prefers-color-scheme: dark) {
  text { fill: #ddd } .small, .tick { fill: #aaa }
  .reached { stroke: #4cc38a; fill: #4cc38a } .missed { stroke: #f08a5d; fill: #f08a5d }
  .reported { stroke: #8fb4ea; fill: #8fb4ea }
}
</style>
";

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(name: &str, goal: Goal, ratios: &[u64]) -> Figure {
        Figure {
            name: name.to_owned(),
            ratios: ratios.to_vec(),
            goal,
        }
    }

    #[test]
    fn what_is_reached_stands_right_of_what_is_missed() {
        assert_eq!(reached(1200, Goal::AtLeast(600)), 2000);
        assert_eq!(reached(125, Goal::AtMost(250)), 2000);
        assert_eq!(reached(500, Goal::AtMost(250)), 500);
        assert_eq!(reached(867, Goal::Reported), 867);
    }

    #[test]
    fn each_figure_has_its_name_its_numbers_and_its_verdict() {
        let figures = [
            figure("a < b", Goal::AtLeast(500), &[400, 600, 700]),
            figure("c", Goal::AtMost(100), &[200, 300, 400]),
            figure("d", Goal::Reported, &[900]),
        ];
        let svg = draw("some", &figures);
        for text in [
            "a &lt; b",
            "0.600 (0.400–0.700), ≥ 0.500",
            "circle class=\"reached\"",
            "circle class=\"missed\"",
            "circle class=\"reported\"",
            "prefers-color-scheme: dark",
        ] {
            assert!(svg.contains(text), "{text}\n{svg}");
        }
    }

    #[test]
    fn nothing_is_drawn_outside() {
        let figures = [figure("a", Goal::AtLeast(1), &[1, 1_000_000, 2_000_000])];
        let limit = limit(&figures);
        assert_eq!(limit, MOST_SHOWN);
        assert_eq!(x_of(limit, limit), RIGHT);
        assert!(draw("far", &figures).contains(&format!("cx=\"{RIGHT}\"")));
    }
}

//! The tour: the main job from registration to refusal, on the running system, as a printout that
//! is also the README's example.

mod printout;
mod steps;

use anyhow::{Context, Result, bail};

use crate::ui;
use crate::workspace::Workspace;
use printout::Printout;

/// What to do with the printout beyond showing it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Output {
    /// Nothing.
    Show,
    /// Fail unless the README shows the same, apart from what differs from run to run.
    CheckReadme,
    /// Put it into the README.
    WriteReadme,
}

/// Walks all steps; fails at the first that did not do what it should.
pub fn run(workspace: &Workspace, output: Output) -> Result<()> {
    ui::heading(
        "tour",
        "one person, from registration to the refusal of a revoked token\n",
    );
    let mut printout = Printout::default();
    steps::walk(&mut printout)?;
    println!();
    match output {
        Output::Show => Ok(()),
        Output::CheckReadme => check_readme(workspace, &printout),
        Output::WriteReadme => write_readme(workspace, &printout),
    }
}

fn check_readme(workspace: &Workspace, printout: &Printout) -> Result<()> {
    let readme = workspace.read(README)?;
    let (start, end) = example(&readme)?;
    if let Some(difference) = printout.difference_from(&readme[start..end]) {
        bail!(
            "{README} shows another tour: {difference}\n\
             run `cargo xtask dev --tour --write-readme` and look at what it changed"
        );
    }
    ui::line(README, "shows this tour");
    Ok(())
}

fn write_readme(workspace: &Workspace, printout: &Printout) -> Result<()> {
    let readme = workspace.read(README)?;
    let (start, end) = example(&readme)?;
    let text = format!("{}{}{}", &readme[..start], printout.plain(), &readme[end..]);
    std::fs::write(workspace.root.join(README), text).context("writing the README")?;
    ui::line(README, "shows this tour now");
    Ok(())
}

/// Where the example stands: from the line after the command to the end of its code block.
fn example(readme: &str) -> Result<(usize, usize)> {
    let missing = || format!("{README} has no code block that begins with `{COMMAND}`");
    let start = readme.find(COMMAND).with_context(missing)? + COMMAND.len();
    let end = readme[start..].find("```").with_context(missing)? + start;
    Ok((start, end))
}

const README: &str = "README.md";
const COMMAND: &str = "$ cargo xtask dev --tour\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn example_is_what_stands_between_the_command_and_the_end_of_its_block() {
        let readme = "# T\n```text\n$ cargo xtask dev --tour\n 1 a\n 2 b\n```\nmore\n```\nx\n```\n";
        let (start, end) = example(readme).unwrap();
        assert_eq!(&readme[start..end], " 1 a\n 2 b\n");
    }

    #[test]
    fn readme_without_the_example_is_refused() {
        for readme in [
            "",
            "$ cargo xtask dev\n",
            "$ cargo xtask dev --tour\nno end",
        ] {
            assert!(example(readme).is_err(), "{readme}");
        }
    }
}

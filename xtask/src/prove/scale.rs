//! What an account costs does not depend on how many there are, nor on how much they did.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::bench::pgbench::Database;
use crate::bench::server::{self, Server};
use crate::setup::Toolbox;
use crate::ui;
use crate::workspace::Workspace;

/// Measures balance, charge and the first page of the history in a small ledger, in a large one,
/// and compares.
pub fn prove(workspace: &Workspace, toolbox: &Toolbox) -> Result<Vec<String>> {
    let program = server::build(workspace)?;
    let server = Server::start(workspace, toolbox, &program)?;
    Database::of(server.data_dir())?.run(MEMORY)?;
    let server = server.restarted(workspace, toolbox, &program)?;
    let database = Database::of(server.data_dir())?;
    database.run(FUNCTIONS)?;
    let small = fill_and_measure(&database, SMALL)?;
    let large = fill_and_measure(&database, LARGE)?;
    let mut figures = Vec::new();
    let mut slower = Vec::new();
    for ((name, _), (before, after)) in OPERATIONS.iter().zip(small.iter().zip(&large)) {
        // Rates: the time of one grows as they fall.
        let factor = before * 1000 / after.max(&1);
        let text = format!("{}.{:03}", factor / 1000, factor % 1000);
        figures.push(format!(
            "{name}: {text} × the time at {} entries (at most 1.5)",
            SMALL.entries()
        ));
        if factor > MOST {
            slower.push(*name);
        }
    }
    ensure!(
        slower.is_empty(),
        "{}: {}",
        slower.join(", "),
        figures.join("; ")
    );
    Ok(figures)
}

/// A ledger of so many accounts with so many entries each.
#[derive(Clone, Copy)]
struct Size {
    /// The first account's number.
    first: u64,
    n_accounts: u64,
    n_entries_each: u64,
}

impl Size {
    fn entries(self) -> u64 {
        self.n_accounts * self.n_entries_each
    }
}

/// The rate of each operation in a ledger of this size, which is made first.
fn fill_and_measure(database: &Database, size: Size) -> Result<Vec<u64>> {
    let mut done = 0;
    while done < size.n_accounts {
        let n_now = CHUNK.min(size.n_accounts - done);
        database.run(&format!(
            "select scale.fill({}, {n_now}, {});\n",
            size.first + done,
            size.n_entries_each
        ))?;
        done += n_now;
        if done.is_multiple_of(10 * CHUNK) || done == size.n_accounts {
            ui::line(
                "entries",
                &format!("{} of {}", done * size.n_entries_each, size.entries()),
            );
        }
    }
    database.run("vacuum analyze;\n")?;
    let measure = |(_, sql): &(&str, &str)| {
        let script = format!(
            "\\set n random({}, {})\n{sql}\n",
            size.first,
            size.first + size.n_accounts - 1
        );
        // The first run brings what a busy server has in memory.
        database.rate(&script, 1, LASTING)?;
        database.rate(&script, 1, LASTING)
    };
    OPERATIONS.iter().map(measure).collect()
}

const OPERATIONS: [(&str, &str); 3] = [
    (
        "balance",
        "select * from credits.load_balance(scale.user_id(:n), 0, 0);",
    ),
    (
        "use",
        "select outcome from credits.use_credits(scale.user_id(:n), 1, 'scale', 'work', null, \
         'user' || chr(58) || 'scale', gen_random_uuid()::text, sha256('scale'), 0, 0);",
    ),
    (
        "first page of the history",
        "select * from credits.list_transactions(scale.user_id(:n), 9223372036854775807, 0, 50, \
         null, null, null, null);",
    ),
];

/// Enough for the ledger, as docs/scaling.md says: an account's entries lie on as many pages, and
/// what is not in the server's memory comes from the system's.
const MEMORY: &str = "alter system set shared_buffers = '4GB';\n";

/// Written by force, as the ledger would have: a million charges by its functions take an hour.
const FUNCTIONS: &str = include_str!("scale.sql");
const SMALL: Size = Size {
    first: 1,
    n_accounts: 100,
    n_entries_each: 100,
};
const LARGE: Size = Size {
    first: 1_000_001,
    n_accounts: 100_000,
    n_entries_each: 100,
};
const CHUNK: u64 = 1000;
const LASTING: Duration = Duration::from_secs(5);
/// In thousandths.
const MOST: u64 = 1500;

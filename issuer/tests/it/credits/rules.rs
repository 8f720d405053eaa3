//! Every constraint of the ledger's tables, each with a change to good rows that it is there to
//! refuse, every trigger that refuses, and every lock. What the catalogues have and these lists lack
//! is found, too. The rules of entries are in `tables.rs`.

mod locks;

use std::collections::BTreeSet;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::Ledger;
use super::ledger::{held, spend};

/// Two accounts with a row in every table. In statements `:ada` and `:bob` are their ids.
struct Scene {
    ledger: Ledger,
    owner: PgConnection,
    accounts: [i64; 2],
}

impl Scene {
    async fn build() -> Self {
        let ledger = Ledger::start().await;
        let (ada, bob) = (ledger.user("ada").await, ledger.user("bob").await);
        for amount in [10, 11] {
            spend(&ada, amount).await.expect(200);
        }
        held(&ada, 20).await;
        spend(&bob, 10).await.expect(200);
        drop((ada, bob));
        let ids = "select array_agg(id order by n_open_holds desc) from credits.accounts";
        let accounts: Vec<i64> = ledger.db.value(ids).await;
        let owner = ledger.db.owner.acquire().await.expect("a connection");
        let mut scene = Self {
            owner: owner.detach(),
            accounts: accounts.try_into().expect("there are two"),
            ledger,
        };
        let rows = scene.with_accounts(include_str!("rules/rows.sql"));
        let written = scene.owner.execute(AssertSqlSafe(rows)).await;
        written.expect("good rows");
        scene
    }

    /// Lets the owner change rows as it likes: what is left are constraints.
    async fn without_triggers() -> Self {
        let mut scene = Self::build().await;
        let disabled = scene.owner.execute(
            "do $$ declare v_table regclass; begin
               for v_table in select oid from pg_class
                 where relnamespace = 'credits'::regnamespace and relkind = 'r' loop
                 execute format('alter table %s disable trigger user', v_table);
               end loop;
             end $$",
        );
        disabled.await.expect("disabled");
        scene
    }

    fn with_accounts(&self, statement: &str) -> String {
        let [ada, bob] = self.accounts;
        statement
            .replace(":ada", &ada.to_string())
            .replace(":bob", &bob.to_string())
    }

    /// The constraint that refuses a statement, and in which words; both empty when none does. The
    /// statement is taken back.
    async fn refusal(&mut self, statement: &str) -> (String, String) {
        let statement = self.with_accounts(statement);
        let mut tx = self.owner.begin().await.expect("begun");
        let result = tx.execute(AssertSqlSafe(statement)).await;
        tx.rollback().await.expect("rolled back");
        match result {
            Ok(_) => (String::new(), String::new()),
            Err(error) => {
                let error = error.as_database_error().expect("refused by the server");
                let constraint = error.constraint().unwrap_or_default().to_owned();
                (constraint, error.message().to_owned())
            }
        }
    }

    /// What a query finds that is not among `known`.
    async fn unknown(&self, sql: &'static str, known: impl Iterator<Item = &str>) -> Vec<String> {
        let known: BTreeSet<&str> = known.collect();
        let found: Vec<String> = self.ledger.db.value(sql).await;
        assert!(!found.is_empty());
        let is_unknown = |name: &String| !known.contains(name.as_str());
        found.into_iter().filter(is_unknown).collect()
    }
}

#[tokio::test]
async fn every_constraint_refuses_what_it_is_there_to_refuse() {
    let mut scene = Scene::without_triggers().await;
    let mut wrong = Vec::new();
    let cases = cases(include_str!("rules/refused.sql"));
    for (statement, constraint) in &cases {
        let (found, message) = scene.refusal(statement).await;
        if found != *constraint {
            wrong.push(format!("{constraint}: {statement}: {found} {message}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let named = cases.iter().map(|(_, constraint)| *constraint);
    let unknown = scene.unknown(CONSTRAINTS, named).await;
    assert_eq!(unknown, [""; 0], "no statement here needs them");
    scene.ledger.finish_damaged();
}

#[tokio::test]
async fn what_is_written_can_be_neither_removed_nor_emptied() {
    let mut scene = Scene::build().await;
    let mut wrong = Vec::new();
    let cases = cases(include_str!("rules/protected.sql"));
    for (statement, trigger) in &cases {
        let (_, message) = scene.refusal(statement).await;
        if !message.starts_with(&words_of_refusal(statement)) {
            wrong.push(format!("{trigger}: {statement}: {message}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let named = cases.iter().map(|(_, trigger)| *trigger);
    let unknown = scene.unknown(REFUSING_TRIGGERS, named).await;
    assert_eq!(unknown, [""; 0], "no statement here needs them");
    scene.ledger.finish_damaged();
}

/// Statements and the names behind them.
fn cases(text: &str) -> Vec<(&str, &str)> {
    let cases = text.lines().filter_map(|line| line.split_once("; -- "));
    let cases: Vec<_> = cases.collect();
    assert!(cases.len() > 10);
    cases
}

/// Of `credits.refuse_change`, which names what was tried on which table.
fn words_of_refusal(statement: &str) -> String {
    let mut words = statement.split_whitespace();
    let operation = words.next().unwrap_or_default().to_uppercase();
    let table = words.find(|word| word.starts_with("credits."));
    format!("{operation} on {} is refused", table.unwrap_or_default())
}

/// Constraints and unique indexes, and the rules within the functions that check rows. The functions'
/// own constraints refuse by the names of these rules.
const CONSTRAINTS: &str = "select array_agg(name) from (
    select conname::text as name from pg_constraint
     where connamespace = 'credits'::regnamespace and conrelid <> 0 and contype in ('c', 'f', 'p', 'u', 'x')
       and conname not in ('accounts_rules', 'credit_grants_rules', 'holds_rules', 'entries_rules')
    union
    select i.relname::text from pg_index x join pg_class i on i.oid = x.indexrelid
     where i.relnamespace = 'credits'::regnamespace and x.indisunique
    union
    select m[1] from pg_proc p,
           regexp_matches(p.prosrc, '''((?:accounts|credit_grants|holds)_[a-z_]+)''', 'g') m
     where p.pronamespace = 'credits'::regnamespace and p.proname like 'check\\_%') names";

const REFUSING_TRIGGERS: &str = "select array_agg(t.tgname::text)
    from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_proc p on p.oid = t.tgfoid
   where c.relnamespace = 'credits'::regnamespace and p.proname = 'refuse_change'";

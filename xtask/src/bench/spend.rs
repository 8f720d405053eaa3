//! Spending: the ledger's operation and the whole request, against a bare UPDATE of one row.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;

use super::figures::{Figure, Goal, conclude, decimal, ratio};
use super::load::{self, Client};
use super::pgbench::Database;
use super::server::{self, Server};
use crate::setup::{self, Tool};
use crate::ui;
use crate::workspace::Workspace;

/// Measures in alternation and compares.
pub fn run(workspace: &Workspace) -> Result<()> {
    let toolbox = setup::ensure(workspace, &[Tool::Node, Tool::Postgres])?;
    ui::heading(
        "bench use",
        "charges in the ledger and over HTTP, against a bare UPDATE of one row",
    );
    let program = server::build(workspace)?;
    let server = Server::start(workspace, &toolbox, &program)?;
    ui::line("accounts", &format!("{N_ACCOUNTS} are opened first"));
    let scene = Scene::prepare(&server)?;
    ui::line(
        "load",
        &format!("{ROUNDS} rounds of {} s for each figure", LASTING.as_secs()),
    );
    let mut rounds = Vec::new();
    for number in 1..=ROUNDS {
        let round = scene.measure()?;
        ui::line(&format!("round {number}"), &round.text());
        rounds.push(round);
    }
    scene.database.run(DROP_BARE)?;
    conclude(workspace, "use", &figures(&rounds))
}

/// What the load is put on.
struct Scene {
    database: Database,
    url: String,
    /// Access tokens of as many users.
    tokens: Vec<String>,
}

/// One round: how much was done in an hour.
struct Round {
    bare_one: u64,
    bare_many: u64,
    one: u64,
    many: u64,
    waiting_one: u64,
    waiting_many: u64,
    http: Http,
    http_waiting: Http,
}

/// Requests in an hour, and the time that one in a hundred exceeds.
#[derive(Clone, Copy)]
struct Http {
    rate: u64,
    p99: Duration,
}

impl Scene {
    fn prepare(server: &Server) -> Result<Self> {
        let database = Database::of(server.data_dir())?;
        let mut client = Client::connect(&server.url)?;
        let mut tokens = Vec::new();
        for user in 0..N_WAITING {
            client.post("/auth/register", &load::credentials(user), 201)?;
            let answer = client.post("/auth/login", &load::credentials(user), 200)?;
            tokens.push(load::member(&answer, "accessToken")?);
        }
        database.run(PREPARE)?;
        Ok(Self {
            database,
            url: server.url.clone(),
            tokens,
        })
    }

    fn measure(&self) -> Result<Round> {
        let rate = |script: &str, n| self.database.rate(script, n, LASTING);
        Ok(Round {
            bare_one: rate("update bench.bare set n = n + 1 where id = 1;\n", N_CLIENTS)?,
            one: rate(&charge("1"), N_CLIENTS)?,
            // One account is in one lane.
            waiting_one: rate(&charges("'1'"), 1)? * BATCH,
            bare_many: rate(
                &format!("{ANY}update bench.bare set n = n + 1 where id = :any;\n"),
                N_CLIENTS,
            )?,
            many: rate(&format!("{ANY}{}", charge(":any")), N_CLIENTS)?,
            waiting_many: rate(
                &charges("(1 + floor(random() * 20000))::int::text"),
                N_BATCHES,
            )? * BATCH,
            http: self.requests(N_CLIENTS)?,
            http_waiting: self.requests(N_WAITING)?,
        })
    }

    /// So many clients that spend, each its own credits and each with a key of its own.
    fn requests(&self, n_clients: usize) -> Result<Http> {
        let times = Mutex::new(Vec::new());
        let until = Instant::now() + LASTING;
        thread::scope(|scope| {
            let workers: Vec<_> = self.tokens[..n_clients]
                .iter()
                .map(|token| scope.spawn(|| self.spend(token, until, &times)))
                .collect();
            workers.into_iter().try_for_each(load::join)
        })?;
        let mut times = times.into_inner().expect("no holder of this lock panics");
        times.sort_unstable();
        Ok(Http {
            rate: u64::try_from(times.len())? * 3600 / LASTING.as_secs(),
            p99: times[times.len() * 99 / 100],
        })
    }

    fn spend(&self, token: &str, until: Instant, times: &Mutex<Vec<Duration>>) -> Result<()> {
        let mut client = Client::connect(&self.url)?.with_token(token);
        let mut mine = Vec::new();
        while Instant::now() < until {
            let key = N_SENT.fetch_add(1, Ordering::Relaxed).to_string();
            let body = json!({"amount": 1, "appId": "bench", "description": "work", "idempotencyKey": key});
            let began = Instant::now();
            client.post("/credits/use", &body, 200)?;
            mine.push(began.elapsed());
        }
        let mut times = times.lock().expect("no holder of this lock panics");
        times.append(&mut mine);
        Ok(())
    }
}

impl Round {
    fn text(&self) -> String {
        format!(
            "one account {}, many {}; waiting {} and {}; over HTTP {} (p99 {} ms), waiting {} (p99 {} ms)",
            decimal(ratio(self.one, self.bare_one)),
            decimal(ratio(self.many, self.bare_many)),
            decimal(ratio(self.waiting_one, self.bare_one)),
            decimal(ratio(self.waiting_many, self.bare_many)),
            decimal(ratio(self.http.rate, self.bare_many)),
            self.http.p99.as_millis(),
            decimal(ratio(self.http_waiting.rate, self.bare_many)),
            self.http_waiting.p99.as_millis(),
        )
    }
}

fn figures(rounds: &[Round]) -> Vec<Figure> {
    let figure = |name: &str, goal, ratio: fn(&Round) -> u64| Figure {
        name: name.to_owned(),
        ratios: rounds.iter().map(ratio).collect(),
        goal: Goal::AtLeast(goal),
    };
    vec![
        figure("operation, one account", 350, |r| ratio(r.one, r.bare_one)),
        figure("operation, 20 000 accounts", 280, |r| {
            ratio(r.many, r.bare_many)
        }),
        figure("waiting charges, one account", 850, |r| {
            ratio(r.waiting_one, r.bare_one)
        }),
        figure("waiting charges, 20 000 accounts", 850, |r| {
            ratio(r.waiting_many, r.bare_many)
        }),
        figure("over HTTP, 16 clients", 250, |r| {
            ratio(r.http.rate, r.bare_many)
        }),
        figure("over HTTP, waiting", 600, |r| {
            ratio(r.http_waiting.rate, r.bare_many)
        }),
    ]
}

/// A charge as the issuer sends it, of the account with this number.
fn charge(account: &str) -> String {
    format!(
        "select outcome from credits.use_credits('{PREFIX}' || lpad(({account})::text, 6, '0'), 1, 'bench', \
         'work', null, 'user' || chr(58) || 'bench', gen_random_uuid()::text, sha256('bench'), 0, 0);\n"
    )
}

/// As many charges as wait at most, in one statement, which fails unless nearly all were
/// posted: an account may be in the other lane's batch at that moment, and is then sent alone.
fn charges(account: &str) -> String {
    let fill = |value: &str| format!("array_fill({value}, array[{BATCH}])");
    format!(
        "select 1 / (count(*) filter (where outcome = 'posted') >= {BATCH} - 5)::integer from credits.use_credits_batch(\
         (select array_agg('{PREFIX}' || lpad({account}, 6, '0')) from generate_series(1, {BATCH})), \
         {}, {}, {}, {}, {}, (select array_agg(gen_random_uuid()::text) from generate_series(1, {BATCH})), {}, 0, 0);\n",
        fill("1::bigint"),
        fill("'bench'::text"),
        fill("'work'::text"),
        fill("null::jsonb"),
        fill("'user' || chr(58) || 'bench'"),
        fill("sha256('bench')"),
    )
}

/// Odd, so that there is a median.
const ROUNDS: usize = 5;
const LASTING: Duration = Duration::from_secs(4);
const N_ACCOUNTS: usize = 20_000;
/// As many as the bare UPDATE has.
const N_CLIENTS: usize = 16;
/// As many lanes as the issuer has.
const N_BATCHES: usize = 2;
/// As many as the issuer puts together at most.
const BATCH: u64 = 50;
/// So many that charges wait for each other.
const N_WAITING: usize = 128;
/// Gives each request a key of its own.
static N_SENT: AtomicU64 = AtomicU64::new(0);
const PREFIX: &str = "benchbenchbench";
const ANY: &str = "\\set any random(1, 20000)\n";
const PREPARE: &str = "create schema bench;
create table bench.bare (id integer primary key, n bigint not null default 0) with (fillfactor = 70);
insert into bench.bare (id) select g from generate_series(1, 20000) g;
insert into auth.users (id, email, name, created_at, updated_at)
  select 'benchbenchbench' || lpad(g::text, 6, '0'), 'bench' || g || '@example.com', 'bench', now(), now()
    from generate_series(1, 20000) g;
select count(credits.open_account('benchbenchbench' || lpad(g::text, 6, '0'), 1000000, sha256(g::text::bytea)))
  from generate_series(1, 20000) g;
select count(credits.add_credit_grant(a.id, 'bonus', 'gift', 'promotion', 1000000, null, null, 'bench', now()))
  from credits.accounts a join auth.users u on u.id = a.user_id where u.email like 'user%';
vacuum analyze;
";
const DROP_BARE: &str = "drop schema bench cascade;\n";

#!/usr/bin/env bash
# The price of the audit chain: 16 clients write events while an issuer seals them, and while
# none does, in turns. Prints the ratio of the medians; exit 1 below 0.9 or when the chain does
# not verify afterwards.
#
#   cargo build --release -p issuer && bench/audit.sh [ROUNDS] [SECONDS]
#
# Needs initdb, pg_ctl and pgbench (PostgreSQL 15 or newer), and a user that is not root.
set -euo pipefail

rounds=${1:-5}
seconds=${2:-8}
tollgate=${TOLLGATE:-${CARGO_TARGET_DIR:-target}/release/tollgate}
bin=${POSTGRES_BIN:-$(pg_config --bindir)}
work=$(mktemp -d)
issuer=

finish() {
  [ -z "$issuer" ] || kill "$issuer" 2>/dev/null || true
  "$bin/pg_ctl" -D "$work/data" -m immediate stop >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap finish EXIT

"$bin/initdb" -D "$work/data" -U owner --auth=peer --auth-local=trust >/dev/null
"$bin/pg_ctl" -D "$work/data" -w -o "-k $work -c listen_addresses='' -c max_connections=60" -l "$work/log" start >/dev/null
"$bin/createdb" -h "$work" -U owner bench
export DATABASE_URL="postgres://owner@localhost/bench?host=$work"
MASTER_KEY=$(head -c 32 /dev/urandom | base64)
export MASTER_KEY LISTEN_ADDR=127.0.0.1:3917 RUST_LOG=error
"$tollgate" migrate >/dev/null

cat > "$work/event.sql" <<'SQL'
set role tollgate_app;
select auth.record_refused_login(null, 'credentials', '{"id": "bench", "ip": "192.0.2.1", "userAgent": "bench"}');
SQL

events_per_second() {
  "$bin/pgbench" -h "$work" -U owner -n -M prepared -c 16 -j 2 -T "$seconds" -f "$work/event.sql" bench 2>/dev/null |
    awk '/^tps/ { print int($3) }'
}

median() { sort -n | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'; }

for round in $(seq "$rounds"); do
  events_per_second >> "$work/without"
  "$tollgate" serve 2>"$work/issuer.log" &
  issuer=$!
  sleep 2 # until it has caught up with the start
  events_per_second >> "$work/with"
  kill "$issuer"; wait "$issuer" || true
  issuer=
  echo "round $round: ratio $(paste "$work/with" "$work/without" | tail -1 | awk '{ printf "%.2f", $1 / $2 }')"
done

# What the last round left is sealed before the trail is proved.
"$tollgate" serve 2>"$work/issuer.log" & issuer=$!
for _ in $(seq 120); do
  "$tollgate" audit verify --json > "$work/verified" || { cat "$work/verified"; exit 1; }
  grep -q '"unsealed": 0' "$work/verified" && break
  sleep 2
done
cat "$work/verified"
grep -q '"unsealed": 0' "$work/verified"
ratio=$(echo "$(median < "$work/with") $(median < "$work/without")" | awk '{ printf "%.3f", $1 / $2 }')
echo "median ratio with the chain to without: $ratio (to reach: 0.9)"
awk -v ratio="$ratio" 'BEGIN { exit ratio < 0.9 }'

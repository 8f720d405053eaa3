-- Spend limits, and what admins correct: adjustments and refunds of usage.

grant create on schema credits to tollgate_definer; -- taken back at the end of this file

-- Spend limits: tables ----------------------------------------------------------------------

-- Nothing has written to it so far: whoever sets a limit says so, and what counts towards it
-- stands elsewhere.
alter table credits.spend_limits
  drop constraint spend_limits_kept,
  drop column spent,
  drop column window_ends_at,
  add column set_by text not null default 'user',
  add column updated_at timestamptz not null default '-infinity',
  drop constraint spend_limits_pkey,
  add constraint spend_limits_pkey primary key (account_id, app_id, period, set_by),
  add constraint spend_limits_set_by_known check (set_by in ('user', 'admin'));
alter table credits.spend_limits alter column set_by drop default, alter column updated_at drop default;
comment on table credits.spend_limits is
  'How much an app may take of an account in a day or a month (UTC). What an admin set stands in place of the app''s own limit; what the user set can only lower it.';

alter table credits.accounts add column n_spend_limits integer not null default 0,
  add constraint accounts_spend_limits_limit check (n_spend_limits between 0 and 400);
comment on column credits.accounts.n_spend_limits is
  'Rows in spend_limits, kept by a trigger: an account without any does not look there when it spends. Bounded, because anybody may name any app.';

create function credits.count_spend_limit() returns trigger
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update credits.accounts a set n_spend_limits = a.n_spend_limits + case tg_op when 'INSERT' then 1 else -1 end
   where a.id = case tg_op when 'INSERT' then new.account_id else old.account_id end;
  return null;
end $$;
create trigger spend_limits_count after insert or delete on credits.spend_limits
  for each row execute function credits.count_spend_limit();

create table credits.spend_counters (
  account_id bigint      not null,
  app_id     text        not null,
  period     text        not null,
  starts_at  timestamptz not null,
  spent      bigint      not null,
  constraint spend_counters_pkey primary key (account_id, app_id, period),
  constraint spend_counters_account_fkey foreign key (account_id) references credits.accounts (id),
  constraint spend_counters_period_known check (period in ('day', 'month')),
  constraint spend_counters_not_negative check (spent >= 0)
) with (fillfactor = 70);
create index spend_counters_app on credits.spend_counters (app_id);
comment on table credits.spend_counters is
  'What counts towards a limit in the day or month that begins at starts_at. Follows from the entries: a row that is missing or of an earlier time is computed anew.';

alter table credits.spend_counters enable row level security;
alter table credits.spend_counters force row level security;
create policy spend_counters_definer on credits.spend_counters to tollgate_definer using (true) with check (true);
create policy spend_counters_own on credits.spend_counters for select to tollgate_app
  using (account_id = any ((select credits.current_account_ids())::bigint[]));
grant select on credits.spend_counters to tollgate_app;
grant select, insert, update, delete on credits.spend_counters, credits.spend_limits to tollgate_definer;

create index entries_refunds on credits.entries (account_id, refunds_seq) where refunds_seq is not null;

-- Spend limits: building blocks ----------------------------------------------------------------

create function credits.window_start(p_period text, p_at timestamptz) returns timestamptz
  language sql immutable strict parallel safe
  return date_trunc(p_period, p_at at time zone 'UTC') at time zone 'UTC';

create function credits.window_end(p_period text, p_at timestamptz) returns timestamptz
  language sql immutable strict parallel safe
  return (date_trunc(p_period, p_at at time zone 'UTC') + ('1 ' || p_period)::interval) at time zone 'UTC';
comment on function credits.window_end is 'When a day or month ends. Days and months are those of UTC.';

create function credits.first_seq_since(p_account_id bigint, p_from timestamptz) returns bigint
  language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_low bigint := 1;
  v_high bigint;
  v_middle bigint;
begin
  -- Numbers have no gaps and times rise with them, so halving finds it in at most 63 looks.
  select coalesce(max(e.seq), 0) + 1 into v_high from credits.entries e where e.account_id = p_account_id;
  while v_low < v_high loop
    v_middle := (v_low + v_high) / 2;
    if (select e.created_at < p_from from credits.entries e where e.account_id = p_account_id and e.seq = v_middle) then
      v_low := v_middle + 1;
    else
      v_high := v_middle;
    end if;
  end loop;
  return v_low;
end $$;
comment on function credits.first_seq_since is 'The number of the first entry of that time or later; one past the last when there is none.';

create function credits.counts_since(p_account_id bigint, p_app_id text, p_from timestamptz) returns bigint
  language plpgsql volatile as $$
begin
  return (
    select coalesce(sum(case
        when e.kind = 'usage' and e.hold_id is null then e.amount
        when e.kind = 'hold' then case h.status when 'open' then h.amount else h.captured end
        when e.kind = 'refund' and coalesce(placed.created_at, u.created_at) >= p_from then -e.amount
        else 0 end), 0)::bigint
      from credits.entries e
      left join credits.holds h on e.kind = 'hold' and h.account_id = e.account_id and h.id = e.hold_id
      left join credits.entries u on e.kind = 'refund' and u.account_id = e.account_id and u.seq = e.refunds_seq
      left join credits.holds placed on placed.account_id = u.account_id and placed.id = u.hold_id
     where e.account_id = p_account_id and e.seq >= credits.first_seq_since(p_account_id, p_from)
       and e.status = 'posted' and e.app_id = p_app_id);
end $$;
comment on function credits.counts_since is
  'What counts towards a limit: charges, holds placed since then with what is still reserved, less what was released or refunded of them.';

create function credits.spend_cap(p_account_id bigint, p_app_id text, p_period text) returns bigint
  language plpgsql volatile as $$
begin
  return least(
    (select l.cap from credits.spend_limits l
      where l.account_id = p_account_id and l.app_id = p_app_id and l.period = p_period and l.set_by = 'user'),
    coalesce(
      (select l.cap from credits.spend_limits l
        where l.account_id = p_account_id and l.app_id = p_app_id and l.period = p_period and l.set_by = 'admin'),
      (select case p_period when 'day' then a.spend_limit_day else a.spend_limit_month end
         from auth.apps a where a.id = p_app_id)));
end $$;
comment on function credits.spend_cap is 'The limit in force; null when there is none.';

create function credits.spent_in_window(p_account_id bigint, p_app_id text, p_period text, p_now timestamptz) returns bigint
  language plpgsql volatile as $$
declare
  v_starts_at constant timestamptz := credits.window_start(p_period, p_now);
  v_spent bigint;
begin
  select c.spent into v_spent from credits.spend_counters c
   where c.account_id = p_account_id and c.app_id = p_app_id and c.period = p_period and c.starts_at = v_starts_at;
  if not found then
    v_spent := credits.counts_since(p_account_id, p_app_id, v_starts_at);
    insert into credits.spend_counters as c (account_id, app_id, period, starts_at, spent)
    values (p_account_id, p_app_id, p_period, v_starts_at, v_spent)
    on conflict on constraint spend_counters_pkey do update set starts_at = excluded.starts_at, spent = excluded.spent;
  end if;
  return v_spent;
end $$;
comment on function credits.spent_in_window is 'What counts in this day or month, from its counter, which is begun when there is none. The account is locked.';

create type credits.limit_reached as (period text, cap bigint, used bigint, resets_at timestamptz);
comment on type credits.limit_reached is 'The limit that an amount would exceed.';

create function credits.count_spending(p_account credits.accounts, p_app_id text, p_amount bigint, p_now timestamptz)
  returns credits.limit_reached
  language plpgsql volatile as $$
declare
  v_period text;
  v_cap bigint;
  v_used bigint;
  v_counted text[] := '{}';
begin
  foreach v_period in array array['day', 'month'] loop
    v_cap := credits.spend_cap(p_account.id, p_app_id, v_period);
    continue when v_cap is null;
    v_used := credits.spent_in_window(p_account.id, p_app_id, v_period, p_now);
    if v_used + p_amount > v_cap then
      return row(v_period, v_cap, v_used, credits.window_end(v_period, p_now))::credits.limit_reached;
    end if;
    v_counted := v_counted || v_period;
  end loop;
  update credits.spend_counters c set spent = c.spent + p_amount
   where c.account_id = p_account.id and c.app_id = p_app_id and c.period = any (v_counted);
  return null;
end $$;
comment on function credits.count_spending is
  'Counts what is about to be spent or held towards the limits of the app, or names the limit that forbids it and counts nothing. Call it with the account locked, as the last thing before the entry.';

create function credits.uncount_spending(p_account_id bigint, p_app_id text, p_amount bigint, p_counted_at timestamptz) returns void
  language plpgsql volatile as $$
begin
  -- What counted in a window that is over does not count in this one.
  update credits.spend_counters c set spent = c.spent - p_amount
   where c.account_id = p_account_id and c.app_id = p_app_id
     and c.starts_at = credits.window_start(c.period, p_counted_at);
end $$;
comment on function credits.uncount_spending is 'Takes back what was counted at that time: released, or refunded.';

-- Spend limits: where they bind -----------------------------------------------------------------

create function credits.as_limited_charge(l credits.limit_reached) returns credits.charge
  language sql immutable
  return row('limit_reached', false, null, null, null, null, null, null, null, null,
             jsonb_build_object('period', l.period, 'limit', l.cap, 'used', l.used), l.resets_at)::credits.charge;
comment on function credits.as_limited_charge is 'A charge that a limit forbids: which one in metadata, when it begins anew in created_at.';

create or replace function credits.use_credits(
  p_user_id text, p_amount bigint, p_app_id text, p_description text, p_metadata jsonb,
  p_key_scope text, p_idempotency_key text, p_fingerprint bytea,
  p_daily_amount bigint, p_daily_expires_hours integer)
  returns credits.charge
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  a credits.accounts;
  e credits.entries;
  v_now timestamptz;
  v_lots record;
  v_decline record;
  v_limit credits.limit_reached;
  v_replayed_seq bigint;
  v_limited boolean;
  v_balance bigint;
  -- Assigned and not performed: that is an expression, and no query.
  v_user_id constant text := set_config('tollgate.user_id', p_user_id, true);
begin
  update credits.accounts t set seq = t.seq + 1 where t.user_id = v_user_id returning t.* into a;
  if not found then
    return credits.as_charge('no_account', false, null, null, null);
  end if;
  v_now := auth.clock();
  select (select t.seq from credits.entries t
           where t.account_id = a.id and t.key_scope = p_key_scope and t.idempotency_key = p_idempotency_key),
         a.n_spend_limits > 0 or exists (
           select from auth.apps l
            where l.id = p_app_id and (l.spend_limit_day is not null or l.spend_limit_month is not null))
    into v_replayed_seq, v_limited;
  -- Before anything else: a repeated request gets its answer whatever has happened since.
  if v_replayed_seq is not null then
    select t.* into e from credits.entries t where t.account_id = a.id and t.seq = v_replayed_seq;
    perform credits.give_back_seq(a.id);
    if e.fingerprint is distinct from p_fingerprint or e.kind <> 'usage' or e.hold_id is not null then
      return credits.as_charge('key_reused', true, null, null, null);
    end if;
    if e.status = 'declined' then
      return credits.as_charge('insufficient', true, e.available_after, null, null);
    end if;
    return credits.as_charge('posted', true, e.available_after, null, e);
  end if;
  if a.n_freezes > 0 then
    perform credits.give_back_seq(a.id);
    return credits.as_charge('frozen', false, null, null, null);
  end if;
  if credits.anything_due(a, v_now, p_daily_amount) then
    a := credits.settle(a, v_now, p_daily_amount, p_daily_expires_hours);
  end if;
  select l.available, l.credit_grant_ids, l.deltas into v_lots from credits.allocate(a.id, p_amount, v_now) l;
  if v_lots.available < p_amount then
    v_decline := credits.decline(a, 'usage', p_amount, v_lots.available, p_app_id, p_description, p_metadata,
                                 p_key_scope, p_idempotency_key, p_fingerprint, v_now);
    return credits.as_charge(v_decline.outcome, false, v_lots.available, v_decline.retry_after_secs, null);
  end if;
  if v_limited then
    v_limit := credits.count_spending(a, p_app_id, p_amount, v_now);
    if v_limit.period is not null then
      perform credits.give_back_seq(a.id);
      return credits.as_limited_charge(v_limit);
    end if;
  end if;
  insert into credits.entries as t
    (account_id, seq, kind, amount, system_account, system_delta, credit_grant_ids, deltas, available_after,
     app_id, description, metadata, key_scope, idempotency_key, fingerprint, created_at)
  values (a.id, a.seq, 'usage', p_amount, 'usage', p_amount, v_lots.credit_grant_ids, v_lots.deltas,
     v_lots.available - p_amount, p_app_id, p_description, p_metadata,
     case when p_idempotency_key is not null then p_key_scope end, p_idempotency_key,
     case when p_idempotency_key is not null then p_fingerprint end, v_now)
  returning t.balance_after into v_balance;
  return row('posted', false, v_lots.available - p_amount, null, a.id, a.seq, p_amount, v_balance,
             p_app_id, p_description, p_metadata, v_now)::credits.charge;
end $$;
comment on function credits.use_credits is
  'Spends credits, free ones first. outcome: posted, insufficient, limit_reached, key_reused, frozen, rate_limited, no_account.';

create function credits.as_limited_hold(l credits.limit_reached) returns credits.held
  language sql immutable
  return row('limit_reached', false, null, null, null, l.cap, l.used, l.period, null, null, l.resets_at,
             null, null, null, null, null, null)::credits.held;
comment on function credits.as_limited_hold is
  'A hold that a limit forbids: which one in status, its size in amount, what counts in captured, when it begins anew in expires_at.';

create or replace function credits.place_hold(
  p_user_id text, p_hold_id text, p_amount bigint, p_app_id text, p_description text, p_expires_in_secs integer,
  p_key_scope text, p_idempotency_key text, p_fingerprint bytea,
  p_daily_amount bigint, p_daily_expires_hours integer)
  returns credits.held
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  c_max_open constant integer := 1000; -- accounts_open_holds_limit
  a credits.accounts;
  h credits.holds;
  e credits.entries;
  v_now timestamptz;
  v_lots record;
  v_decline record;
  v_limit credits.limit_reached;
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  update credits.accounts t set seq = t.seq + 1 where t.user_id = p_user_id returning t.* into a;
  if not found then
    return credits.as_held('no_account', false, null, null, null, null);
  end if;
  v_now := auth.clock();
  select t.* into e from credits.entries t
   where t.account_id = a.id and t.key_scope = p_key_scope and t.idempotency_key = p_idempotency_key;
  if found then
    return credits.replay_hold(e, 'hold', p_fingerprint);
  end if;
  if a.n_freezes > 0 then
    perform credits.give_back_seq(a.id);
    return credits.as_held('frozen', false, null, null, null, null);
  end if;
  if credits.anything_due(a, v_now, p_daily_amount) then
    a := credits.settle(a, v_now, p_daily_amount, p_daily_expires_hours);
  end if;
  if a.n_open_holds >= c_max_open then
    perform credits.give_back_seq(a.id);
    return credits.as_held('too_many_holds', false, null, null, null, null);
  end if;
  select l.* into v_lots from credits.allocate(a.id, p_amount, v_now) l;
  if v_lots.available < p_amount then
    v_decline := credits.decline(a, 'hold', p_amount, v_lots.available, p_app_id, p_description, null,
                                 p_key_scope, p_idempotency_key, p_fingerprint, v_now);
    return credits.as_held(v_decline.outcome, false, v_lots.available, v_decline.retry_after_secs, null, null);
  end if;
  -- Most have no limit and shall not pay for those who do.
  if a.n_spend_limits > 0 or exists (
    select from auth.apps l where l.id = p_app_id and (l.spend_limit_day is not null or l.spend_limit_month is not null)) then
    v_limit := credits.count_spending(a, p_app_id, p_amount, v_now);
    if v_limit.period is not null then
      perform credits.give_back_seq(a.id);
      return credits.as_limited_hold(v_limit);
    end if;
  end if;
  insert into credits.holds as t
    (account_id, id, placed_by, amount, credit_grant_ids, reserved, app_id, description, created_at, expires_at)
  values (a.id, p_hold_id, p_key_scope, p_amount, v_lots.credit_grant_ids, v_lots.amounts, p_app_id, p_description,
     v_now, v_now + make_interval(secs => p_expires_in_secs))
  returning t.* into h;
  insert into credits.entries as t
    (account_id, seq, kind, amount, credit_grant_ids, held_deltas, app_id, description,
     hold_id, hold_status, hold_captured, key_scope, idempotency_key, fingerprint, created_at)
  values (a.id, a.seq, 'hold', p_amount, v_lots.credit_grant_ids, v_lots.amounts, p_app_id, p_description,
     h.id, 'open', 0,
     case when p_idempotency_key is not null then p_key_scope end, p_idempotency_key,
     case when p_idempotency_key is not null then p_fingerprint end, v_now)
  returning t.* into e;
  update credits.accounts t
     set n_open_holds = t.n_open_holds + 1, lapse_due_at = least(t.lapse_due_at, h.expires_at)
   where t.id = a.id;
  return credits.as_held('done', false, null, null, h, e);
end $$;
comment on function credits.place_hold is
  'Sets credits aside. outcome: done, insufficient, limit_reached, key_reused, frozen, too_many_holds, rate_limited, no_account.';

create or replace function credits.end_hold(h credits.holds, p_captured bigint, p_status text, p_now timestamptz) returns void
  language plpgsql volatile as $$
begin
  update credits.holds t
     set status = p_status, captured = p_captured, credit_grant_ids = '{}', reserved = '{}', ended_at = p_now
   where t.account_id = h.account_id and t.id = h.id;
  if h.amount > p_captured then
    perform credits.uncount_spending(h.account_id, h.app_id, h.amount - p_captured, h.created_at);
  end if;
  -- A lot may have lapsed under the hold: what came free of it lapses at the next occasion.
  update credits.accounts a
     set n_open_holds = a.n_open_holds - 1, lapse_due_at = credits.next_lapse(a.id)
   where a.id = h.account_id;
end $$;

create or replace function credits.settle_holds(p_account_id bigint, p_now timestamptz) returns void
  language plpgsql volatile as $$
declare
  h credits.holds;
  v_ended integer := 0;
begin
  for h in
    select o.* from credits.holds o
     where o.account_id = p_account_id and o.status = 'open' and o.expires_at <= p_now order by o.expires_at, o.id
  loop
    insert into credits.entries
      (account_id, seq, kind, amount, credit_grant_ids, held_deltas, app_id, description,
       hold_id, hold_status, hold_captured, created_at)
    values (p_account_id, credits.next_seq(p_account_id), 'release', h.amount - h.captured,
       h.credit_grant_ids, credits.negated(h.reserved), h.app_id, h.description,
       h.id, 'expired', h.captured, p_now);
    update credits.holds t
       set status = 'expired', credit_grant_ids = '{}', reserved = '{}', ended_at = p_now
     where t.account_id = p_account_id and t.id = h.id;
    perform credits.uncount_spending(p_account_id, h.app_id, h.amount - h.captured, h.created_at);
    v_ended := v_ended + 1;
  end loop;
  update credits.accounts a set n_open_holds = a.n_open_holds - v_ended where a.id = p_account_id;
end $$;

-- Spend limits: setting and reading ---------------------------------------------------------------

create function credits.forget_counters_of_app() returns trigger
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  -- While there was no limit nothing was counted: they are computed anew when they are needed.
  delete from credits.spend_counters c where c.app_id = new.id;
  return null;
end $$;
create trigger apps_forget_counters after insert or update of spend_limit_day, spend_limit_month on auth.apps
  for each row execute function credits.forget_counters_of_app();

create type credits.spend_limit_view as (
  outcome text, app_id text, period text, cap bigint, used bigint, resets_at timestamptz,
  set_by_user bigint, set_by_admin bigint, set_by_app bigint);
comment on type credits.spend_limit_view is 'A limit in force (null: none), what counts towards it, and who set which part.';

create function credits.view_spend_limit(p_account_id bigint, p_app_id text, p_period text, p_now timestamptz)
  returns credits.spend_limit_view
  language plpgsql volatile as $$
declare
  v_starts_at constant timestamptz := credits.window_start(p_period, p_now);
begin
  return row('done', p_app_id, p_period, credits.spend_cap(p_account_id, p_app_id, p_period),
    coalesce((select c.spent from credits.spend_counters c
               where c.account_id = p_account_id and c.app_id = p_app_id and c.period = p_period and c.starts_at = v_starts_at),
             credits.counts_since(p_account_id, p_app_id, v_starts_at)),
    credits.window_end(p_period, p_now),
    (select l.cap from credits.spend_limits l
      where l.account_id = p_account_id and l.app_id = p_app_id and l.period = p_period and l.set_by = 'user'),
    (select l.cap from credits.spend_limits l
      where l.account_id = p_account_id and l.app_id = p_app_id and l.period = p_period and l.set_by = 'admin'),
    (select case p_period when 'day' then t.spend_limit_day else t.spend_limit_month end
       from auth.apps t where t.id = p_app_id))::credits.spend_limit_view;
end $$;

create function credits.view_spend_limits(p_account_id bigint, p_app_id text) returns setof credits.spend_limit_view
  language plpgsql volatile as $$
declare
  -- An account has at most a hundred apps with limits of its own; the apps' own limits add to it.
  c_most_apps constant integer := 200;
  v_app_id text;
  v_now timestamptz := auth.clock();
begin
  for v_app_id in
    select t.app_id from (
      select l.app_id from credits.spend_limits l where l.account_id = p_account_id and p_app_id is null
      union
      select c.app_id from credits.spend_counters c where c.account_id = p_account_id and p_app_id is null
      union
      select p_app_id where p_app_id is not null) t
     order by t.app_id limit c_most_apps
  loop
    return next credits.view_spend_limit(p_account_id, v_app_id, 'day', v_now);
    return next credits.view_spend_limit(p_account_id, v_app_id, 'month', v_now);
  end loop;
end $$;

create function credits.list_spend_limits(p_user_id text, p_app_id text) returns setof credits.spend_limit_view
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  return query
    select v.* from credits.accounts a cross join lateral credits.view_spend_limits(a.id, p_app_id) v
     where a.user_id = p_user_id;
end $$;
comment on function credits.list_spend_limits is
  'The limits of the user: of one app, or of every app that has one or has counted towards one; a day''s and a month''s row each.';

create function credits.save_spend_limit(
  p_account_id bigint, p_app_id text, p_set_by text, p_period text, p_cap bigint) returns void
  language plpgsql volatile as $$
begin
  if p_cap is null then
    delete from credits.spend_limits l
     where l.account_id = p_account_id and l.app_id = p_app_id and l.period = p_period and l.set_by = p_set_by;
  else
    insert into credits.spend_limits (account_id, app_id, period, set_by, cap, updated_at)
    values (p_account_id, p_app_id, p_period, p_set_by, p_cap, auth.clock())
    on conflict on constraint spend_limits_pkey do update set cap = excluded.cap, updated_at = excluded.updated_at;
  end if;
end $$;

create function credits.save_spend_limits(p_user_id text, p_app_id text, p_set_by text, p_day bigint, p_month bigint) returns text
  language plpgsql volatile as $$
declare
  -- 100 apps, a day and a month each, for user and admin: accounts_spend_limits_limit.
  c_most_apps constant integer := 100;
  a credits.accounts;
begin
  select t.* into a from credits.accounts t where t.user_id = p_user_id for no key update;
  if not found then
    return 'not_found';
  end if;
  if (select count(distinct l.app_id) from credits.spend_limits l
       where l.account_id = a.id and l.set_by = p_set_by and l.app_id <> p_app_id) >= c_most_apps
     and coalesce(p_day, p_month) is not null then
    return 'too_many_limits';
  end if;
  perform credits.save_spend_limit(a.id, p_app_id, p_set_by, 'day', p_day);
  perform credits.save_spend_limit(a.id, p_app_id, p_set_by, 'month', p_month);
  delete from credits.spend_counters c where c.account_id = a.id and c.app_id = p_app_id;
  return 'done';
end $$;

create function credits.set_spend_limits(p_user_id text, p_app_id text, p_day bigint, p_month bigint)
  returns setof credits.spend_limit_view
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_outcome text;
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  v_outcome := credits.save_spend_limits(p_user_id, p_app_id, 'user', p_day, p_month);
  if v_outcome <> 'done' then
    return query select v_outcome, p_app_id, null::text, null::bigint, null::bigint, null::timestamptz, null::bigint, null::bigint, null::bigint;
    return;
  end if;
  return query select v.* from credits.list_spend_limits(p_user_id, p_app_id) v;
end $$;
comment on function credits.set_spend_limits is
  'The user''s own limits in an app; null takes one away. outcome of the rows: done, not_found, too_many_limits.';

create function credits.administer_spend_limits(
  p_admin_id text, p_session_id text, p_target_id text, p_app_id text, p_change boolean, p_day bigint, p_month bigint, p_request jsonb)
  returns setof credits.spend_limit_view
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_outcome text;
begin
  perform set_config('tollgate.user_id', p_admin_id, true);
  v_outcome := auth.admin_standing(p_admin_id, p_session_id);
  if v_outcome = 'fresh' or (v_outcome = 'stale' and not p_change) then
    v_outcome := case when p_change then credits.save_spend_limits(p_target_id, p_app_id, 'admin', p_day, p_month)
                      when exists (select from credits.accounts a where a.user_id = p_target_id) then 'done'
                      else 'not_found' end;
  end if;
  if v_outcome <> 'done' then
    return query select v_outcome, p_app_id, null::text, null::bigint, null::bigint, null::timestamptz, null::bigint, null::bigint, null::bigint;
    return;
  end if;
  if p_change then
    perform auth.record_event('spend_limits_set', 'success', p_target_id, null,
      jsonb_build_object('appId', p_app_id, 'day', p_day, 'month', p_month),
      p_request || jsonb_build_object('actorKind', 'admin', 'actorId', p_admin_id));
  end if;
  return query
    select v.* from credits.accounts a cross join lateral credits.view_spend_limits(a.id, p_app_id) v
     where a.user_id = p_target_id;
end $$;
comment on function credits.administer_spend_limits is
  'The same for an admin, whose limit stands in place of the app''s. outcome of the rows: done, not_found, too_many_limits, or why not: stale, ended, forbidden.';

-- Corrections ------------------------------------------------------------------------------------------

create type credits.correction as (
  outcome text, replayed boolean, available bigint, left_to_refund bigint,
  account_id bigint, seq bigint, kind text, amount bigint, balance_after bigint,
  app_id text, description text, metadata jsonb, created_at timestamptz);
comment on type credits.correction is 'What became of an adjustment or refund, and its entry as the user sees it.';

create function credits.as_correction(
  p_outcome text, p_replayed boolean, p_available bigint, p_left_to_refund bigint, e credits.entries)
  returns credits.correction
  language sql immutable
  return row(p_outcome, p_replayed, p_available, p_left_to_refund, e.account_id, e.seq, e.kind, -e.system_delta,
             e.balance_after, e.app_id, e.description, e.metadata, e.created_at)::credits.correction;

create function credits.replay_correction(e credits.entries, p_kind text, p_fingerprint bytea) returns credits.correction
  language plpgsql volatile as $$
begin
  perform credits.give_back_seq(e.account_id);
  if e.fingerprint is distinct from p_fingerprint or e.kind <> p_kind then
    return credits.as_correction('key_reused', true, null, null, null);
  end if;
  return credits.as_correction('done', true, e.available_after, null, e);
end $$;

create function credits.adjustment_lots(
  p_account_id bigint, p_amount bigint, p_expires_at timestamptz, p_now timestamptz,
  out outcome text, out available bigint, out credit_grant_ids integer[], out deltas bigint[])
  language plpgsql volatile as $$
declare
  v_taken record;
begin
  available := credits.available(p_account_id, p_now);
  if p_amount < 0 then
    select l.* into v_taken from credits.allocate(p_account_id, -p_amount, p_now) l;
    outcome := case when v_taken.available < -p_amount then 'insufficient' end;
    credit_grant_ids := v_taken.credit_grant_ids;
    deltas := v_taken.deltas;
  elsif credits.room(p_account_id) < p_amount or not credits.has_room_for_lots(p_account_id, 1) then
    outcome := 'full';
  else
    -- What lapses is a present and goes early; what makes good for something is spent late.
    credit_grant_ids := array[credits.open_lot(p_account_id, case when p_expires_at is null then 'refund' else 'gift' end,
                                               p_expires_at, null, null, null, p_now)];
    deltas := array[p_amount];
  end if;
end $$;
comment on function credits.adjustment_lots is 'The lots an adjustment moves: a new one when it adds, in the order of spending when it takes.';

create function credits.adjust(
  p_target_id text, p_amount bigint, p_reason text, p_expires_at timestamptz,
  p_key_scope text, p_idempotency_key text, p_fingerprint bytea, p_request jsonb) returns credits.correction
  language plpgsql volatile as $$
declare
  a credits.accounts;
  e credits.entries;
  v_now timestamptz;
  v_lots record;
begin
  update credits.accounts t set seq = t.seq + 1 where t.user_id = p_target_id returning t.* into a;
  if not found then
    return credits.as_correction('not_found', false, null, null, null);
  end if;
  v_now := auth.clock();
  select t.* into e from credits.entries t
   where t.account_id = a.id and t.key_scope = p_key_scope and t.idempotency_key = p_idempotency_key;
  if found then
    return credits.replay_correction(e, 'adjustment', p_fingerprint);
  end if;
  if credits.anything_due(a, v_now, 0) then
    a := credits.settle(a, v_now, 0, 0);
  end if;
  v_lots := credits.adjustment_lots(a.id, p_amount, p_expires_at, v_now);
  if v_lots.outcome is not null then
    perform credits.give_back_seq(a.id);
    return credits.as_correction(v_lots.outcome, false, v_lots.available, null, null);
  end if;
  insert into credits.entries as t
    (account_id, seq, kind, amount, system_account, system_delta, credit_grant_ids, deltas, available_after,
     description, key_scope, idempotency_key, fingerprint, created_at)
  values (a.id, a.seq, 'adjustment', abs(p_amount), 'adjustment', -p_amount, v_lots.credit_grant_ids, v_lots.deltas,
     v_lots.available + p_amount, p_reason, p_key_scope, p_idempotency_key, p_fingerprint, v_now)
  returning t.* into e;
  if p_amount > 0 then
    perform credits.repay_from(a.id, v_lots.credit_grant_ids, v_lots.deltas, v_now);
  end if;
  perform auth.record_event('credits_adjusted', 'success', p_target_id, null,
    jsonb_build_object('amount', p_amount, 'reason', p_reason, 'expiresAt', p_expires_at, 'seq', e.seq), p_request);
  return credits.as_correction('done', false, credits.available(a.id, v_now), null, e);
end $$;
comment on function credits.adjust is
  'Adds or takes credits with a reason. outcome: done, insufficient (less than that can be taken), full, key_reused, not_found.';

create function credits.refund_parts(
  e credits.entries, p_refunded bigint, p_amount bigint, p_now timestamptz,
  out credit_grant_ids integer[], out deltas bigint[], out lapsed bigint, out lapsed_expires_at timestamptz)
  language plpgsql volatile as $$
declare
  -- Time to notice that credits are back.
  c_least constant interval := interval '1 day';
  v_passed bigint := p_refunded;
  v_left bigint := p_amount;
  v_part bigint;
  v_expires_at timestamptz;
begin
  credit_grant_ids := '{}'; deltas := '{}'; lapsed := 0;
  -- Last spent, first back: what was paid for returns before what was free.
  for i in reverse cardinality(e.credit_grant_ids) .. 1 loop
    v_part := least(greatest(-e.deltas[i] - v_passed, 0), v_left);
    v_passed := greatest(v_passed + e.deltas[i], 0);
    continue when v_part = 0;
    v_left := v_left - v_part;
    select g.expires_at into v_expires_at from credits.credit_grants g
     where g.account_id = e.account_id and g.id = e.credit_grant_ids[i];
    if v_expires_at <= p_now then
      lapsed := lapsed + v_part;
      lapsed_expires_at := greatest(lapsed_expires_at, p_now + greatest(v_expires_at - e.created_at, c_least));
    else
      credit_grant_ids := credit_grant_ids || e.credit_grant_ids[i];
      deltas := deltas || v_part;
    end if;
  end loop;
end $$;
comment on function credits.refund_parts is
  'Which lots a refund fills. For what came from a lot that has lapsed meanwhile: how much, and until when it lasts, which is as long as it had left when it was charged.';

create function credits.post_refund(
  a credits.accounts, e credits.entries, p_refunded bigint, p_amount bigint, p_reason text,
  p_key_scope text, p_idempotency_key text, p_fingerprint bytea, p_now timestamptz) returns credits.entries
  language plpgsql volatile as $$
declare
  v_parts record;
  v_ids integer[];
  v_deltas bigint[];
  r credits.entries;
begin
  v_parts := credits.refund_parts(e, p_refunded, p_amount, p_now);
  v_ids := v_parts.credit_grant_ids;
  v_deltas := v_parts.deltas;
  if v_parts.lapsed > 0 then
    v_ids := v_ids || credits.open_lot(a.id, 'refund', v_parts.lapsed_expires_at, null, null, null, p_now);
    v_deltas := v_deltas || v_parts.lapsed;
  end if;
  insert into credits.entries as t
    (account_id, seq, kind, amount, system_account, system_delta, credit_grant_ids, deltas, available_after,
     app_id, description, refunds_seq, key_scope, idempotency_key, fingerprint, created_at)
  values (a.id, a.seq, 'refund', p_amount, 'usage', -p_amount, v_ids, v_deltas,
     credits.available(a.id, p_now) + p_amount, e.app_id, p_reason, e.seq, p_key_scope, p_idempotency_key, p_fingerprint, p_now)
  returning t.* into r;
  -- A lot that was empty may lapse before anything else does.
  update credits.accounts t set lapse_due_at = credits.next_lapse(t.id) where t.id = a.id;
  perform credits.uncount_spending(a.id, e.app_id, p_amount,
    coalesce((select h.created_at from credits.holds h where h.account_id = a.id and h.id = e.hold_id), e.created_at));
  perform credits.repay_from(a.id, v_ids, v_deltas, p_now);
  return r;
end $$;

create function credits.refund_usage(
  p_target_id text, p_account_id bigint, p_seq bigint, p_amount bigint, p_reason text,
  p_key_scope text, p_idempotency_key text, p_fingerprint bytea, p_request jsonb) returns credits.correction
  language plpgsql volatile as $$
declare
  a credits.accounts;
  e credits.entries;
  r credits.entries;
  v_now timestamptz;
  v_refunded bigint;
  v_amount bigint;
  v_outcome text;
begin
  update credits.accounts t set seq = t.seq + 1
   where t.user_id = p_target_id and t.id = p_account_id returning t.* into a;
  if not found then
    return credits.as_correction('not_found', false, null, null, null);
  end if;
  v_now := auth.clock();
  select t.* into r from credits.entries t
   where t.account_id = a.id and t.key_scope = p_key_scope and t.idempotency_key = p_idempotency_key;
  if found then
    return credits.replay_correction(r, 'refund', p_fingerprint);
  end if;
  if credits.anything_due(a, v_now, 0) then
    a := credits.settle(a, v_now, 0, 0);
  end if;
  select t.* into e from credits.entries t
   where t.account_id = a.id and t.seq = p_seq and t.kind = 'usage' and t.status = 'posted';
  select coalesce(sum(t.amount), 0) into v_refunded from credits.entries t
   where t.account_id = a.id and t.refunds_seq = p_seq;
  v_amount := coalesce(p_amount, e.amount - v_refunded);
  v_outcome := case when e.seq is null then 'not_found'
                    when v_refunded = e.amount then 'nothing_left'
                    when v_amount > e.amount - v_refunded then 'exceeds_charge'
                    when credits.room(a.id) < v_amount or not credits.has_room_for_lots(a.id, 1) then 'full' end;
  if v_outcome is not null then
    perform credits.give_back_seq(a.id);
    return credits.as_correction(v_outcome, false, null, e.amount - v_refunded, null);
  end if;
  r := credits.post_refund(a, e, v_refunded, v_amount, p_reason,
    case when p_idempotency_key is not null then p_key_scope end, p_idempotency_key,
    case when p_idempotency_key is not null then p_fingerprint end, v_now);
  perform auth.record_event('credits_refunded', 'success', p_target_id, null,
    jsonb_build_object('amount', v_amount, 'reason', p_reason, 'refundsSeq', p_seq, 'seq', r.seq), p_request);
  return credits.as_correction('done', false, credits.available(a.id, v_now), e.amount - v_refunded - v_amount, r);
end $$;
comment on function credits.refund_usage is
  'Gives back of a charge or capture, at most what was charged. outcome: done, not_found, nothing_left, exceeds_charge, full, key_reused.';

create function credits.correct(
  p_act text, p_target_id text, p_args jsonb, p_key_scope text, p_fingerprint bytea, p_request jsonb)
  returns credits.correction
  language plpgsql volatile as $$
begin
  return case p_act
    when 'adjust' then credits.adjust(p_target_id, (p_args ->> 'amount')::bigint, p_args ->> 'reason',
      (p_args ->> 'expiresAt')::timestamptz, p_key_scope, p_args ->> 'key', p_fingerprint, p_request)
    when 'refund' then credits.refund_usage(p_target_id, (p_args ->> 'accountId')::bigint, (p_args ->> 'seq')::bigint,
      (p_args ->> 'amount')::bigint, p_args ->> 'reason', p_key_scope, p_args ->> 'key', p_fingerprint, p_request)
    else credits.as_correction('unknown_act', false, null, null, null)
  end;
end $$;

create function credits.act_on_account(
  p_admin_id text, p_session_id text, p_act text, p_target_id text, p_args jsonb, p_fingerprint bytea, p_request jsonb)
  returns credits.correction
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_standing text;
begin
  perform set_config('tollgate.user_id', p_admin_id, true);
  v_standing := auth.admin_standing(p_admin_id, p_session_id);
  if v_standing <> 'fresh' then
    return credits.as_correction(v_standing, false, null, null, null);
  end if;
  return credits.correct(p_act, p_target_id, p_args, 'user:' || p_admin_id, p_fingerprint,
    p_request || jsonb_build_object('actorKind', 'admin', 'actorId', p_admin_id));
end $$;
comment on function credits.act_on_account is
  'A correction by an admin: adjust or refund. outcome: of the act, or why not: stale, ended, forbidden.';

create function credits.operate_on_account(p_act text, p_target_id text, p_args jsonb, p_fingerprint bytea)
  returns credits.correction
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_target_id, true);
  return credits.correct(p_act, p_target_id, p_args, 'service:operator', p_fingerprint,
    '{"actorKind": "system", "actorId": "operator"}');
end $$;
comment on function credits.operate_on_account is 'The same from the command line. For tollgate_owner only.';

-- Ownership and rights -------------------------------------------------------------------

do $$
declare
  f regprocedure;
begin
  for f in
    select p.oid::regprocedure from pg_proc p
     where p.pronamespace = 'credits'::regnamespace and p.proowner = 'tollgate_owner'::regrole
       and p.proname not in ('list_transactions', 'list_purchases')
  loop
    execute format('alter function %s owner to tollgate_definer', f);
    execute format('revoke execute on function %s from public', f);
  end loop;
end $$;

grant execute on function
  credits.list_spend_limits(text, text),
  credits.set_spend_limits(text, text, bigint, bigint),
  credits.administer_spend_limits(text, text, text, text, boolean, bigint, bigint, jsonb),
  credits.act_on_account(text, text, text, text, jsonb, bytea, jsonb),
  credits.first_seq_since(bigint, timestamptz)
  to tollgate_app;
grant execute on function credits.operate_on_account(text, text, jsonb, bytea) to tollgate_owner;
grant usage on type credits.spend_limit_view, credits.correction to tollgate_app, tollgate_definer;
revoke create on schema credits from tollgate_definer;

-- The operations of the ledger: one function each, one round trip each.
--
-- A function and not one statement with CTEs: each statement of a VOLATILE function sees what
-- was committed before it began, so that after waiting for the account the lots are read as
-- they are now. In one statement only the row that was waited for would be read again.
-- For the same reason the time is taken after the lock.
--
-- What the issuer is configured with (bonus, daily credits) comes as arguments.

grant create on schema credits to tollgate_definer; -- taken back at the end of this file

-- Building blocks -------------------------------------------------------------------------
-- Only other functions call these, with the account locked; they run with the rights and the
-- search_path of those, and nobody else may call them.

create function credits.next_seq(p_account_id bigint) returns bigint
  language plpgsql volatile as $$
declare
  v_seq bigint;
begin
  update credits.accounts a set seq = a.seq + 1 where a.id = p_account_id returning a.seq into strict v_seq;
  return v_seq;
end $$;

create function credits.give_back_seq(p_account_id bigint) returns void
  language plpgsql volatile as $$
begin
  update credits.accounts a set seq = a.seq - 1 where a.id = p_account_id;
end $$;
comment on function credits.give_back_seq is 'For an operation that took the next number and writes no entry.';

create function credits.anything_due(p_account credits.accounts, p_now timestamptz, p_daily_amount bigint) returns boolean
  language sql immutable
  return p_account.lapse_due_at <= p_now
    or (p_daily_amount > 0 and p_account.n_freezes = 0 and p_account.daily_due_at <= p_now);

create function credits.available(p_account_id bigint, p_now timestamptz) returns bigint
  language plpgsql volatile as $$
begin
  return (select coalesce(sum(g.remaining - g.held), 0) from credits.credit_grants g
           where g.account_id = p_account_id and g.open and (g.expires_at is null or g.expires_at > p_now));
end $$;
comment on function credits.available is 'What could be spent at that moment.';

create function credits.allocate(
  p_account_id bigint, p_amount bigint, p_now timestamptz,
  out available bigint, out credit_grant_ids integer[], out amounts bigint[], out deltas bigint[])
  language plpgsql volatile as $$
declare
  g record;
  v_left bigint := p_amount;
begin
  available := 0;
  credit_grant_ids := '{}';
  amounts := '{}';
  deltas := '{}';
  for g in
    select l.id, l.remaining - l.held as free from credits.credit_grants l
     where l.account_id = p_account_id and l.open and l.remaining > l.held
       and (l.expires_at is null or l.expires_at > p_now)
     order by l.burn_rank, l.priority, l.expires_at nulls last, l.id
  loop
    available := available + g.free;
    if v_left > 0 then
      credit_grant_ids := credit_grant_ids || g.id;
      amounts := amounts || least(g.free, v_left);
      deltas := deltas || -least(g.free, v_left);
      v_left := v_left - least(g.free, v_left);
    end if;
  end loop;
end $$;
comment on function credits.allocate is
  'What could be spent, and how much the amount takes from which lots, also with the sign turned. Falls short when there is too little.';

create function credits.negated(p_values bigint[]) returns bigint[]
  language sql immutable strict parallel safe
  return (select coalesce(array_agg(-v order by i), '{}') from unnest(p_values) with ordinality t (v, i));

create function credits.next_lapse(p_account_id bigint) returns timestamptz
  language plpgsql volatile as $$
begin
  return least(
    coalesce((select min(g.expires_at) from credits.credit_grants g
               where g.account_id = p_account_id and g.open and g.remaining > g.held), 'infinity'),
    coalesce((select min(h.expires_at) from credits.holds h
               where h.account_id = p_account_id and h.status = 'open'), 'infinity'));
end $$;

create function credits.add_credit_grant(
  p_account_id bigint, p_entry_kind text, p_grant_kind text, p_system_account text,
  p_amount bigint, p_expires_at timestamptz, p_purchase_id text, p_key text, p_now timestamptz)
  returns void
  language plpgsql volatile as $$
declare
  -- Bounds how many lots one charge can be taken from.
  c_max_open constant integer := 1000;
  v_id integer;
  v_debt bigint;
begin
  if p_grant_kind = 'daily' and p_expires_at is null then
    select g.id into v_id from credits.credit_grants g
     where g.account_id = p_account_id and g.kind = 'daily' and g.expires_at is null;
  end if;
  if v_id is null then
    if (select count(*) from credits.credit_grants g where g.account_id = p_account_id and g.open) >= c_max_open then
      raise exception 'account % has % open lots', p_account_id, c_max_open
        using errcode = 'check_violation', constraint = 'credit_grants_open_limit';
    end if;
    select coalesce(max(g.id), 0) + 1 into v_id from credits.credit_grants g where g.account_id = p_account_id;
    insert into credits.credit_grants
      (account_id, id, kind, burn_rank, expires_at, purchase_account_id, purchase_id, created_at)
    values (p_account_id, v_id, p_grant_kind, credits.burn_rank(p_grant_kind), p_expires_at,
            case when p_purchase_id is not null then p_account_id end, p_purchase_id, p_now);
  end if;
  insert into credits.entries
    (account_id, seq, kind, amount, system_account, system_delta, credit_grant_ids, deltas,
     purchase_id, key_scope, idempotency_key, created_at)
  values (p_account_id, credits.next_seq(p_account_id), p_entry_kind, p_amount, p_system_account, -p_amount,
     array[v_id], array[p_amount], p_purchase_id, 'system', p_key, p_now)
  returning debt_after into v_debt;
  update credits.accounts a set lapse_due_at = least(a.lapse_due_at, p_expires_at) where a.id = p_account_id;
  if v_debt > 0 then
    perform credits.repay_debt(p_account_id, v_id, least(v_debt, p_amount), p_now);
  end if;
end $$;
comment on function credits.add_credit_grant is
  'Adds a lot, or fills up the one of daily credits that do not lapse. What is owed from a claw-back is repaid from it first.';

create function credits.repay_debt(p_account_id bigint, p_credit_grant_id integer, p_amount bigint, p_now timestamptz) returns void
  language plpgsql volatile as $$
begin
  insert into credits.entries
    (account_id, seq, kind, amount, system_account, system_delta, credit_grant_ids, deltas, debt_delta, purchase_id, created_at)
  select p_account_id, credits.next_seq(p_account_id), 'refund', p_amount, 'claw_back', p_amount,
         array[p_credit_grant_id], array[-p_amount], -p_amount, owed.purchase_id, p_now
    from (select e.purchase_id from credits.entries e
           where e.account_id = p_account_id and e.debt_delta > 0 order by e.seq desc limit 1) owed;
end $$;

-- Settlement: what time has brought about ------------------------------------------------

create function credits.settle_holds(p_account_id bigint, p_now timestamptz) returns void
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
    v_ended := v_ended + 1;
  end loop;
  update credits.accounts a set n_open_holds = a.n_open_holds - v_ended where a.id = p_account_id;
end $$;

create function credits.settle_lots(p_account_id bigint, p_now timestamptz) returns void
  language plpgsql volatile as $$
declare
  g credits.credit_grants;
begin
  -- What is held of a lapsed lot stays, for the capture that was promised.
  for g in
    select l.* from credits.credit_grants l
     where l.account_id = p_account_id and l.open and l.expires_at <= p_now and l.remaining > l.held
     order by l.expires_at, l.id
  loop
    insert into credits.entries
      (account_id, seq, kind, amount, system_account, system_delta, credit_grant_ids, deltas, created_at)
    values (p_account_id, credits.next_seq(p_account_id), 'expiry', g.remaining - g.held, 'breakage', g.remaining - g.held,
       array[g.id], array[g.held - g.remaining], p_now);
  end loop;
end $$;

create function credits.settle_daily(
  p_account credits.accounts, p_now timestamptz, p_daily_amount bigint, p_daily_expires_hours integer) returns void
  language plpgsql volatile as $$
declare
  c_most constant bigint := 9007199254740991; -- entries_balance_limit
  v_balance bigint;
  v_amount bigint;
  v_expires_at timestamptz := case when p_daily_expires_hours > 0 then p_now + make_interval(hours => p_daily_expires_hours) end;
begin
  select e.balance_after into v_balance from credits.entries e
   where e.account_id = p_account.id order by e.seq desc limit 1;
  -- An account that is full gets what fits: free credits must not stop its owner from spending.
  v_amount := least(p_daily_amount, c_most - coalesce(v_balance, 0));
  if v_amount > 0 then
    perform credits.add_credit_grant(p_account.id, 'daily', 'daily', 'promotion', v_amount, v_expires_at, null,
      'daily:' || p_account.n_daily_grants + 1, p_now);
  end if;
  -- 24 hours after this one, whenever this one was due: missed days are not made up for.
  update credits.accounts a
     set n_daily_grants = a.n_daily_grants + 1, daily_due_at = p_now + interval '24 hours'
   where a.id = p_account.id;
end $$;

create function credits.settle(
  p_account credits.accounts, p_now timestamptz, p_daily_amount bigint, p_daily_expires_hours integer)
  returns credits.accounts
  language plpgsql volatile as $$
declare
  v_account credits.accounts;
begin
  perform credits.give_back_seq(p_account.id);
  if p_account.lapse_due_at <= p_now then
    perform credits.settle_holds(p_account.id, p_now);
    perform credits.settle_lots(p_account.id, p_now);
    update credits.accounts a set lapse_due_at = credits.next_lapse(a.id) where a.id = p_account.id;
  end if;
  if p_daily_amount > 0 and p_account.n_freezes = 0 and p_account.daily_due_at <= p_now then
    perform credits.settle_daily(p_account, p_now, p_daily_amount, p_daily_expires_hours);
  end if;
  update credits.accounts a set seq = a.seq + 1 where a.id = p_account.id returning a.* into strict v_account;
  return v_account;
end $$;
comment on function credits.settle is
  'Writes the entries of what is due: holds that lapsed, then lots, then the daily credits. Takes and returns an account whose next number is taken.';

create function credits.decline(
  p_account credits.accounts, p_kind text, p_amount bigint, p_available bigint,
  p_app_id text, p_description text, p_metadata jsonb,
  p_key_scope text, p_idempotency_key text, p_fingerprint bytea, p_now timestamptz,
  out outcome text, out retry_after_secs integer)
  language plpgsql volatile as $$
declare
  c_window constant interval := interval '1 minute';
  -- Enough for any program that means to spend; a loop on an empty account must not fill the ledger.
  c_max_in_window constant integer := 60;
  v_fresh constant boolean := p_account.decline_window_ends_at <= p_now;
begin
  outcome := 'insufficient';
  -- Without a key nobody can ask again for this very answer, so there is nothing to keep.
  if p_idempotency_key is null then
    perform credits.give_back_seq(p_account.id);
    return;
  end if;
  if not v_fresh and p_account.n_declines_in_window >= c_max_in_window then
    perform credits.give_back_seq(p_account.id);
    outcome := 'rate_limited';
    retry_after_secs := ceil(extract(epoch from p_account.decline_window_ends_at - p_now));
    return;
  end if;
  insert into credits.entries
    (account_id, seq, kind, status, amount, available_after, app_id, description, metadata,
     key_scope, idempotency_key, fingerprint, created_at)
  values (p_account.id, p_account.seq, p_kind, 'declined', p_amount, p_available, p_app_id, p_description, p_metadata,
     p_key_scope, p_idempotency_key, p_fingerprint, p_now);
  update credits.accounts a
     set n_declines_in_window = case when v_fresh then 1 else a.n_declines_in_window + 1 end,
         decline_window_ends_at = case when v_fresh then p_now + c_window else a.decline_window_ends_at end
   where a.id = p_account.id;
end $$;
comment on function credits.decline is
  'Refuses for want of credits. With a key the refusal is an entry, so that the same key gets the same answer even when there are credits again.';

-- Opening an account ---------------------------------------------------------------------

create function credits.grant_signup_bonus(p_user_id text, p_signup_bonus bigint, p_bonus_key_digest bytea) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_account_id bigint;
  v_now timestamptz;
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  select a.id into strict v_account_id from credits.accounts a where a.user_id = p_user_id for no key update;
  v_now := auth.clock();
  if p_signup_bonus <= 0
     or exists (select from credits.entries e
                 where e.account_id = v_account_id and e.key_scope = 'system' and e.idempotency_key = 'signup') then
    return false;
  end if;
  insert into credits.signup_bonus_claims (email_digest, claimed_at) values (p_bonus_key_digest, v_now)
  on conflict on constraint signup_bonus_claims_pkey do nothing;
  if not found then
    return false;
  end if;
  perform credits.add_credit_grant(v_account_id, 'bonus', 'signup', 'promotion', p_signup_bonus, null, null, 'signup', v_now);
  return true;
end $$;
comment on function credits.grant_signup_bonus is
  'Adds the signup bonus once per account and once per address, and says whether it did. 0 is off.';

create function credits.open_account(p_user_id text, p_signup_bonus bigint, p_bonus_key_digest bytea) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_now timestamptz;
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  v_now := auth.clock();
  insert into credits.accounts (id, user_id, daily_due_at, created_at)
  values (('x' || encode(substr(uuid_send(gen_random_uuid()), 9), 'hex'))::bit(64)::bigint & 9223372036854775807,
          p_user_id, v_now + interval '24 hours', v_now);
  perform credits.grant_signup_bonus(p_user_id, p_signup_bonus, p_bonus_key_digest);
end $$;
comment on function credits.open_account is
  'Opens the account of a new user, in the transaction that registers them. A bonus of 0 gives none: it is off, or waits until the address is verified.';

-- Balance --------------------------------------------------------------------------------

create function credits.load_balance(
  p_user_id text, p_daily_amount bigint, p_daily_expires_hours integer,
  out balance bigint, out free_remaining bigint, out held bigint, out total_earned bigint, out total_spent bigint)
  returns setof record
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  a credits.accounts;
  v_now timestamptz;
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  select t.* into a from credits.accounts t where t.user_id = p_user_id;
  if not found then
    return;
  end if;
  v_now := auth.clock();
  if credits.anything_due(a, v_now, p_daily_amount) then
    update credits.accounts t set seq = t.seq + 1 where t.id = a.id returning t.* into a;
    v_now := auth.clock();
    if credits.anything_due(a, v_now, p_daily_amount) then
      a := credits.settle(a, v_now, p_daily_amount, p_daily_expires_hours);
    end if;
    perform credits.give_back_seq(a.id);
  end if;
  -- One statement, so that all figures are of one moment.
  return query
    select coalesce(sum(g.remaining - g.held) filter (where g.usable), 0)::bigint,
           coalesce(sum(g.remaining - g.held) filter (where g.usable and g.kind in ('daily', 'signup', 'gift')), 0)::bigint,
           coalesce(sum(g.held), 0)::bigint,
           coalesce(max(l.earned_after), 0),
           coalesce(max(l.spent_after), 0)
      from (select 1) one
      left join (select c.kind, c.remaining, c.held, c.expires_at is null or c.expires_at > v_now as usable
                   from credits.credit_grants c where c.account_id = a.id and c.open) g on true
      left join (select e.earned_after, e.spent_after
                   from credits.entries e where e.account_id = a.id order by e.seq desc limit 1) l on true;
end $$;
comment on function credits.load_balance is
  'Settles what is due, then says what could be spent, what of it was free, what is held, and the totals. No row when there is no account.';

-- Use ------------------------------------------------------------------------------------

create type credits.charge as (
  outcome text, replayed boolean, available bigint, retry_after_secs integer,
  account_id bigint, seq bigint, amount bigint, balance_after bigint,
  app_id text, description text, metadata jsonb, created_at timestamptz);
comment on type credits.charge is 'What became of a charge, and its entry when there is one.';

create function credits.as_charge(
  p_outcome text, p_replayed boolean, p_available bigint, p_retry_after_secs integer, e credits.entries)
  returns credits.charge
  language sql immutable
  return row(p_outcome, p_replayed, p_available, p_retry_after_secs, e.account_id, e.seq, e.amount, e.balance_after,
             e.app_id, e.description, e.metadata, e.created_at)::credits.charge;

create function credits.use_credits(
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
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  update credits.accounts t set seq = t.seq + 1 where t.user_id = p_user_id returning t.* into a;
  if not found then
    return credits.as_charge('no_account', false, null, null, null);
  end if;
  v_now := auth.clock();
  -- Before anything else: a repeated request gets its answer whatever has happened since.
  select t.* into e from credits.entries t
   where t.account_id = a.id and t.key_scope = p_key_scope and t.idempotency_key = p_idempotency_key;
  if found then
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
  v_lots := credits.allocate(a.id, p_amount, v_now);
  if v_lots.available < p_amount then
    v_decline := credits.decline(a, 'usage', p_amount, v_lots.available, p_app_id, p_description, p_metadata,
                                 p_key_scope, p_idempotency_key, p_fingerprint, v_now);
    return credits.as_charge(v_decline.outcome, false, v_lots.available, v_decline.retry_after_secs, null);
  end if;
  insert into credits.entries as t
    (account_id, seq, kind, amount, system_account, system_delta, credit_grant_ids, deltas, available_after,
     app_id, description, metadata, key_scope, idempotency_key, fingerprint, created_at)
  values (a.id, a.seq, 'usage', p_amount, 'usage', p_amount, v_lots.credit_grant_ids, v_lots.deltas,
     v_lots.available - p_amount, p_app_id, p_description, p_metadata,
     case when p_idempotency_key is not null then p_key_scope end, p_idempotency_key,
     case when p_idempotency_key is not null then p_fingerprint end, v_now)
  returning t.* into e;
  return credits.as_charge('posted', false, e.available_after, null, e);
end $$;
comment on function credits.use_credits is
  'Spends credits, free ones first. outcome: posted, insufficient, key_reused, frozen, rate_limited, no_account.';

-- Reading --------------------------------------------------------------------------------

create function credits.list_transactions(p_user_id text, p_before_seq bigint, p_offset bigint, p_limit integer)
  returns table (account_id bigint, seq bigint, kind text, amount bigint, balance_after bigint,
                 app_id text, description text, metadata jsonb, created_at timestamptz)
  language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
declare
  v_account_id bigint;
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  select a.id into v_account_id from credits.accounts a where a.user_id = p_user_id;
  -- One account given by value: the primary key then delivers the rows in order.
  return query
    select e.account_id, e.seq, e.kind, -e.system_delta, e.balance_after, e.app_id, e.description, e.metadata, e.created_at
      from credits.entries e
     where e.account_id = v_account_id and e.seq < p_before_seq
       and e.status = 'posted' and e.kind not in ('hold', 'release')
     order by e.seq desc offset p_offset limit p_limit;
end $$;
comment on function credits.list_transactions is
  'What moved credits, newest first, read under row-level security; amounts as the user sees them, negative when spent.';

create function credits.list_purchases(p_user_id text, p_limit integer)
  returns table (id text, package_id text, credits bigint, price_cents bigint, currency text, status text,
                 created_at timestamptz, paid_at timestamptz)
  language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  return query
    select p.id, p.package_id, p.credits, p.price_cents, p.currency, p.status, p.created_at, p.paid_at
      from credits.accounts a join credits.purchases p on p.account_id = a.id
     where a.user_id = p_user_id
     order by p.created_at desc, p.id limit p_limit;
end $$;
comment on function credits.list_purchases is 'The purchases of the user, newest first, read under row-level security.';

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
  end loop;
end $$;

revoke execute on all functions in schema credits from public;
grant execute on function
  credits.open_account(text, bigint, bytea),
  credits.grant_signup_bonus(text, bigint, bytea),
  credits.load_balance(text, bigint, integer),
  credits.use_credits(text, bigint, text, text, jsonb, text, text, bytea, bigint, integer),
  credits.list_transactions(text, bigint, bigint, integer),
  credits.list_purchases(text, integer)
  to tollgate_app;
revoke create on schema credits from tollgate_definer;

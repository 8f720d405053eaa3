-- Holds: credits set aside for a request that is under way, then captured or given back.

grant create on schema credits to tollgate_definer; -- taken back at the end of this file

create type credits.held as (
  outcome text, replayed boolean, available bigint, retry_after_secs integer,
  id text, amount bigint, captured bigint, status text, app_id text, created_at timestamptz, expires_at timestamptz,
  account_id bigint, seq bigint, charged bigint, balance_after bigint, description text, charged_at timestamptz);
comment on type credits.held is
  'What became of an operation on a hold, the hold as it is after that, and the entry of the operation.';

create function credits.as_held(
  p_outcome text, p_replayed boolean, p_available bigint, p_retry_after_secs integer, h credits.holds, e credits.entries)
  returns credits.held
  language sql immutable
  return row(p_outcome, p_replayed, p_available, p_retry_after_secs,
             h.id, h.amount, e.hold_captured, e.hold_status, h.app_id, h.created_at, h.expires_at,
             e.account_id, e.seq, e.amount, e.balance_after, e.description, e.created_at)::credits.held;

create function credits.replay_hold(e credits.entries, p_kind text, p_fingerprint bytea) returns credits.held
  language plpgsql volatile as $$
declare
  h credits.holds;
begin
  perform credits.give_back_seq(e.account_id);
  if e.fingerprint is distinct from p_fingerprint or e.kind <> p_kind then
    return credits.as_held('key_reused', true, null, null, null, null);
  end if;
  if e.status = 'declined' then
    return credits.as_held('insufficient', true, e.available_after, null, null, null);
  end if;
  select t.* into h from credits.holds t where t.account_id = e.account_id and t.id = e.hold_id;
  return credits.as_held('done', true, null, null, h, e);
end $$;
comment on function credits.replay_hold is 'The answer given before, with the hold as it was then.';

create function credits.place_hold(
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
  v_lots := credits.allocate(a.id, p_amount, v_now);
  if v_lots.available < p_amount then
    v_decline := credits.decline(a, 'hold', p_amount, v_lots.available, p_app_id, p_description, null,
                                 p_key_scope, p_idempotency_key, p_fingerprint, v_now);
    return credits.as_held(v_decline.outcome, false, v_lots.available, v_decline.retry_after_secs, null, null);
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
  'Sets credits aside. outcome: done, insufficient, key_reused, frozen, too_many_holds, rate_limited, no_account.';

create function credits.load_open_hold(
  p_account_id bigint, p_hold_id text, p_principal text, out outcome text, out hold credits.holds)
  language plpgsql volatile as $$
begin
  select t.* into hold from credits.holds t
   where t.account_id = p_account_id and t.id = p_hold_id
     and (t.placed_by = p_principal
          or exists (select from auth.service_credentials c
                      where 'service:' || c.id = p_principal and c.app_id = t.app_id and c.revoked_at is null));
  outcome := case when not found then 'no_hold' when hold.status <> 'open' then 'not_open' end;
end $$;
comment on function credits.load_open_hold is
  'The hold, if it is open and was placed by this principal or is for the app whose service asks; otherwise the outcome that says why not.';

create function credits.end_hold(h credits.holds, p_captured bigint, p_status text, p_now timestamptz) returns void
  language plpgsql volatile as $$
begin
  update credits.holds t
     set status = p_status, captured = p_captured, credit_grant_ids = '{}', reserved = '{}', ended_at = p_now
   where t.account_id = h.account_id and t.id = h.id;
  -- A lot may have lapsed under the hold: what came free of it lapses at the next occasion.
  update credits.accounts a
     set n_open_holds = a.n_open_holds - 1, lapse_due_at = credits.next_lapse(a.id)
   where a.id = h.account_id;
end $$;

create function credits.capture_legs(
  h credits.holds, p_amount bigint, p_final boolean,
  out credit_grant_ids integer[], out deltas bigint[], out held_deltas bigint[],
  out left_ids integer[], out left_reserved bigint[])
  language plpgsql immutable as $$
declare
  v_left bigint := p_amount;
  v_taken bigint;
  v_freed bigint;
begin
  credit_grant_ids := '{}'; deltas := '{}'; held_deltas := '{}'; left_ids := '{}'; left_reserved := '{}';
  for i in 1 .. cardinality(h.reserved) loop
    v_taken := least(h.reserved[i], v_left);
    v_freed := case when p_final then h.reserved[i] else v_taken end;
    v_left := v_left - v_taken;
    if v_freed > 0 then
      credit_grant_ids := credit_grant_ids || h.credit_grant_ids[i];
      deltas := deltas || -v_taken;
      held_deltas := held_deltas || -v_freed;
    end if;
    if h.reserved[i] > v_freed then
      left_ids := left_ids || h.credit_grant_ids[i];
      left_reserved := left_reserved || h.reserved[i] - v_freed;
    end if;
  end loop;
end $$;
comment on function credits.capture_legs is
  'Which lots a capture spends, in the order they were reserved, what it no longer holds of them, and what stays reserved.';

create function credits.capture_hold(
  p_user_id text, p_hold_id text, p_amount bigint, p_final boolean,
  p_key_scope text, p_idempotency_key text, p_fingerprint bytea,
  p_daily_amount bigint, p_daily_expires_hours integer)
  returns credits.held
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  a credits.accounts;
  h credits.holds;
  e credits.entries;
  v_now timestamptz;
  v_found record;
  v_legs record;
  v_amount bigint;
  v_ends boolean;
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
    return credits.replay_hold(e, 'usage', p_fingerprint);
  end if;
  -- A frozen account spends nothing new; what was promised before is still paid.
  if credits.anything_due(a, v_now, p_daily_amount) then
    a := credits.settle(a, v_now, p_daily_amount, p_daily_expires_hours);
  end if;
  v_found := credits.load_open_hold(a.id, p_hold_id, p_key_scope);
  h := v_found.hold;
  v_amount := coalesce(p_amount, h.amount - h.captured);
  if v_found.outcome is not null or v_amount > h.amount - h.captured then
    perform credits.give_back_seq(a.id);
    return credits.as_held(coalesce(v_found.outcome, 'exceeds_hold'), false, null, null, null, null);
  end if;
  v_ends := p_final or v_amount = h.amount - h.captured;
  v_legs := credits.capture_legs(h, v_amount, v_ends);
  insert into credits.entries as t
    (account_id, seq, kind, amount, system_account, system_delta, credit_grant_ids, deltas, held_deltas,
     app_id, description, hold_id, hold_status, hold_captured, key_scope, idempotency_key, fingerprint, created_at)
  values (a.id, a.seq, 'usage', v_amount, 'usage', v_amount, v_legs.credit_grant_ids, v_legs.deltas, v_legs.held_deltas,
     h.app_id, h.description, h.id,
     case when v_ends then 'captured' else 'open' end, h.captured + v_amount,
     p_key_scope, p_idempotency_key, p_fingerprint, v_now)
  returning t.* into e;
  if v_ends then
    perform credits.end_hold(h, h.captured + v_amount, 'captured', v_now);
  else
    update credits.holds t
       set captured = t.captured + v_amount, credit_grant_ids = v_legs.left_ids, reserved = v_legs.left_reserved
     where t.account_id = h.account_id and t.id = h.id;
  end if;
  return credits.as_held('done', false, null, null, h, e);
end $$;
comment on function credits.capture_hold is
  'Spends of a hold, all that is left when no amount is given; a final capture releases the rest. outcome: done, key_reused, no_hold, not_open, exceeds_hold, no_account.';

create function credits.release_hold(
  p_user_id text, p_hold_id text, p_key_scope text, p_idempotency_key text, p_fingerprint bytea,
  p_daily_amount bigint, p_daily_expires_hours integer)
  returns credits.held
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  a credits.accounts;
  h credits.holds;
  e credits.entries;
  v_now timestamptz;
  v_found record;
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
    return credits.replay_hold(e, 'release', p_fingerprint);
  end if;
  if credits.anything_due(a, v_now, p_daily_amount) then
    a := credits.settle(a, v_now, p_daily_amount, p_daily_expires_hours);
  end if;
  v_found := credits.load_open_hold(a.id, p_hold_id, p_key_scope);
  h := v_found.hold;
  if v_found.outcome is not null then
    perform credits.give_back_seq(a.id);
    return credits.as_held(v_found.outcome, false, null, null, null, null);
  end if;
  insert into credits.entries as t
    (account_id, seq, kind, amount, credit_grant_ids, held_deltas, app_id, description,
     hold_id, hold_status, hold_captured, key_scope, idempotency_key, fingerprint, created_at)
  values (a.id, a.seq, 'release', h.amount - h.captured, h.credit_grant_ids, credits.negated(h.reserved),
     h.app_id, h.description, h.id, 'released', h.captured, p_key_scope, p_idempotency_key, p_fingerprint, v_now)
  returning t.* into e;
  perform credits.end_hold(h, h.captured, 'released', v_now);
  return credits.as_held('done', false, null, null, h, e);
end $$;
comment on function credits.release_hold is
  'Gives back what is left of a hold. outcome: done, key_reused, no_hold, not_open, no_account.';

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
  credits.place_hold(text, text, bigint, text, text, integer, text, text, bytea, bigint, integer),
  credits.capture_hold(text, text, bigint, boolean, text, text, bytea, bigint, integer),
  credits.release_hold(text, text, text, text, bytea, bigint, integer)
  to tollgate_app;
revoke create on schema credits from tollgate_definer;

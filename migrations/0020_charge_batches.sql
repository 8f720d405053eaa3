-- Charges that wait at the same moment share one transaction: the price of a commit is paid once.

grant create on schema credits to tollgate_definer; -- taken back at the end of this file

create function credits.charge_ordinary(
  p_user_ids text[], p_amounts bigint[], p_app_ids text[], p_descriptions text[], p_metadata jsonb[],
  p_key_scopes text[], p_idempotency_keys text[], p_fingerprints bytea[], p_daily_amount bigint, p_obtained text[])
  returns credits.charge[]
  language plpgsql volatile as $$
declare
  v_now constant timestamptz := auth.clock();
  v_once constant text[] := array(select u from unnest(p_user_ids) u where u = any (p_obtained) group by u having count(*) = 1);
  v_places integer[];
  v_account_ids bigint[];
  v_seqs bigint[];
  v_charges credits.charge[] := array_fill(null::credits.charge, array[cardinality(p_user_ids)]);
  c credits.charge;
begin
  -- On behalf of many, so that nothing can be read as one of them.
  perform set_config('tollgate.user_id', '', true);
  -- Whatever use_credits would look at a second time is left to it.
  with ordinary as (
    update credits.accounts a set seq = a.seq + 1
      from unnest(p_user_ids) with ordinality r (user_id, place)
     where a.user_id = r.user_id and a.user_id = any (v_once)
       and a.n_freezes = 0 and a.n_spend_limits = 0 and not credits.anything_due(a, v_now, p_daily_amount)
       and not exists (select from auth.apps l
                        where l.id = p_app_ids[r.place]
                          and (l.spend_limit_day is not null or l.spend_limit_month is not null))
       and not exists (select from credits.entries e
                        where e.account_id = a.id and e.key_scope = p_key_scopes[r.place]
                          and e.idempotency_key = p_idempotency_keys[r.place])
    returning r.place::integer as place, a.id, a.seq)
  select array_agg(o.place), array_agg(o.id), array_agg(o.seq) into v_places, v_account_ids, v_seqs from ordinary o;
  for c in
    with posted as (
      insert into credits.entries as t
        (account_id, seq, kind, amount, system_account, system_delta, credit_grant_ids, deltas, available_after,
         app_id, description, metadata, key_scope, idempotency_key, fingerprint, created_at)
      select o.account_id, o.seq, 'usage', p_amounts[o.place], 'usage', p_amounts[o.place], l.credit_grant_ids, l.deltas,
             l.available - p_amounts[o.place], p_app_ids[o.place], p_descriptions[o.place], p_metadata[o.place],
             case when p_idempotency_keys[o.place] is not null then p_key_scopes[o.place] end, p_idempotency_keys[o.place],
             case when p_idempotency_keys[o.place] is not null then p_fingerprints[o.place] end, v_now
        from unnest(v_places, v_account_ids, v_seqs) o (place, account_id, seq),
             lateral credits.allocate(o.account_id, p_amounts[o.place], v_now) l
       where l.available >= p_amounts[o.place]
      returning t.*)
    select 'posted', false, p.available_after, null, p.account_id, p.seq, p.amount, p.balance_after,
           p.app_id, p.description, p.metadata, p.created_at from posted p
  loop
    v_charges[v_places[array_position(v_account_ids, c.account_id)]] := c;
    v_account_ids := array_replace(v_account_ids, c.account_id, null);
  end loop;
  -- Those that have too little.
  update credits.accounts a set seq = a.seq - 1 where a.id = any (v_account_ids);
  return v_charges;
end $$;
comment on function credits.charge_ordinary is
  'Posts in a few statements, for all accounts at once, the charges of which nothing is to be said: the only one of its account, not seen before, nothing due, no limit, enough credits. Null in the place of any other, which is left as it was.';

create function credits.use_credits_batch(
  p_user_ids text[], p_amounts bigint[], p_app_ids text[], p_descriptions text[], p_metadata jsonb[],
  p_key_scopes text[], p_idempotency_keys text[], p_fingerprints bytea[],
  p_daily_amount bigint, p_daily_expires_hours integer)
  returns setof credits.charge
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set lock_timeout = '500ms' as $$
declare
  -- Those posted together take one savepoint and each other charge one of its own, and past 64
  -- of them other sessions must look up on disk which of them were committed.
  c_max_charges constant integer := 60;
  v_obtained text[];
  v_charges credits.charge[];
begin
  if cardinality(p_user_ids) > c_max_charges then
    raise exception 'a batch has at most % charges', c_max_charges using errcode = 'program_limit_exceeded';
  end if;
  -- In one order, and passing over what somebody else holds: a batch waits for nobody, so that
  -- neither a deadlock nor one busy account keeps the others.
  select coalesce(array_agg(l.user_id), '{}') into v_obtained
    from (select a.user_id from credits.accounts a
           where a.user_id = any (p_user_ids) order by a.id for no key update skip locked) l;
  begin
    v_charges := credits.charge_ordinary(p_user_ids, p_amounts, p_app_ids, p_descriptions, p_metadata,
      p_key_scopes, p_idempotency_keys, p_fingerprints, p_daily_amount, v_obtained);
  exception when others then
    -- One of them raised and undid all; below it does so for itself alone.
    v_charges := '{}';
  end;
  for i in 1 .. cardinality(p_user_ids) loop
    if (v_charges[i]).outcome is not null then
      return next v_charges[i];
    elsif p_user_ids[i] <> all (v_obtained) then
      return next credits.as_charge('alone', false, null, null, null);
    else
      begin
        return next credits.use_credits(
          p_user_ids[i], p_amounts[i], p_app_ids[i], p_descriptions[i], p_metadata[i],
          p_key_scopes[i], p_idempotency_keys[i], p_fingerprints[i], p_daily_amount, p_daily_expires_hours);
      exception when others then
        -- Its error is its own: the caller sends it alone and hears it there.
        return next credits.as_charge('alone', false, null, null, null);
      end;
    end if;
  end loop;
end $$;
comment on function credits.use_credits_batch is
  'Charges in the order given, each as credits.use_credits would and independent of the others. outcome also: alone (to be sent alone; nothing was done).';

alter function credits.charge_ordinary(text[], bigint[], text[], text[], jsonb[], text[], text[], bytea[], bigint, text[])
  owner to tollgate_definer;
revoke execute on function credits.charge_ordinary(text[], bigint[], text[], text[], jsonb[], text[], text[], bytea[], bigint, text[])
  from public;
alter function credits.use_credits_batch(text[], bigint[], text[], text[], jsonb[], text[], text[], bytea[], bigint, integer)
  owner to tollgate_definer;
revoke execute on function credits.use_credits_batch(text[], bigint[], text[], text[], jsonb[], text[], text[], bytea[], bigint, integer)
  from public;
grant execute on function credits.use_credits_batch(text[], bigint[], text[], text[], jsonb[], text[], text[], bytea[], bigint, integer)
  to tollgate_app;
revoke create on schema credits from tollgate_definer;

-- Charges that wait at the same moment share one transaction: the price of a commit is paid once.

grant create on schema credits to tollgate_definer; -- taken back at the end of this file

create function credits.use_credits_batch(
  p_user_ids text[], p_amounts bigint[], p_app_ids text[], p_descriptions text[], p_metadata jsonb[],
  p_key_scopes text[], p_idempotency_keys text[], p_fingerprints bytea[],
  p_daily_amount bigint, p_daily_expires_hours integer)
  returns setof credits.charge
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set lock_timeout = '500ms' as $$
declare
  -- Each charge takes a savepoint, and past 64 of them other sessions must look up on disk
  -- which of them were committed.
  c_max_charges constant integer := 60;
  v_obtained text[];
begin
  if cardinality(p_user_ids) > c_max_charges then
    raise exception 'a batch has at most % charges', c_max_charges using errcode = 'program_limit_exceeded';
  end if;
  -- In one order, and passing over what somebody else holds: a batch waits for nobody, so that
  -- neither a deadlock nor one busy account keeps the others.
  select coalesce(array_agg(l.user_id), '{}') into v_obtained
    from (select a.user_id from credits.accounts a
           where a.user_id = any (p_user_ids) order by a.id for no key update skip locked) l;
  for i in 1 .. cardinality(p_user_ids) loop
    if p_user_ids[i] <> all (v_obtained) then
      return next credits.as_charge('alone', false, null, null, null);
      continue;
    end if;
    begin
      return next credits.use_credits(
        p_user_ids[i], p_amounts[i], p_app_ids[i], p_descriptions[i], p_metadata[i],
        p_key_scopes[i], p_idempotency_keys[i], p_fingerprints[i], p_daily_amount, p_daily_expires_hours);
    exception when others then
      -- Its error is its own: the caller sends it alone and hears it there.
      return next credits.as_charge('alone', false, null, null, null);
    end;
  end loop;
end $$;
comment on function credits.use_credits_batch is
  'Charges in the order given, each as credits.use_credits would and independent of the others. outcome also: alone (to be sent alone; nothing was done).';

alter function credits.use_credits_batch(text[], bigint[], text[], text[], jsonb[], text[], text[], bytea[], bigint, integer)
  owner to tollgate_definer;
revoke execute on function credits.use_credits_batch(text[], bigint[], text[], text[], jsonb[], text[], text[], bytea[], bigint, integer)
  from public;
grant execute on function credits.use_credits_batch(text[], bigint[], text[], text[], jsonb[], text[], text[], bytea[], bigint, integer)
  to tollgate_app;
revoke create on schema credits from tollgate_definer;

-- Where purchases and gifts meet.

grant create on schema credits to tollgate_definer; -- taken back at the end of this file

create or replace function credits.next_lapse(p_account_id bigint) returns timestamptz
  language plpgsql volatile as $$
begin
  -- Whoever owes may get credits of that purchase back from a hold, a refund or a gift: each operation looks.
  if credits.debt_of(p_account_id) > 0 then
    return '-infinity';
  end if;
  return least(
    coalesce((select min(g.expires_at) from credits.credit_grants g
               where g.account_id = p_account_id and g.open and g.remaining > g.held), 'infinity'),
    coalesce((select min(h.expires_at) from credits.holds h
               where h.account_id = p_account_id and h.status = 'open'), 'infinity'),
    coalesce((select min(t.expires_at) from credits.gifts t
               where t.giver_account_id = p_account_id and t.status = 'waiting'), 'infinity'));
end $$;

create or replace function credits.claw_back(p credits.purchases, p_amount bigint, p_now timestamptz) returns void
  language plpgsql volatile as $$
declare
  v_own record;
  v_given record;
  v_left bigint := p_amount;
  v_account_id bigint;
begin
  v_own := credits.free_of_purchase(p.account_id, p.id, v_left);
  if v_own.taken < v_left and credits.take_back_gifts_of_purchase(p.account_id, p.id, p_now) > 0 then
    -- What nobody has redeemed is still the buyer's.
    v_own := credits.free_of_purchase(p.account_id, p.id, v_left);
  end if;
  v_left := v_left - v_own.taken;
  -- What was given away is followed.
  for v_account_id in
    select distinct g.account_id from credits.credit_grants g
     where g.purchase_account_id = p.account_id and g.purchase_id = p.id and g.account_id <> p.account_id and g.open
     order by g.account_id
  loop
    v_given := credits.free_of_purchase(v_account_id, p.id, v_left);
    if v_given.taken > 0 then
      perform credits.move_purchase(v_account_id, p.id, v_given.credit_grant_ids, v_given.deltas, 0, p_now);
      v_left := v_left - v_given.taken;
    end if;
  end loop;
  -- What is spent or held by now is owed by whoever bought it.
  if v_own.taken > 0 or v_left > 0 then
    perform credits.move_purchase(p.account_id, p.id, v_own.credit_grant_ids, v_own.deltas, v_left, p_now);
  end if;
end $$;
comment on function credits.claw_back is
  'Takes credits of a purchase back: from its buyer, gifts that wait included, then from those they were given to; the rest becomes a debt of the buyer.';

create or replace function credits.reconcile() returns table (problem text, account_id bigint, subject text, found text, expected text)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', '', true);
  return query select * from credits.reconcile_entries();
  return query select * from credits.reconcile_lots();
  return query select * from credits.reconcile_accounts();
  return query select * from credits.reconcile_purchases();
  return query select * from credits.reconcile_refunds();
  return query select * from credits.reconcile_gifts();
  return query select * from credits.reconcile_usage();
end $$;

revoke create on schema credits from tollgate_definer;

-- Reconciliation: recomputes every account from its entries and names what differs.
--
-- The constraints and triggers refuse what the issuer could do wrong. Whoever owns the tables
-- can switch them off, and a disk can rot: this finds it. No row means that all is well.

grant create on schema credits to tollgate_definer; -- taken back at the end of this file

-- Legs of all entries, one row for each lot that an entry moved.
create view credits.legs with (security_invoker = true) as
  select e.account_id, e.seq, l.credit_grant_id, coalesce(l.delta, 0) as delta, coalesce(l.held_delta, 0) as held_delta
    from credits.entries e
   cross join unnest(e.credit_grant_ids, e.deltas, e.held_deltas) l (credit_grant_id, delta, held_delta);
comment on view credits.legs is 'What each entry did to each lot.';

create function credits.reconcile_entries() returns table (problem text, account_id bigint, subject text, found text, expected text)
  language plpgsql volatile as $$
begin
  return query
    select 'entry_missing', a.id, 'entries', count(e.seq)::text || ' up to ' || coalesce(max(e.seq), 0), a.seq::text
      from credits.accounts a left join credits.entries e on e.account_id = a.id
     group by a.id, a.seq having count(e.seq) <> a.seq or coalesce(max(e.seq), 0) <> a.seq;
  return query
    select 'entry_unbalanced', e.account_id, 'entry ' || e.seq, e.system_delta::text, (-credits.sum_of(e.deltas))::text
      from credits.entries e where e.system_delta <> -credits.sum_of(e.deltas);
  return query
    select 'entry_malformed', e.account_id, 'entry ' || e.seq, e.kind || ' ' || e.status, 'legs and amount that fit the kind'
      from credits.entries e
     where (case
              when e.status = 'declined' then cardinality(e.credit_grant_ids) = 0
              when e.kind = 'usage' then e.system_account = 'usage' and e.amount = e.system_delta
              when e.kind in ('hold', 'release') then e.system_account is null and e.amount = abs(credits.sum_of(e.held_deltas))
              when e.kind in ('purchase', 'bonus', 'daily') then e.amount = -e.system_delta
              when e.kind = 'expiry' then e.amount = e.system_delta
              else true end) is not true;
  return query
    select 'total_differs', t.account_id, 'entry ' || t.seq, t.stored::text, t.summed::text
      from (select e.account_id, e.seq,
                   array[e.balance_after, e.earned_after, e.spent_after, e.debt_after]::numeric[] as stored,
                   array[-sum(e.system_delta) over w,
                         sum(case when e.system_account in ('sales', 'promotion', 'gift_escrow', 'adjustment')
                                  then greatest(-e.system_delta, 0) else 0 end) over w,
                         sum(case e.system_account when 'usage' then e.system_delta else 0 end) over w,
                         sum(e.debt_delta) over w] as summed
              from credits.entries e window w as (partition by e.account_id order by e.seq)) t
     where t.stored <> t.summed;
  return query
    select 'key_repeated', e.account_id, e.key_scope || ' ' || e.idempotency_key, count(*)::text, '1'
      from credits.entries e where e.idempotency_key is not null
     group by e.account_id, e.key_scope, e.idempotency_key having count(*) > 1;
end $$;

create function credits.reconcile_lots() returns table (problem text, account_id bigint, subject text, found text, expected text)
  language plpgsql volatile as $$
begin
  return query
    select 'lot_differs', coalesce(g.account_id, l.account_id), 'lot ' || coalesce(g.id, l.credit_grant_id),
           g.remaining || ' and ' || g.held || ' held', coalesce(l.remaining, 0) || ' and ' || coalesce(l.held, 0) || ' held'
      from credits.credit_grants g
      full join (select t.account_id, t.credit_grant_id, sum(t.delta) as remaining, sum(t.held_delta) as held
                   from credits.legs t group by 1, 2) l
        on l.account_id = g.account_id and l.credit_grant_id = g.id
     where g.remaining is distinct from coalesce(l.remaining, 0) or g.held is distinct from coalesce(l.held, 0);
  return query
    select 'lot_negative', t.account_id, 'lot ' || t.credit_grant_id || ' at entry ' || t.seq, t.remaining::text, '0 or more'
      from (select l.account_id, l.credit_grant_id, l.seq,
                   sum(l.delta) over (partition by l.account_id, l.credit_grant_id order by l.seq) as remaining
              from credits.legs l) t
     where t.remaining < 0;
  return query
    select 'held_differs', g.account_id, 'lot ' || g.id, g.held::text, coalesce(h.reserved, 0)::text
      from credits.credit_grants g
      left join (select o.account_id, r.credit_grant_id, sum(r.reserved) as reserved
                   from credits.holds o cross join unnest(o.credit_grant_ids, o.reserved) r (credit_grant_id, reserved)
                  group by 1, 2) h on h.account_id = g.account_id and h.credit_grant_id = g.id
     where g.held <> coalesce(h.reserved, 0);
end $$;

create function credits.reconcile_accounts() returns table (problem text, account_id bigint, subject text, found text, expected text)
  language plpgsql volatile as $$
begin
  return query
    select 'hold_differs', h.account_id, 'hold ' || h.id,
           h.captured || ' of ' || h.amount || ' ' || h.status,
           coalesce(sum(e.amount) filter (where e.kind = 'usage'), 0) || ' of '
             || coalesce(sum(e.amount) filter (where e.kind = 'hold'), 0) || ' '
             || coalesce((array_agg(e.hold_status order by e.seq desc))[1], 'absent')
      from credits.holds h left join credits.entries e on e.account_id = h.account_id and e.hold_id = h.id
     group by h.account_id, h.id
    having h.captured <> coalesce(sum(e.amount) filter (where e.kind = 'usage'), 0)
        or h.amount <> coalesce(sum(e.amount) filter (where e.kind = 'hold'), 0)
        or h.status is distinct from (array_agg(e.hold_status order by e.seq desc))[1];
  return query
    select 'count_differs', a.id, 'open holds and freezes',
           a.n_open_holds || ' and ' || a.n_freezes, h.n || ' and ' || f.n
      from credits.accounts a
     cross join lateral (select count(*) as n from credits.holds o where o.account_id = a.id and o.status = 'open') h
     cross join lateral (select count(*) as n from credits.freezes o where o.account_id = a.id and o.lifted_at is null) f
     where a.n_open_holds <> h.n or a.n_freezes <> f.n;
  return query
    select 'lapse_missed', a.id, 'lapse_due_at', a.lapse_due_at::text, credits.next_lapse(a.id)::text
      from credits.accounts a where a.lapse_due_at > credits.next_lapse(a.id);
end $$;

create function credits.reconcile() returns table (problem text, account_id bigint, subject text, found text, expected text)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', '', true);
  return query select * from credits.reconcile_entries();
  return query select * from credits.reconcile_lots();
  return query select * from credits.reconcile_accounts();
end $$;
comment on function credits.reconcile is
  'Recomputes every account from its entries; one row for each thing that is not as they say. Reads in several statements: run it in a repeatable read transaction while the ledger is in use.';

grant select on credits.legs to tollgate_definer;
alter function credits.reconcile_entries() owner to tollgate_definer;
alter function credits.reconcile_lots() owner to tollgate_definer;
alter function credits.reconcile_accounts() owner to tollgate_definer;
alter function credits.reconcile() owner to tollgate_definer;
revoke execute on function credits.reconcile_entries(), credits.reconcile_lots(), credits.reconcile_accounts(),
  credits.reconcile() from public;
grant execute on function credits.reconcile() to tollgate_app;
revoke create on schema credits from tollgate_definer;

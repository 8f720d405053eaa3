-- Usage by app and time, history with filters, and reconciliation of all that was added.

grant create on schema credits to tollgate_definer; -- taken back at the end of this file

-- Usage: tables -----------------------------------------------------------------------------

create table credits.usage_hours (
  account_id bigint      not null,
  hour       timestamptz not null,
  app_id     text        not null,
  n_charges  bigint      not null,
  spent      bigint      not null,
  refunded   bigint      not null,
  constraint usage_hours_pkey primary key (account_id, hour, app_id),
  constraint usage_hours_account_fkey foreign key (account_id) references credits.accounts (id),
  constraint usage_hours_not_negative check (n_charges >= 0 and spent >= 0 and refunded >= 0)
) with (fillfactor = 80);
comment on table credits.usage_hours is 'Usage by hour, summed up from the entries up to usage_progress.seq.';

create table credits.usage_progress (
  account_id bigint not null,
  seq        bigint not null,
  constraint usage_progress_pkey primary key (account_id),
  constraint usage_progress_account_fkey foreign key (account_id) references credits.accounts (id)
) with (fillfactor = 80);
comment on table credits.usage_progress is
  'Up to which entry an account is summed up. Entries of an account become visible in the order of their numbers, so that the sums and the entries after this one are always all there is.';

create table credits.usage_rollup (
  singleton  bigint      not null default 1,
  scanned_to timestamptz not null default '-infinity',
  constraint usage_rollup_pkey primary key (singleton),
  constraint usage_rollup_single check (singleton = 1)
);
insert into credits.usage_rollup default values;
comment on table credits.usage_rollup is
  'Where to look for accounts with new entries. Only saves work: what is overlooked is read from the entries themselves.';

-- Entries are appended in the order of time: a few pages of summary find those of an hour.
create index entries_time on credits.entries using brin (created_at) with (pages_per_range = 32, autosummarize = on);

do $$
declare
  v_table text;
begin
  foreach v_table in array array['usage_hours', 'usage_progress'] loop
    execute format('alter table credits.%I enable row level security', v_table);
    execute format('alter table credits.%I force row level security', v_table);
    execute format('create policy %I on credits.%I to tollgate_definer using (true) with check (true)',
      v_table || '_definer', v_table);
    execute format('create policy %I on credits.%I for select to tollgate_app using (%s)',
      v_table || '_own', v_table, 'account_id = any ((select credits.current_account_ids())::bigint[])');
    execute format('grant select on credits.%I to tollgate_app', v_table);
    execute format('grant select, insert, update on credits.%I to tollgate_definer', v_table);
  end loop;
end $$;
grant select, update on credits.usage_rollup to tollgate_definer;

-- Usage: summing up and reading ----------------------------------------------------------------

create function credits.hour_of(p_at timestamptz) returns timestamptz
  language sql immutable strict parallel safe
  return date_trunc('hour', p_at at time zone 'UTC') at time zone 'UTC';

create function credits.sum_up_usage(p_account_ids bigint[]) returns void
  language plpgsql volatile as $$
begin
  with tail as (
    select e.account_id, e.seq, e.app_id, e.kind, e.amount, e.system_account, credits.hour_of(e.created_at) as hour
      from unnest(p_account_ids) t (account_id)
      left join credits.usage_progress p on p.account_id = t.account_id
      join credits.entries e on e.account_id = t.account_id and e.seq > coalesce(p.seq, 0)
  ), summed as (
    insert into credits.usage_hours as u (account_id, hour, app_id, n_charges, spent, refunded)
    select t.account_id, t.hour, t.app_id, count(*) filter (where t.kind = 'usage'),
           coalesce(sum(t.amount) filter (where t.kind = 'usage'), 0),
           coalesce(sum(t.amount) filter (where t.kind = 'refund'), 0)
      from tail t where t.system_account = 'usage' and t.app_id is not null
     group by t.account_id, t.hour, t.app_id
    on conflict on constraint usage_hours_pkey do update
      set n_charges = u.n_charges + excluded.n_charges, spent = u.spent + excluded.spent,
          refunded = u.refunded + excluded.refunded
  )
  insert into credits.usage_progress as p (account_id, seq)
  select t.account_id, max(t.seq) from tail t group by t.account_id
  on conflict on constraint usage_progress_pkey do update set seq = excluded.seq;
end $$;
comment on function credits.sum_up_usage is 'Adds what is new to the sums, in one statement and so of one moment. Only whoever holds the row of usage_rollup may.';

create function credits.roll_up_usage(p_limit integer) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- One step looks at so much time, so that an issuer that was away does not read it all at once.
  c_step constant interval := interval '1 hour';
  -- An entry's time is taken a moment before others can see it.
  c_overlap constant interval := interval '1 minute';
  v_from timestamptz;
  v_to timestamptz;
  v_now timestamptz;
  v_account_ids bigint[];
begin
  perform set_config('tollgate.user_id', '', true);
  select r.scanned_to into v_from from credits.usage_rollup r for update skip locked;
  if not found then
    return false;
  end if;
  v_now := auth.clock();
  if v_from = '-infinity' then
    select coalesce(min(e.created_at), v_now) into v_from from credits.entries e;
  end if;
  v_to := least(v_from + c_step, v_now);
  v_account_ids := array(
    select distinct e.account_id from credits.entries e
      left join credits.usage_progress p on p.account_id = e.account_id
     where e.created_at >= v_from - c_overlap and e.created_at <= v_to and e.seq > coalesce(p.seq, 0)
     order by e.account_id limit p_limit);
  perform credits.sum_up_usage(v_account_ids);
  if cardinality(v_account_ids) < p_limit then
    update credits.usage_rollup set scanned_to = v_to;
  end if;
  return cardinality(v_account_ids) = p_limit or v_to < v_now;
end $$;
comment on function credits.roll_up_usage is 'One step of summing up; says whether there is more to do. One issuer at a time, the others do nothing.';

create function credits.list_usage(
  p_user_id text, p_by_app boolean, p_bucket text, p_from timestamptz, p_to timestamptz,
  p_after_start timestamptz, p_after_app text, p_limit integer)
  returns table (app_id text, starts_at timestamptz, n_charges bigint, spent bigint, refunded bigint)
  language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
declare
  v_account_id bigint;
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  select a.id into v_account_id from credits.accounts a where a.user_id = p_user_id;
  -- Sums and the entries after them in one statement, so that none is missed or counted twice.
  return query
    select g.app_id, g.starts_at, sum(g.n_charges)::bigint, sum(g.spent)::bigint, sum(g.refunded)::bigint
      from (
        select case when p_by_app then t.app_id end as app_id,
               case when p_bucket is not null then date_trunc(p_bucket, t.hour at time zone 'UTC') at time zone 'UTC' end as starts_at,
               t.n_charges, t.spent, t.refunded
          from (
            select u.hour, u.app_id, u.n_charges, u.spent, u.refunded from credits.usage_hours u
             where u.account_id = v_account_id and u.hour >= p_from and u.hour < p_to
            union all
            select credits.hour_of(e.created_at), e.app_id, (e.kind = 'usage')::integer,
                   case e.kind when 'usage' then e.amount else 0 end, case e.kind when 'refund' then e.amount else 0 end
              from credits.entries e
             where e.account_id = v_account_id and e.system_account = 'usage' and e.app_id is not null
               and e.seq > coalesce((select p.seq from credits.usage_progress p where p.account_id = v_account_id), 0)
               and e.created_at >= p_from and e.created_at < p_to) t) g
     where (p_after_start is null or g.starts_at < p_after_start or (g.starts_at = p_after_start and g.app_id > p_after_app))
       and (p_bucket is not null or p_after_app is null or g.app_id > p_after_app)
     group by g.app_id, g.starts_at
     order by g.starts_at desc, g.app_id
     limit p_limit;
end $$;
comment on function credits.list_usage is
  'Usage of the user by app, by hour or day, or by both; newest first, then by app. Read under row-level security.';

-- History ------------------------------------------------------------------------------------------

drop function credits.list_transactions(text, bigint, bigint, integer);
create function credits.list_transactions(
  p_user_id text, p_before_seq bigint, p_offset bigint, p_limit integer,
  p_kind text, p_app_id text, p_from timestamptz, p_to timestamptz)
  returns table (account_id bigint, seq bigint, kind text, amount bigint, balance_after bigint,
                 app_id text, description text, metadata jsonb, created_at timestamptz)
  language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
declare
  v_account_id bigint;
  v_first bigint := 1;
  v_before bigint := p_before_seq;
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  select a.id into v_account_id from credits.accounts a where a.user_id = p_user_id;
  if p_from is not null then
    v_first := credits.first_seq_since(v_account_id, p_from);
  end if;
  if p_to is not null then
    v_before := least(v_before, credits.first_seq_since(v_account_id, p_to));
  end if;
  -- One account given by value: the primary key then delivers the rows in order.
  return query
    select e.account_id, e.seq, e.kind, -e.system_delta, e.balance_after, e.app_id, e.description, e.metadata, e.created_at
      from credits.entries e
     where e.account_id = v_account_id and e.seq >= v_first and e.seq < v_before
       and e.status = 'posted' and e.kind not in ('hold', 'release')
       and (p_kind is null or e.kind = p_kind) and (p_app_id is null or e.app_id = p_app_id)
     order by e.seq desc offset p_offset limit p_limit;
end $$;
comment on function credits.list_transactions(text, bigint, bigint, integer, text, text, timestamptz, timestamptz) is
  'What moved credits, newest first, read under row-level security; amounts as the user sees them, negative when spent.';

-- Reconciliation -----------------------------------------------------------------------------------

create or replace function credits.reconcile_entries() returns table (problem text, account_id bigint, subject text, found text, expected text)
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
              when e.kind in ('gift', 'adjustment') then e.amount = abs(e.system_delta)
              else true end) is not true;
  return query
    select 'total_differs', t.account_id, 'entry ' || t.seq, t.stored::text, t.summed::text
      from (select e.account_id, e.seq,
                   array[e.balance_after, e.earned_after, e.spent_after, e.debt_after]::numeric[] as stored,
                   array[-sum(e.system_delta) over w,
                         sum(credits.earned(e)) over w,
                         sum(case e.system_account when 'usage' then e.system_delta else 0 end) over w,
                         sum(e.debt_delta) over w] as summed
              from credits.entries e window w as (partition by e.account_id order by e.seq)) t
     where t.stored <> t.summed;
  return query
    select 'key_repeated', e.account_id, e.key_scope || ' ' || e.idempotency_key, count(*)::text, '1'
      from credits.entries e where e.idempotency_key is not null
     group by e.account_id, e.key_scope, e.idempotency_key having count(*) > 1;
end $$;

create function credits.reconcile_refunds() returns table (problem text, account_id bigint, subject text, found text, expected text)
  language plpgsql volatile as $$
begin
  return query
    select 'refund_exceeds_charge', r.account_id, 'entry ' || r.refunds_seq, sum(r.amount)::text,
           'at most ' || coalesce(max(u.amount), 0)
      from credits.entries r
      left join credits.entries u on u.account_id = r.account_id and u.seq = r.refunds_seq and u.kind = 'usage' and u.status = 'posted'
     where r.kind = 'refund' and r.refunds_seq is not null
     group by r.account_id, r.refunds_seq having sum(r.amount) > coalesce(max(u.amount), 0);
end $$;

create function credits.reconcile_gifts() returns table (problem text, account_id bigint, subject text, found text, expected text)
  language plpgsql volatile as $$
begin
  -- In escrow lies what waits, and nothing else: for each gift, and so for all of them.
  return query
    select 'escrow_differs', coalesce(g.giver_account_id, e.account_id), 'gift ' || coalesce(g.id, e.gift_id, ''),
           coalesce(e.escrow, 0)::text, coalesce(case g.status when 'waiting' then g.amount else 0 end, 0)::text
      from credits.gifts g
      full join (select t.gift_id, min(t.account_id) as account_id, sum(t.system_delta) as escrow
                   from credits.entries t where t.system_account = 'gift_escrow' group by t.gift_id) e on e.gift_id = g.id
     where coalesce(e.escrow, 0) <> coalesce(case g.status when 'waiting' then g.amount else 0 end, 0);
  return query
    select 'gift_differs', g.giver_account_id, 'gift ' || g.id,
           g.status || ' ' || g.amount || coalesce(' by ' || g.receiver_account_id, ''), coalesce(s.status, 'waiting')
             || ' ' || coalesce(m.amount, 0) || coalesce(' by ' || s.receiver, '')
      from credits.gifts g
      left join credits.entries m on m.account_id = g.giver_account_id and m.seq = g.made_seq and m.gift_id = g.id
      left join (select e.gift_id, case when e.refunds_seq is null then 'redeemed' else 'returned' end as status,
                        case when e.refunds_seq is null then e.account_id end as receiver
                   from credits.entries e where e.system_account = 'gift_escrow' and e.system_delta < 0) s on s.gift_id = g.id
     where m.system_delta is distinct from g.amount
        or g.receiver_account_id is distinct from s.receiver
        or case g.status when 'cancelled' then 'returned' when 'expired' then 'returned' else g.status end
           is distinct from coalesce(s.status, 'waiting');
  return query
    select 'gift_lots_differ', l.account_id, 'lot ' || l.id, coalesce(l.purchase_id, '(none)'),
           'one of the purchases and expiries of gift ' || l.gift_id
      from credits.credit_grants l
     where l.gift_id is not null
       and not exists (select from credits.gifts g
                         join credits.credit_grants s on s.account_id = g.giver_account_id and s.id = any (g.credit_grant_ids)
                        where g.id = l.gift_id and g.receiver_account_id = l.account_id
                          and (s.purchase_account_id, s.purchase_id, s.expires_at)
                              is not distinct from (l.purchase_account_id, l.purchase_id, l.expires_at));
end $$;

create function credits.reconcile_usage() returns table (problem text, account_id bigint, subject text, found text, expected text)
  language plpgsql volatile as $$
begin
  return query
    select 'usage_differs', coalesce(u.account_id, t.account_id),
           'hour ' || coalesce(u.hour, t.hour) || ' ' || coalesce(u.app_id, t.app_id),
           concat_ws(' ', u.n_charges, u.spent, u.refunded), concat_ws(' ', t.n_charges, t.spent, t.refunded)
      from credits.usage_hours u
      full join (select e.account_id, credits.hour_of(e.created_at) as hour, e.app_id,
                        count(*) filter (where e.kind = 'usage') as n_charges,
                        coalesce(sum(e.amount) filter (where e.kind = 'usage'), 0) as spent,
                        coalesce(sum(e.amount) filter (where e.kind = 'refund'), 0) as refunded
                   from credits.entries e join credits.usage_progress p on p.account_id = e.account_id and e.seq <= p.seq
                  where e.system_account = 'usage' and e.app_id is not null group by 1, 2, 3) t
        on t.account_id = u.account_id and t.hour = u.hour and t.app_id = u.app_id
     where (u.n_charges, u.spent, u.refunded) is distinct from (t.n_charges, t.spent, t.refunded);
  return query
    select 'usage_ahead', p.account_id, 'usage_progress', p.seq::text, 'at most ' || a.seq
      from credits.usage_progress p join credits.accounts a on a.id = p.account_id where p.seq > a.seq;
  -- Counters of days and months that are over are computed anew before they are used.
  return query
    select 'counter_differs', c.account_id, c.period || ' ' || c.app_id, c.spent::text,
           credits.counts_since(c.account_id, c.app_id, c.starts_at)::text
      from credits.spend_counters c
     where c.starts_at = credits.window_start(c.period, auth.clock())
       and c.spent <> credits.counts_since(c.account_id, c.app_id, c.starts_at);
  return query
    select 'count_differs', a.id, 'spend limits', a.n_spend_limits::text, count(l.account_id)::text
      from credits.accounts a left join credits.spend_limits l on l.account_id = a.id
     group by a.id having a.n_spend_limits <> count(l.account_id);
end $$;

create or replace function credits.reconcile() returns table (problem text, account_id bigint, subject text, found text, expected text)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', '', true);
  return query select * from credits.reconcile_entries();
  return query select * from credits.reconcile_lots();
  return query select * from credits.reconcile_accounts();
  return query select * from credits.reconcile_refunds();
  return query select * from credits.reconcile_gifts();
  return query select * from credits.reconcile_usage();
end $$;

-- Ownership and rights -------------------------------------------------------------------

do $$
declare
  f regprocedure;
begin
  for f in
    select p.oid::regprocedure from pg_proc p
     where p.pronamespace = 'credits'::regnamespace and p.proowner = 'tollgate_owner'::regrole
       and p.proname not in ('list_transactions', 'list_purchases', 'list_usage')
  loop
    execute format('alter function %s owner to tollgate_definer', f);
    execute format('revoke execute on function %s from public', f);
  end loop;
end $$;
revoke execute on function
  credits.list_transactions(text, bigint, bigint, integer, text, text, timestamptz, timestamptz),
  credits.list_usage(text, boolean, text, timestamptz, timestamptz, timestamptz, text, integer)
  from public;

grant execute on function
  credits.list_transactions(text, bigint, bigint, integer, text, text, timestamptz, timestamptz),
  credits.list_usage(text, boolean, text, timestamptz, timestamptz, timestamptz, text, integer),
  credits.roll_up_usage(integer),
  credits.hour_of(timestamptz)
  to tollgate_app;
revoke create on schema credits from tollgate_definer;

-- What a charge costs.
--
-- Most of it is not the work but what each statement and each expression of a function needs
-- before it runs for the first time in a transaction. So the rules of a row are one expression,
-- and what a charge is taken from is one statement.

grant create on schema credits to tollgate_definer; -- taken back at the end of this file

-- Rules of the rows ----------------------------------------------------------------------------

create function credits.refuse_if_broken(p_table text, p_rule text) returns boolean
  language plpgsql immutable strict as $$
begin
  raise exception 'a row of credits.% breaks the rule %', p_table, p_rule
    using errcode = 'check_violation', schema = 'credits', table = p_table, constraint = p_rule;
end $$;
comment on function credits.refuse_if_broken is 'Refuses the row, unless the rule is null: then it is not even called, and a CHECK is content.';

-- Not `strict`: the server then takes their text into the expression that asks, where a call
-- would be planned anew in each transaction.
create or replace function credits.burn_rank(p_kind text) returns smallint
  language sql immutable parallel safe
  return case p_kind when 'daily' then 1 when 'signup' then 2 when 'gift' then 3 when 'refund' then 4 else 5 end;

create or replace function credits.is_client_scope(p_scope text) returns boolean
  language sql immutable parallel safe
  return p_scope like 'user:_%' or p_scope like 'app:_%' or p_scope like 'service:_%';

create function credits.check_account(a credits.accounts) returns boolean
  language plpgsql immutable as $$
begin
  return credits.refuse_if_broken('accounts', case
    when (a.user_id is null) = (a.organization_id is null) then 'accounts_one_owner'
    when a.seq < 0 then 'accounts_seq_counts'
    -- Bounds what one settlement has to release when all of them lapse at once.
    when a.n_open_holds not between 0 and 1000 then 'accounts_open_holds_limit'
    when a.n_freezes < 0 then 'accounts_freezes_count'
    when a.n_spend_limits not between 0 and 400 then 'accounts_spend_limits_limit'
  end);
end $$;
alter table credits.accounts
  drop constraint accounts_one_owner,
  drop constraint accounts_seq_counts,
  drop constraint accounts_open_holds_limit,
  drop constraint accounts_freezes_count,
  drop constraint accounts_spend_limits_limit,
  add constraint accounts_rules check (credits.check_account(accounts));

create or replace function credits.check_credit_grant(g credits.credit_grants) returns boolean
  language plpgsql immutable as $$
begin
  return credits.refuse_if_broken('credit_grants', case
    when g.held < 0 or g.held > g.remaining then 'credit_grants_held_covered'
    when g.open <> (g.remaining > 0) then 'credit_grants_open_when_left'
    when g.burn_rank <> credits.burn_rank(g.kind) then 'credit_grants_burn_rank_of_kind'
    when g.id <= 0 then 'credit_grants_id_positive'
    when g.kind not in ('daily', 'signup', 'gift', 'refund', 'purchase') then 'credit_grants_kind_known'
    when (g.purchase_account_id is null) <> (g.purchase_id is null) then 'credit_grants_purchase_whole'
    when (g.kind = 'purchase' and g.purchase_account_id is distinct from g.account_id)
      or (g.kind not in ('purchase', 'gift') and g.purchase_id is not null) then 'credit_grants_purchase_kept'
    when g.kind <> 'gift' and g.gift_id is not null then 'credit_grants_gift_kept'
  end);
end $$;
alter table credits.credit_grants drop constraint credit_grants_held_covered;

alter function credits.check_entry(credits.entries) rename to check_entry_rule_by_rule;
create function credits.check_entry(e credits.entries) returns boolean
  language plpgsql immutable as $$
begin
  -- An ordinary charge of one lot keeps every rule when this holds. Anything else, and whatever
  -- is wrong, goes through rule by rule.
  return (e.kind = 'usage' and e.status = 'posted' and e.system_account = 'usage'
      and e.amount between 1 and 1000000000000 and e.system_delta = e.amount and e.deltas = array[-e.amount]
      and cardinality(e.credit_grant_ids) = 1 and cardinality(e.held_deltas) = 0 and e.debt_delta = 0
      and e.hold_id is null and e.hold_status is null and e.hold_captured is null
      and e.available_after between 0 and e.balance_after and e.balance_after <= 9007199254740991
      and e.earned_after between 0 and 9007199254740991 and e.spent_after between 0 and 9007199254740991
      and e.debt_after between 0 and 9007199254740991
      and char_length(e.app_id) between 1 and 64 and char_length(e.description) between 1 and 500 and e.metadata is null
      and octet_length(e.idempotency_key) between 1 and 255 and octet_length(e.fingerprint) = 32
      and credits.is_client_scope(e.key_scope))
    or credits.check_entry_rule_by_rule(e);
end $$;
alter table credits.entries
  drop constraint entries_rules,
  add constraint entries_rules check (credits.check_entry(entries));

grant execute on function credits.refuse_if_broken(text, text), credits.check_account(credits.accounts),
  credits.check_entry(credits.entries) to tollgate_definer;

-- What a charge is taken from ------------------------------------------------------------------

drop function credits.allocate(bigint, bigint, timestamptz);
-- Stable and returning a table: the server takes its text into the query that asks, which is a
-- statement of its own and so sees the lots as they are after the lock.
create function credits.allocate(p_account_id bigint, p_amount bigint, p_now timestamptz)
  returns table (available bigint, credit_grant_ids integer[], amounts bigint[], deltas bigint[])
  language sql stable
begin atomic
  select coalesce(sum(l.free), 0)::bigint, array_agg(l.id) filter (where l.taken > 0),
         array_agg(l.taken) filter (where l.taken > 0), array_agg(-l.taken) filter (where l.taken > 0)
    from (select g.id, g.remaining - g.held as free,
                 least(g.remaining - g.held, p_amount - coalesce(sum(g.remaining - g.held) over before, 0))::bigint as taken
            from credits.credit_grants g
           where g.account_id = p_account_id and g.open and g.remaining > g.held
             and (g.expires_at is null or g.expires_at > p_now)
          window before as (order by g.burn_rank, g.priority, g.expires_at nulls last, g.id
                            rows between unbounded preceding and 1 preceding)) l;
end;
comment on function credits.allocate is
  'One row: what could be spent, and how much the amount takes from which lots, also with the sign turned. Falls short when there is too little.';
alter function credits.allocate(bigint, bigint, timestamptz) owner to tollgate_definer;

revoke execute on all functions in schema credits from public;
revoke create on schema credits from tollgate_definer;

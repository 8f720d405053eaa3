-- Gifts: credits on their way from one account to another.
--
-- What is given lies in escrow: it has left the giver's lots and is in nobody's yet. A gift
-- remembers the lots it came from, so that it can go back into them, and so that the lots it
-- becomes keep purchase and expiry.
--
-- Accounts are locked before gifts, and never two accounts at once: giving and taking back touch
-- the giver's, redeeming the receiver's.

grant create on schema credits to tollgate_definer; -- taken back at the end of this file

create table credits.gifts (
  id                  text        not null,
  giver_account_id    bigint      not null,
  made_seq            bigint      not null,
  amount              bigint      not null,
  credit_grant_ids    integer[]   not null,
  amounts             bigint[]    not null,
  code_hash           bytea       not null,
  recipient_email     text,
  message             text,
  status              text        not null default 'waiting',
  receiver_account_id bigint,
  created_at          timestamptz not null,
  expires_at          timestamptz not null,
  announced_at        timestamptz,
  ended_at            timestamptz,
  constraint gifts_pkey primary key (id),
  constraint gifts_giver_fkey foreign key (giver_account_id, made_seq) references credits.entries (account_id, seq),
  constraint gifts_receiver_fkey foreign key (receiver_account_id) references credits.accounts (id),
  constraint gifts_code_hash_key unique (code_hash),
  constraint gifts_id_form check (id ~ '^[A-Za-z0-9_-]{22}$'),
  constraint gifts_amount_range check (amount between 1 and 1000000000000),
  constraint gifts_lots_fit check (cardinality(credit_grant_ids) = cardinality(amounts)
    and 0 < all (amounts) and credits.sum_of(amounts) = amount),
  constraint gifts_code_hash_length check (octet_length(code_hash) = 32),
  constraint gifts_email_form check (octet_length(recipient_email) <= 254 and recipient_email = lower(btrim(recipient_email))),
  constraint gifts_message_length check (char_length(message) between 1 and 500),
  constraint gifts_status_known check (status in ('waiting', 'redeemed', 'cancelled', 'expired')),
  constraint gifts_ended_dated check ((status = 'waiting') = (ended_at is null)),
  constraint gifts_redeemed_by_somebody check ((status = 'redeemed') = (receiver_account_id is not null)),
  constraint gifts_not_to_oneself check (receiver_account_id <> giver_account_id),
  -- Credits in escrow are nobody's to spend: not for ever.
  constraint gifts_ttl_limit check (expires_at > created_at and expires_at <= created_at + interval '366 days')
);
create index gifts_made on credits.gifts (giver_account_id, created_at desc, id desc);
create index gifts_received on credits.gifts (receiver_account_id, created_at desc, id desc) where receiver_account_id is not null;
create index gifts_to_return on credits.gifts (giver_account_id, expires_at) where status = 'waiting';
create index gifts_due on credits.gifts (expires_at) where status = 'waiting';
create index gifts_addressed on credits.gifts (recipient_email) where status = 'waiting' and recipient_email is not null;
comment on table credits.gifts is 'Credits given and not yet taken, and what became of them.';
comment on column credits.gifts.made_seq is 'The entry that took the credits from the giver.';
comment on column credits.gifts.credit_grant_ids is 'The giver''s lots they came from, with amounts; there they return to.';
comment on column credits.gifts.code_hash is 'SHA-256 of the code, which is random to whoever lacks MASTER_KEY.';
comment on column credits.gifts.recipient_email is 'Only whoever has proven this address may redeem it; anybody with the code when null.';
comment on column credits.gifts.announced_at is 'When the mail to the recipient was put into the outbox.';

alter table credits.gifts enable row level security;
alter table credits.gifts force row level security;
create policy gifts_definer on credits.gifts to tollgate_definer using (true) with check (true);
create policy gifts_own on credits.gifts for select to tollgate_app
  using (giver_account_id = any ((select credits.current_account_ids())::bigint[])
         or receiver_account_id = any ((select credits.current_account_ids())::bigint[]));
grant select, insert, update on credits.gifts to tollgate_definer;
grant select (id, giver_account_id, amount, recipient_email, message, status, receiver_account_id,
  created_at, expires_at, ended_at) on credits.gifts to tollgate_app;

create trigger gifts_no_delete before delete on credits.gifts
  for each row execute function credits.refuse_change();
create trigger gifts_no_truncate before truncate on credits.gifts
  execute function credits.refuse_change();
create trigger gifts_end_once before update on credits.gifts
  for each row when (old.status <> 'waiting' and old.status is distinct from new.status)
  execute function credits.refuse_change();

-- What lapses is looked for across accounts, too. `open` and `status` are in other indexes already.
create index credit_grants_due on credits.credit_grants (expires_at) where open and expires_at is not null;
create index holds_due on credits.holds (expires_at) where status = 'open';

-- Rules of the entries -------------------------------------------------------------------

create or replace function credits.legs_fit_kind(e credits.entries) returns boolean
  language plpgsql immutable as $$
begin
  if e.status = 'declined' then
    return e.kind in ('usage', 'hold', 'gift') and cardinality(e.credit_grant_ids) = 0 and e.system_account is null
      and e.idempotency_key is not null;
  elsif e.kind = 'usage' then
    return e.system_account = 'usage' and e.system_delta > 0 and 0 >= all (e.deltas) and 0 >= all (e.held_deltas)
      and (e.hold_id is not null) = (cardinality(e.held_deltas) > 0);
  elsif e.kind in ('hold', 'release') then
    return e.system_account is null and e.hold_id is not null
      and cardinality(e.deltas) = 0 and cardinality(e.held_deltas) > 0
      and case e.kind when 'hold' then 0 < all (e.held_deltas) else 0 > all (e.held_deltas) end;
  elsif cardinality(e.held_deltas) > 0 or not (0 < all (e.deltas) or 0 > all (e.deltas)) then
    return false;
  end if;
  -- Below, 0 > system_delta says that the account gained.
  return case e.kind
    when 'purchase' then e.system_account = 'sales' and 0 > e.system_delta and e.purchase_id is not null
    when 'bonus' then e.system_account = 'promotion' and 0 > e.system_delta
    when 'daily' then e.system_account = 'promotion' and 0 > e.system_delta
    when 'expiry' then e.system_account = 'breakage' and 0 < e.system_delta
    when 'adjustment' then e.system_account = 'adjustment'
    when 'gift' then e.system_account = 'gift_escrow' or (e.system_account = 'promotion' and 0 > e.system_delta)
    when 'refund' then (e.system_account = 'usage' and 0 > e.system_delta and e.refunds_seq is not null)
      or (e.system_account = 'claw_back' and e.purchase_id is not null)
    else false end;
end $$;

create function credits.earned(e credits.entries) returns bigint
  language sql immutable
  -- What only comes back (a gift that nobody took) was counted when it first came.
  return case when e.system_account in ('sales', 'promotion', 'gift_escrow', 'adjustment') and e.refunds_seq is null
    then greatest(-e.system_delta, 0) else 0 end;
comment on function credits.earned is 'How much an entry adds to what the account has ever been given.';

create or replace function credits.apply_entry() returns trigger
  -- With the rights of whoever inserts: that is tollgate_definer in a function that fixes
  -- search_path, and changing both a second time for each entry would cost as much as a look-up.
  language plpgsql volatile security invoker as $$
declare
  v_is_next boolean;
begin
  -- The entry before and the account in one look: there is no gap, and this one is next.
  select a.seq = new.seq and coalesce(p.seq, 0) = new.seq - 1,
         coalesce(p.balance_after, 0) - new.system_delta,
         coalesce(p.earned_after, 0)
           + case when new.system_account in ('sales', 'promotion', 'gift_escrow', 'adjustment') and new.refunds_seq is null
               then greatest(-new.system_delta, 0) else 0 end,
         coalesce(p.spent_after, 0) + case new.system_account when 'usage' then new.system_delta else 0 end,
         coalesce(p.debt_after, 0) + new.debt_delta
    into v_is_next, new.balance_after, new.earned_after, new.spent_after, new.debt_after
    from credits.accounts a left join credits.entries p on p.account_id = a.id and p.seq = new.seq - 1
   where a.id = new.account_id;
  if v_is_next is not true then
    raise exception 'entry % of account % is not the next one', new.seq, new.account_id
      using errcode = 'restrict_violation', constraint = 'entries_next_only';
  end if;
  for i in 1 .. cardinality(new.credit_grant_ids) loop
    update credits.credit_grants g
       set remaining = g.remaining + coalesce(new.deltas[i], 0),
           open = g.remaining + coalesce(new.deltas[i], 0) > 0,
           held = g.held + coalesce(new.held_deltas[i], 0)
     where g.account_id = new.account_id and g.id = new.credit_grant_ids[i];
    if not found then
      raise exception 'account % has no lot %', new.account_id, new.credit_grant_ids[i]
        using errcode = 'foreign_key_violation', constraint = 'entries_credit_grants_exist';
    end if;
  end loop;
  return new;
end $$;

-- Building blocks ------------------------------------------------------------------------

create function credits.room(p_account_id bigint) returns bigint
  language plpgsql volatile as $$
declare
  c_most constant bigint := 9007199254740991; -- entries_balance_limit
begin
  return coalesce((select c_most - greatest(e.balance_after, e.earned_after) from credits.entries e
                    where e.account_id = p_account_id order by e.seq desc limit 1), c_most);
end $$;
comment on function credits.room is 'How many credits an account can still be given.';

create function credits.has_room_for_lots(p_account_id bigint, p_n_lots integer) returns boolean
  language plpgsql volatile as $$
declare
  c_max_open constant integer := 1000; -- as in add_credit_grant
begin
  return (select count(*) from credits.credit_grants g where g.account_id = p_account_id and g.open) + p_n_lots <= c_max_open;
end $$;

create function credits.open_lot(
  p_account_id bigint, p_kind text, p_expires_at timestamptz,
  p_purchase_account_id bigint, p_purchase_id text, p_gift_id text, p_now timestamptz) returns integer
  language plpgsql volatile as $$
declare
  v_id integer;
begin
  select coalesce(max(g.id), 0) + 1 into v_id from credits.credit_grants g where g.account_id = p_account_id;
  insert into credits.credit_grants
    (account_id, id, kind, burn_rank, expires_at, purchase_account_id, purchase_id, gift_id, created_at)
  values (p_account_id, v_id, p_kind, credits.burn_rank(p_kind), p_expires_at,
    p_purchase_account_id, p_purchase_id, p_gift_id, p_now);
  update credits.accounts a set lapse_due_at = least(a.lapse_due_at, p_expires_at) where a.id = p_account_id;
  return v_id;
end $$;
comment on function credits.open_lot is 'An empty lot; the entry that follows fills it.';

create function credits.repay_from(
  p_account_id bigint, p_credit_grant_ids integer[], p_amounts bigint[], p_now timestamptz) returns void
  language plpgsql volatile as $$
declare
  v_debt bigint;
begin
  select e.debt_after into v_debt from credits.entries e
   where e.account_id = p_account_id order by e.seq desc limit 1;
  for i in 1 .. cardinality(p_credit_grant_ids) loop
    exit when v_debt <= 0;
    perform credits.repay_debt(p_account_id, p_credit_grant_ids[i], least(v_debt, p_amounts[i]), p_now);
    v_debt := v_debt - least(v_debt, p_amounts[i]);
  end loop;
end $$;
comment on function credits.repay_from is 'What is owed from a claw-back is repaid first from whatever comes in.';

create function credits.is_erased(p_account_id bigint) returns boolean
  language plpgsql volatile as $$
begin
  return exists (select from credits.accounts a join auth.users u on u.id = a.user_id
                  where a.id = p_account_id and u.status = 'erased');
end $$;

-- Giving back -------------------------------------------------------------------------------

create function credits.give_back_gift(g credits.gifts, p_status text, p_now timestamptz) returns void
  language plpgsql volatile as $$
begin
  insert into credits.entries
    (account_id, seq, kind, amount, system_account, system_delta, credit_grant_ids, deltas,
     metadata, refunds_seq, gift_id, created_at)
  values (g.giver_account_id, credits.next_seq(g.giver_account_id), 'gift', g.amount, 'gift_escrow', -g.amount,
     g.credit_grant_ids, g.amounts, jsonb_build_object('giftId', g.id), g.made_seq, g.id, p_now);
  update credits.gifts t
     set status = p_status, ended_at = p_now,
         recipient_email = case when credits.is_erased(t.giver_account_id) then null else t.recipient_email end
   where t.id = g.id;
  perform credits.repay_from(g.giver_account_id, g.credit_grant_ids, g.amounts, p_now);
end $$;
comment on function credits.give_back_gift is
  'Puts a waiting gift back into the lots it came from. The giver''s account and the gift are locked, no number is taken.';

create function credits.settle_gifts(p_account_id bigint, p_now timestamptz) returns void
  language plpgsql volatile as $$
declare
  g credits.gifts;
begin
  for g in
    select t.* from credits.gifts t
     where t.giver_account_id = p_account_id and t.status = 'waiting' and t.expires_at <= p_now
     order by t.expires_at, t.id for update
  loop
    perform credits.give_back_gift(g, 'expired', p_now);
  end loop;
end $$;

create function credits.take_back_gifts_of_purchase(p_account_id bigint, p_purchase_id text, p_now timestamptz) returns bigint
  language plpgsql volatile as $$
declare
  g credits.gifts;
  v_taken bigint := 0;
begin
  for g in
    select t.* from credits.gifts t
     where t.giver_account_id = p_account_id and t.status = 'waiting'
       and exists (select from credits.credit_grants l
                    where l.account_id = p_account_id and l.id = any (t.credit_grant_ids)
                      and l.purchase_account_id = p_account_id and l.purchase_id = p_purchase_id)
     order by t.id for update
  loop
    perform credits.give_back_gift(g, 'cancelled', p_now);
    v_taken := v_taken + g.amount;
  end loop;
  return v_taken;
end $$;
comment on function credits.take_back_gifts_of_purchase is
  'Before a claw-back: what of the purchase waits in escrow returns to the buyer''s lots, where the claw-back finds it. The account is locked, no number is taken.';

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

create or replace function credits.settle(
  p_account credits.accounts, p_now timestamptz, p_daily_amount bigint, p_daily_expires_hours integer)
  returns credits.accounts
  language plpgsql volatile as $$
declare
  v_account credits.accounts;
begin
  perform credits.give_back_seq(p_account.id);
  if p_account.lapse_due_at <= p_now then
    perform credits.settle_holds(p_account.id, p_now);
    -- Before the lots: what comes back into a lot that has lapsed lapses with it.
    perform credits.settle_gifts(p_account.id, p_now);
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
  'Writes the entries of what is due: holds that lapsed, gifts nobody took, then lots, then the daily credits. Takes and returns an account whose next number is taken.';

-- Giving ---------------------------------------------------------------------------------------

create type credits.gift_view as (
  id text, direction text, amount bigint, recipient_email text, giver_name text, message text,
  status text, created_at timestamptz, expires_at timestamptz, ended_at timestamptz);
comment on type credits.gift_view is 'A gift as its giver (made) or its receiver (received) sees it.';

create function credits.as_gift_view(g credits.gifts, p_direction text, p_now timestamptz) returns credits.gift_view
  language plpgsql volatile as $$
begin
  return row(g.id, p_direction, g.amount,
    case p_direction when 'made' then g.recipient_email end,
    case p_direction when 'received' then (select u.name from credits.accounts a join auth.users u on u.id = a.user_id
                                            where a.id = g.giver_account_id) end,
    g.message,
    -- What is due is written down when the account is next used; it is told at once.
    case when g.status = 'waiting' and g.expires_at <= p_now then 'expired' else g.status end,
    g.created_at, g.expires_at,
    case when g.status = 'waiting' and g.expires_at <= p_now then g.expires_at else g.ended_at end)::credits.gift_view;
end $$;

create function credits.allocate_gift(
  p_account_id bigint, p_amount bigint, p_now timestamptz,
  out giftable bigint, out credit_grant_ids integer[], out amounts bigint[], out deltas bigint[], out expires_at timestamptz)
  language plpgsql volatile as $$
declare
  -- A stolen card is mostly noticed within days; what was bought with it must not have moved on.
  c_min_age constant interval := interval '7 days';
  l record;
  v_left bigint := p_amount;
  v_part bigint;
begin
  giftable := 0; credit_grant_ids := '{}'; amounts := '{}'; deltas := '{}';
  -- What lasts longest goes first: the giver spends the rest anyway, and the receiver has time.
  for l in
    select g.id, g.remaining - g.held as free, g.expires_at from credits.credit_grants g
     where g.account_id = p_account_id and g.open and g.kind = 'purchase' and g.remaining > g.held
       and g.created_at <= p_now - c_min_age and (g.expires_at is null or g.expires_at > p_now)
     order by g.expires_at desc nulls first, g.id
  loop
    giftable := giftable + l.free;
    v_part := least(l.free, v_left);
    if v_part > 0 then
      credit_grant_ids := credit_grant_ids || l.id;
      amounts := amounts || v_part;
      deltas := deltas || -v_part;
      expires_at := least(expires_at, l.expires_at);
      v_left := v_left - v_part;
    end if;
  end loop;
end $$;
comment on function credits.allocate_gift is
  'What can be given, which lots the amount takes from, and when the first of these lapses. Only credits the account itself bought: what was given is not given on.';

create function credits.gift_refusal(
  p_account credits.accounts, p_recipient_email text, p_now timestamptz, out outcome text, out retry_after_secs integer)
  language plpgsql volatile as $$
declare
  -- Bounds what one settlement returns when all of them lapse at once.
  c_max_waiting constant integer := 100;
  -- Each is a mail to somebody who did not ask for it.
  c_max_addressed_per_day constant integer := 20;
  v_nth timestamptz;
begin
  if p_account.n_freezes > 0 then
    outcome := 'frozen';
  elsif exists (select from auth.users u where u.id = p_account.user_id and u.email = p_recipient_email) then
    outcome := 'own_address';
  elsif (select count(*) from credits.gifts t
          where t.giver_account_id = p_account.id and t.status = 'waiting' and t.expires_at > p_now) >= c_max_waiting then
    outcome := 'too_many_gifts';
  elsif p_recipient_email is not null then
    select t.created_at into v_nth from credits.gifts t
     where t.giver_account_id = p_account.id and t.recipient_email is not null and t.created_at > p_now - interval '24 hours'
     order by t.created_at desc, t.id desc offset c_max_addressed_per_day - 1 limit 1;
    if found then
      outcome := 'rate_limited';
      retry_after_secs := ceil(extract(epoch from v_nth + interval '24 hours' - p_now));
    end if;
  end if;
end $$;
comment on function credits.gift_refusal is 'Why the account may not give now; null when it may.';

create type credits.gifted as (
  outcome text, replayed boolean, available bigint, retry_after_secs integer, code_hash bytea, gift credits.gift_view);
comment on type credits.gifted is 'What became of giving, redeeming or taking back, and the gift.';

create function credits.as_gifted(
  p_outcome text, p_replayed boolean, p_available bigint, p_retry_after_secs integer, p_code_hash bytea, p_gift credits.gift_view)
  returns credits.gifted
  language sql immutable
  return row(p_outcome, p_replayed, p_available, p_retry_after_secs, p_code_hash, p_gift)::credits.gifted;

create function credits.replay_gift(e credits.entries, p_fingerprint bytea) returns credits.gifted
  language plpgsql volatile as $$
declare
  g credits.gifts;
begin
  perform credits.give_back_seq(e.account_id);
  if e.fingerprint is distinct from p_fingerprint or e.kind <> 'gift' then
    return credits.as_gifted('key_reused', true, null, null, null, null);
  elsif e.status = 'declined' then
    return credits.as_gifted('insufficient', true, e.available_after, null, null, null);
  end if;
  select t.* into strict g from credits.gifts t where t.id = e.gift_id;
  -- As it was told then.
  g.status := 'waiting'; g.ended_at := null;
  return credits.as_gifted('done', true, e.available_after, null, g.code_hash, credits.as_gift_view(g, 'made', g.created_at));
end $$;

create function credits.create_gift(
  p_user_id text, p_session_id text, p_gift_id text, p_code_hash bytea, p_amount bigint,
  p_recipient_email text, p_message text, p_expires_at timestamptz,
  p_idempotency_key text, p_fingerprint bytea, p_daily_amount bigint, p_daily_expires_hours integer, p_request jsonb)
  returns credits.gifted
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  c_scope constant text := 'user:' || p_user_id;
  a credits.accounts;
  e credits.entries;
  g credits.gifts;
  v_now timestamptz;
  v_standing text;
  v_refusal record;
  v_lots record;
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  update credits.accounts t set seq = t.seq + 1 where t.user_id = p_user_id returning t.* into a;
  if not found then
    return credits.as_gifted('no_account', false, null, null, null, null);
  end if;
  v_standing := auth.session_standing(p_user_id, p_session_id);
  if v_standing <> 'fresh' then
    perform credits.give_back_seq(a.id);
    return credits.as_gifted(v_standing, false, null, null, null, null);
  end if;
  v_now := auth.clock();
  select t.* into e from credits.entries t
   where t.account_id = a.id and t.key_scope = c_scope and t.idempotency_key = p_idempotency_key;
  if found then
    return credits.replay_gift(e, p_fingerprint);
  end if;
  v_refusal := credits.gift_refusal(a, p_recipient_email, v_now);
  if v_refusal.outcome is not null then
    perform credits.give_back_seq(a.id);
    return credits.as_gifted(v_refusal.outcome, false, null, v_refusal.retry_after_secs, null, null);
  end if;
  if credits.anything_due(a, v_now, p_daily_amount) then
    a := credits.settle(a, v_now, p_daily_amount, p_daily_expires_hours);
  end if;
  v_lots := credits.allocate_gift(a.id, p_amount, v_now);
  if v_lots.giftable < p_amount then
    v_refusal := credits.decline(a, 'gift', p_amount, v_lots.giftable, null, null, null,
                                 c_scope, p_idempotency_key, p_fingerprint, v_now);
    return credits.as_gifted(v_refusal.outcome, false, v_lots.giftable, v_refusal.retry_after_secs, null, null);
  end if;
  insert into credits.entries as t
    (account_id, seq, kind, amount, system_account, system_delta, credit_grant_ids, deltas, available_after,
     metadata, gift_id, key_scope, idempotency_key, fingerprint, created_at)
  values (a.id, a.seq, 'gift', p_amount, 'gift_escrow', p_amount, v_lots.credit_grant_ids, v_lots.deltas,
     credits.available(a.id, v_now) - p_amount, jsonb_build_object('giftId', p_gift_id), p_gift_id,
     case when p_idempotency_key is not null then c_scope end, p_idempotency_key,
     case when p_idempotency_key is not null then p_fingerprint end, v_now)
  returning t.* into e;
  insert into credits.gifts as t
    (id, giver_account_id, made_seq, amount, credit_grant_ids, amounts, code_hash, recipient_email, message, created_at, expires_at)
  values (p_gift_id, a.id, a.seq, p_amount, v_lots.credit_grant_ids, v_lots.amounts, p_code_hash, p_recipient_email, p_message,
     -- Before any of the credits in it lapses: it must never hold less than it says.
     v_now, least(p_expires_at, v_lots.expires_at))
  returning t.* into g;
  update credits.accounts t set lapse_due_at = least(t.lapse_due_at, g.expires_at) where t.id = a.id;
  perform auth.record_event('gift_made', 'success', p_user_id, p_session_id,
    jsonb_build_object('giftId', g.id, 'amount', g.amount), p_request);
  return credits.as_gifted('done', false, e.available_after, null, g.code_hash, credits.as_gift_view(g, 'made', v_now));
end $$;
comment on function credits.create_gift is
  'Moves purchased credits older than a week into escrow. outcome: done, insufficient (available: what can be given), key_reused, frozen, own_address, too_many_gifts, rate_limited, stale, ended, no_account.';

-- Redeeming --------------------------------------------------------------------------------------

create function credits.gift_obstacle(p_account_id bigint, g credits.gifts) returns text
  language plpgsql volatile as $$
begin
  -- Credits whose purchase is disputed do not move on.
  if exists (select from credits.accounts a where a.id = g.giver_account_id and a.n_freezes > 0) then
    return 'blocked';
  end if;
  return case when credits.room(p_account_id) < g.amount
                or not credits.has_room_for_lots(p_account_id, cardinality(g.amounts)) then 'full' end;
end $$;
comment on function credits.gift_obstacle is 'Why a gift that is meant for the account cannot be taken now; null when it can.';

create function credits.credit_gift(a credits.accounts, g credits.gifts, p_now timestamptz) returns credits.gifts
  language plpgsql volatile as $$
declare
  l record;
  v_ids integer[] := '{}';
  v_amounts bigint[] := '{}';
begin
  -- Parts that came from one purchase and lapse at one moment are one lot again.
  for l in
    select s.expires_at, s.purchase_account_id, s.purchase_id, sum(p.amount)::bigint as amount
      from unnest(g.credit_grant_ids, g.amounts) with ordinality p (id, amount, n)
      join credits.credit_grants s on s.account_id = g.giver_account_id and s.id = p.id
     group by s.expires_at, s.purchase_account_id, s.purchase_id order by min(p.n)
  loop
    v_ids := v_ids || credits.open_lot(a.id, 'gift', l.expires_at, l.purchase_account_id, l.purchase_id, g.id, p_now);
    v_amounts := v_amounts || l.amount;
  end loop;
  insert into credits.entries
    (account_id, seq, kind, amount, system_account, system_delta, credit_grant_ids, deltas, metadata, gift_id, created_at)
  values (a.id, a.seq, 'gift', g.amount, 'gift_escrow', -g.amount, v_ids, v_amounts,
     jsonb_build_object('giftId', g.id), g.id, p_now);
  update credits.gifts t
     set status = 'redeemed', receiver_account_id = a.id, ended_at = p_now,
         recipient_email = case when credits.is_erased(t.giver_account_id) then null else t.recipient_email end
   where t.id = g.id
  returning t.* into g;
  perform credits.repay_from(a.id, v_ids, v_amounts, p_now);
  return g;
end $$;
comment on function credits.credit_gift is
  'Moves a waiting gift from escrow into lots of the account, whose next number is taken; the gift is locked.';

create function credits.redeem_gift(
  p_user_id text, p_code_hash bytea, p_daily_amount bigint, p_daily_expires_hours integer, p_request jsonb)
  returns credits.gifted
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  a credits.accounts;
  g credits.gifts;
  v_now timestamptz;
  v_outcome text;
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  update credits.accounts t set seq = t.seq + 1 where t.user_id = p_user_id returning t.* into a;
  if not found then
    return credits.as_gifted('no_account', false, null, null, null, null);
  end if;
  select t.* into g from credits.gifts t where t.code_hash = p_code_hash for update;
  v_now := auth.clock();
  v_outcome := case
    when g.id is null then 'no_gift'
    when g.status = 'redeemed' and g.receiver_account_id = a.id then 'done'
    when g.status <> 'waiting' or g.expires_at <= v_now then 'no_gift'
    when g.giver_account_id = a.id then 'own_gift'
    when g.recipient_email is not null and not exists (
      select from auth.users u where u.id = p_user_id and u.email = g.recipient_email and u.email_verified_at is not null)
      then 'no_gift'
    end;
  if v_outcome is null and credits.anything_due(a, v_now, p_daily_amount) then
    a := credits.settle(a, v_now, p_daily_amount, p_daily_expires_hours);
  end if;
  v_outcome := coalesce(v_outcome, credits.gift_obstacle(a.id, g));
  if v_outcome is not null then
    perform credits.give_back_seq(a.id);
    return credits.as_gifted(v_outcome, v_outcome = 'done', credits.available(a.id, v_now), null, null,
      case v_outcome when 'done' then credits.as_gift_view(g, 'received', v_now) end);
  end if;
  g := credits.credit_gift(a, g, v_now);
  perform auth.record_event('gift_redeemed', 'success', p_user_id, null,
    jsonb_build_object('giftId', g.id, 'amount', g.amount), p_request);
  return credits.as_gifted('done', false, credits.available(a.id, v_now), null, null, credits.as_gift_view(g, 'received', v_now));
end $$;
comment on function credits.redeem_gift is
  'Takes a gift by its code; the same user may ask again. outcome: done, no_gift (unknown, somebody else''s, or over: one answer), own_gift, blocked, full, no_account.';

create function credits.redeem_addressed_gift(p_account_id bigint, p_gift_id text) returns boolean
  language plpgsql volatile as $$
declare
  a credits.accounts;
  g credits.gifts;
  v_now timestamptz;
begin
  update credits.accounts t set seq = t.seq + 1 where t.id = p_account_id returning t.* into strict a;
  select t.* into g from credits.gifts t where t.id = p_gift_id and t.status = 'waiting' for update;
  v_now := auth.clock();
  if not found or g.giver_account_id = a.id or g.expires_at <= v_now or credits.gift_obstacle(a.id, g) is not null then
    perform credits.give_back_seq(a.id);
    return false;
  end if;
  perform credits.credit_gift(a, g, v_now);
  return true;
end $$;

create function credits.redeem_gifts_of_address(p_user_id text) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- One transaction stays short; what is left over is found by the next sweep.
  c_batch constant integer := 100;
  v_account_id bigint;
  v_gift_id text;
begin
  select a.id into v_account_id from credits.accounts a where a.user_id = p_user_id;
  if not found then
    return;
  end if;
  for v_gift_id in
    select g.id from credits.gifts g join auth.users u on u.email = g.recipient_email
     where u.id = p_user_id and u.email_verified_at is not null and auth.effective_status(u) = 'active'
       and g.status = 'waiting' and g.recipient_email is not null
     order by g.created_at, g.id limit c_batch
  loop
    perform credits.redeem_addressed_gift(v_account_id, v_gift_id);
  end loop;
end $$;
comment on function credits.redeem_gifts_of_address is 'Redeems what waits for the address that the user has proven.';

create function credits.notice_proven_address() returns trigger
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform credits.redeem_gifts_of_address(new.id);
  return null;
end $$;
-- However an address comes to be proven: by a link, a reset, a change, an import.
create trigger users_redeem_gifts after update of email, email_verified_at on auth.users for each row
  when (new.email_verified_at is not null
        and (old.email_verified_at is null or old.email is distinct from new.email))
  execute function credits.notice_proven_address();

create function credits.notice_account() returns trigger
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform credits.redeem_gifts_of_address(new.user_id);
  return null;
end $$;
-- Whoever comes with a proven address has no account at the moment of the proof.
create trigger accounts_redeem_gifts after insert on credits.accounts for each row
  when (new.user_id is not null) execute function credits.notice_account();

create function credits.announce_gift(p_gift_id text) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  g credits.gifts;
  r record;
begin
  select t.* into g from credits.gifts t
   where t.id = p_gift_id and t.status = 'waiting' and t.recipient_email is not null;
  if not found then
    return;
  end if;
  select u.id, a.id as account_id, u.email_verified_at into r
    from auth.users u join credits.accounts a on a.user_id = u.id
   where u.email = g.recipient_email and u.deleted_at is null and auth.effective_status(u) = 'active';
  perform set_config('tollgate.user_id', coalesce(r.id, ''), true);
  if r.email_verified_at is not null and credits.redeem_addressed_gift(r.account_id, g.id) then
    if g.announced_at is null then
      perform auth.enqueue_mail(r.id, 'gift_received', g.id, jsonb_build_object('change', g.id));
    end if;
  elsif g.announced_at is null then
    perform auth.enqueue_mail(coalesce(r.id, (select a.user_id from credits.accounts a where a.id = g.giver_account_id)),
      'gift_waiting', g.id, jsonb_build_object('change', g.id, 'to', g.recipient_email));
  end if;
  update credits.gifts t set announced_at = auth.clock() where t.id = g.id and t.announced_at is null;
end $$;
comment on function credits.announce_gift is
  'After a gift to an address was made: redeems it when a user has proven that address, otherwise writes to it. Locks no account while it holds another''s.';

create function credits.sweep_gifts() returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- One short transaction each time; what is left waits for the next run.
  c_batch constant integer := 100;
  -- The request that made a gift announces it; this is for one whose issuer stopped in between.
  c_pause constant interval := interval '30 seconds';
  v_gift_id text;
  v_looked_at bigint := 0;
begin
  for v_gift_id in
    select g.id from credits.gifts g join credits.accounts giver on giver.id = g.giver_account_id and giver.n_freezes = 0
     where g.status = 'waiting' and g.recipient_email is not null and g.expires_at > auth.clock()
       and ((g.announced_at is null and g.created_at <= auth.clock() - c_pause)
            or exists (select from auth.users u
                        where u.email = g.recipient_email and u.deleted_at is null and auth.effective_status(u) = 'active'
                          and u.email_verified_at is not null and u.id <> giver.user_id))
     order by g.created_at, g.id limit c_batch
  loop
    perform credits.announce_gift(v_gift_id);
    v_looked_at := v_looked_at + 1;
  end loop;
  return v_looked_at;
end $$;
comment on function credits.sweep_gifts is
  'Gifts to an address that were not announced, or could not be redeemed at the time: the giver was frozen, the receiver''s account full.';

-- Taking back and listing ----------------------------------------------------------------------------

create function credits.cancel_gift(
  p_user_id text, p_gift_id text, p_daily_amount bigint, p_daily_expires_hours integer) returns credits.gifted
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  a credits.accounts;
  g credits.gifts;
  v_now timestamptz;
  v_outcome text;
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  update credits.accounts t set seq = t.seq + 1 where t.user_id = p_user_id returning t.* into a;
  if not found then
    return credits.as_gifted('no_gift', false, null, null, null, null);
  end if;
  select t.* into g from credits.gifts t where t.id = p_gift_id and t.giver_account_id = a.id for update;
  v_now := auth.clock();
  if credits.anything_due(a, v_now, p_daily_amount) then
    a := credits.settle(a, v_now, p_daily_amount, p_daily_expires_hours);
  end if;
  perform credits.give_back_seq(a.id);
  -- Settling may have returned it.
  select t.* into g from credits.gifts t where t.id = g.id;
  v_outcome := case when g.id is null then 'no_gift' when g.status in ('waiting', 'cancelled') then 'done' else 'ended' end;
  if g.status = 'waiting' then
    perform credits.give_back_gift(g, 'cancelled', v_now);
    update credits.accounts t set lapse_due_at = credits.next_lapse(t.id) where t.id = a.id;
    select t.* into strict g from credits.gifts t where t.id = g.id;
  end if;
  return credits.as_gifted(v_outcome, false, credits.available(a.id, v_now), null, null,
    case v_outcome when 'done' then credits.as_gift_view(g, 'made', v_now) end);
end $$;
comment on function credits.cancel_gift is
  'Takes back a gift that nobody has redeemed. outcome: done, no_gift, ended (redeemed or returned already).';

create function credits.list_gifts(p_user_id text, p_direction text, p_after_id text, p_limit integer)
  returns setof credits.gift_view
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_now timestamptz;
  v_account_id bigint;
  v_after credits.gifts;
  g credits.gifts;
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  v_now := auth.clock();
  select a.id into v_account_id from credits.accounts a where a.user_id = p_user_id;
  select t.* into v_after from credits.gifts t
   where t.id = p_after_id and v_account_id in (t.giver_account_id, t.receiver_account_id);
  if p_after_id is not null and v_after.id is null then
    return;
  end if;
  for g in
    select t.* from (
      (select m.* from credits.gifts m
        where m.giver_account_id = v_account_id and p_direction is distinct from 'received'
          and (v_after.id is null or (m.created_at, m.id) < (v_after.created_at, v_after.id))
        order by m.created_at desc, m.id desc limit p_limit)
      union all
      (select r.* from credits.gifts r
        where r.receiver_account_id = v_account_id and p_direction is distinct from 'made'
          and (v_after.id is null or (r.created_at, r.id) < (v_after.created_at, v_after.id))
        order by r.created_at desc, r.id desc limit p_limit)) t
     order by t.created_at desc, t.id desc limit p_limit
  loop
    return next credits.as_gift_view(g, case g.giver_account_id when v_account_id then 'made' else 'received' end, v_now);
  end loop;
end $$;
comment on function credits.list_gifts is 'Gifts the user made or received, newest first.';

create function credits.load_gift_for_mail(p_gift_id text, p_template text)
  returns table (amount bigint, giver_name text, message text, expires_at timestamptz)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', '', true);
  return query
    select g.amount, u.name, g.message, g.expires_at
      from credits.gifts g join credits.accounts a on a.id = g.giver_account_id join auth.users u on u.id = a.user_id
     where g.id = p_gift_id
       and g.status = case p_template when 'gift_waiting' then 'waiting' else 'redeemed' end
       and (g.status <> 'waiting' or g.expires_at > auth.clock());
end $$;
comment on function credits.load_gift_for_mail is 'What a mail about a gift says; no row when there is nothing to tell any more.';

-- Forgetting people -----------------------------------------------------------------------------------

create function credits.forget_gifts() returns trigger
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_account_id bigint;
begin
  select a.id into v_account_id from credits.accounts a where a.user_id = new.id;
  update credits.gifts g
     set message = null,
         -- Needed until it is delivered; it goes with the end of the gift.
         recipient_email = case when g.status = 'waiting' then g.recipient_email end
   where g.giver_account_id = v_account_id;
  update credits.gifts g set recipient_email = null where g.receiver_account_id = v_account_id;
  return null;
end $$;
create trigger users_forget_gifts after update of status on auth.users for each row
  when (new.status = 'erased' and old.status is distinct from new.status) execute function credits.forget_gifts();

-- Accounts that sleep ----------------------------------------------------------------------------------

create function credits.settle_sleeping(p_limit integer) returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  a credits.accounts;
  v_account_id bigint;
  v_now timestamptz := auth.clock();
  v_settled bigint := 0;
begin
  perform set_config('tollgate.user_id', '', true);
  for v_account_id in
    select t.account_id from (
      (select l.account_id from credits.credit_grants l
        where l.open and l.expires_at <= v_now and l.remaining > l.held order by l.expires_at limit p_limit)
      union
      (select h.account_id from credits.holds h
        where h.status = 'open' and h.expires_at <= v_now order by h.expires_at limit p_limit)
      union
      (select g.giver_account_id from credits.gifts g
        where g.status = 'waiting' and g.expires_at <= v_now order by g.expires_at limit p_limit)) t
     -- In one order, so that two sweepers never wait for each other.
     order by t.account_id limit p_limit
  loop
    -- An account that is in use settles itself.
    update credits.accounts t set seq = t.seq + 1
     where t.id = (select s.id from credits.accounts s where s.id = v_account_id for no key update skip locked)
    returning t.* into a;
    continue when not found;
    -- Daily credits wait until their owner comes.
    a := credits.settle(a, auth.clock(), 0, 0);
    perform credits.give_back_seq(a.id);
    v_settled := v_settled + 1;
  end loop;
  return v_settled;
end $$;
comment on function credits.settle_sleeping is
  'Writes down what has lapsed in accounts that nobody looks at: lots, holds, gifts. Says how many accounts.';

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
  credits.create_gift(text, text, text, bytea, bigint, text, text, timestamptz, text, bytea, bigint, integer, jsonb),
  credits.redeem_gift(text, bytea, bigint, integer, jsonb),
  credits.cancel_gift(text, text, bigint, integer),
  credits.list_gifts(text, text, text, integer),
  credits.announce_gift(text),
  credits.sweep_gifts(),
  credits.load_gift_for_mail(text, text),
  credits.settle_sleeping(integer)
  to tollgate_app;
grant usage on type credits.gift_view, credits.gifted to tollgate_app, tollgate_definer;
revoke create on schema credits from tollgate_definer;

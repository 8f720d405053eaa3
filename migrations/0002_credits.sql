-- The credit ledger: accounts, lots, entries, holds, purchases, and what guards them.
--
-- What must never happen is refused here, so that a defect of the service cannot cause it:
-- a credit made or lost (both legs of an entry are in its row and a CHECK makes them sum to
-- zero), a balance below zero (CHECK on the lot), a second charge for one request (unique
-- key), a changed past (append-only), a lot changed by anything but an entry (trigger).
--
-- One row per account is the lock and the version. Every operation begins by raising its
-- `seq`; whoever does so is alone on the account until the transaction ends, and the entry
-- it writes carries that number. An operation that writes no entry gives the number back, so
-- that the numbers of the entries have no gaps.

create schema credits;
revoke all on schema credits from public;
grant usage on schema credits to tollgate_app, tollgate_definer;
grant create on schema credits to tollgate_definer; -- taken back at the end of this file
comment on schema credits is 'Who holds how many credits, and how that came about.';

create function credits.sum_of(p_values bigint[]) returns numeric
  language plpgsql immutable strict parallel safe as $$
declare
  v_sum numeric := 0;
  v_value bigint;
begin
  foreach v_value in array p_values loop
    v_sum := v_sum + v_value;
  end loop;
  return v_sum;
end $$;
comment on function credits.sum_of is 'The sum of the array, which cannot overflow; 0 for an empty one, null when a value is.';

-- Packages and purchases --------------------------------------------------------------

create table credits.packages (
  id          text        not null,
  name        text        not null,
  credits     bigint      not null,
  price_cents bigint      not null,
  currency    text        not null,
  active      boolean     not null default true,
  created_at  timestamptz not null,
  updated_at  timestamptz not null,
  constraint packages_pkey primary key (id),
  constraint packages_id_form check (id ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
  constraint packages_name_length check (char_length(name) between 1 and 100),
  constraint packages_credits_range check (credits between 1 and 1000000000000),
  constraint packages_price_positive check (price_cents > 0),
  constraint packages_currency_form check (currency ~ '^[A-Z]{3}$')
);
comment on table credits.packages is 'What can be bought. A package that was ever offered is deactivated, not deleted.';

-- Accounts ----------------------------------------------------------------------------

create table credits.accounts (
  id                    bigint      not null,
  user_id               text,
  organization_id       text,
  seq                   bigint      not null default 0,
  daily_due_at          timestamptz not null,
  n_daily_grants        integer     not null default 0,
  lapse_due_at          timestamptz not null default 'infinity',
  n_open_holds          integer     not null default 0,
  n_freezes             integer     not null default 0,
  decline_window_ends_at timestamptz not null default '-infinity',
  n_declines_in_window  integer     not null default 0,
  created_at            timestamptz not null,
  constraint accounts_pkey primary key (id),
  constraint accounts_user_key unique (user_id),
  constraint accounts_organization_key unique (organization_id),
  constraint accounts_user_fkey foreign key (user_id) references auth.users (id),
  constraint accounts_one_owner check ((user_id is null) <> (organization_id is null)),
  constraint accounts_seq_counts check (seq >= 0),
  -- Bounds what one settlement has to release when all of them lapse at once.
  constraint accounts_open_holds_limit check (n_open_holds between 0 and 1000),
  constraint accounts_freezes_count check (n_freezes >= 0)
) with (fillfactor = 70);
comment on table credits.accounts is
  'Who holds credits. The row is the lock and the version of the account; what it holds is in its lots, how that came about in its entries.';
comment on column credits.accounts.id is
  'A random number: needs no counter shared by several databases, and part of public ids without telling how many accounts there are.';
comment on column credits.accounts.seq is 'The number of the last entry. Indexed by nothing, so that raising it stays on its page.';
comment on column credits.accounts.daily_due_at is 'When the next daily credits fall due; they are added when the account is next used or looked at.';
comment on column credits.accounts.lapse_due_at is 'Before this moment no lot and no hold lapses. May be early, never late.';
comment on column credits.accounts.n_freezes is 'Freezes not lifted; the account is frozen while there is one. Kept by a trigger.';
comment on column credits.accounts.n_declines_in_window is
  'Declines written down in the minute that ends at decline_window_ends_at; there is a limit, so that an empty account cannot fill the ledger.';

create table credits.freezes (
  account_id bigint      not null,
  id         text        not null,
  reason     text        not null,
  created_at timestamptz not null,
  lifted_at  timestamptz,
  constraint freezes_pkey primary key (account_id, id),
  constraint freezes_account_fkey foreign key (account_id) references credits.accounts (id),
  constraint freezes_id_length check (char_length(id) between 1 and 255),
  constraint freezes_reason_known check (reason in ('dispute', 'admin'))
);
comment on table credits.freezes is
  'Why nothing may be spent. Each has its own row, named by its cause, so that lifting one leaves the others in force.';

create table credits.spend_limits (
  account_id     bigint      not null,
  app_id         text        not null,
  period         text        not null,
  cap            bigint      not null,
  spent          bigint      not null default 0,
  window_ends_at timestamptz not null default '-infinity',
  constraint spend_limits_pkey primary key (account_id, app_id, period),
  constraint spend_limits_account_fkey foreign key (account_id) references credits.accounts (id),
  constraint spend_limits_app_length check (char_length(app_id) between 1 and 64),
  constraint spend_limits_period_known check (period in ('day', 'month')),
  constraint spend_limits_cap_range check (cap between 0 and 1000000000000),
  constraint spend_limits_kept check (spent between 0 and cap)
) with (fillfactor = 70);
comment on table credits.spend_limits is 'How much an app may spend of an account in a day or a month, and how much it has.';

create table credits.signup_bonus_claims (
  email_digest bytea       not null,
  claimed_at   timestamptz not null,
  constraint signup_bonus_claims_pkey primary key (email_digest),
  constraint signup_bonus_claims_digest_length check (octet_length(email_digest) = 32)
);
comment on table credits.signup_bonus_claims is
  'Addresses that had their signup bonus, as keyed digests of the canonical form. Kept when the person is erased; says nothing without the key.';

create table credits.purchases (
  account_id          bigint      not null,
  id                  text        not null,
  package_id          text        not null,
  credits             bigint      not null,
  price_cents         bigint      not null,
  currency            text        not null,
  status              text        not null default 'pending',
  checkout_session_id text,
  payment_id          text,
  refunded_cents      bigint      not null default 0,
  disputed_cents      bigint      not null default 0,
  clawed_back         bigint      not null default 0,
  created_at          timestamptz not null,
  paid_at             timestamptz,
  constraint purchases_pkey primary key (account_id, id),
  constraint purchases_account_fkey foreign key (account_id) references credits.accounts (id),
  constraint purchases_package_fkey foreign key (package_id) references credits.packages (id),
  constraint purchases_checkout_session_key unique (checkout_session_id),
  constraint purchases_payment_key unique (payment_id),
  constraint purchases_id_length check (char_length(id) between 1 and 64),
  constraint purchases_credits_range check (credits between 1 and 1000000000000),
  constraint purchases_price_positive check (price_cents > 0),
  constraint purchases_currency_form check (currency ~ '^[A-Z]{3}$'),
  constraint purchases_status_known check (status in ('pending', 'paid', 'failed', 'refunded')),
  constraint purchases_paid_dated check ((status in ('paid', 'refunded')) = (paid_at is not null)),
  constraint purchases_refunded_range check (refunded_cents between 0 and price_cents),
  constraint purchases_disputed_range check (disputed_cents between 0 and price_cents),
  constraint purchases_clawed_back_range check (clawed_back between 0 and credits)
);
create index purchases_newest on credits.purchases (account_id, created_at desc, id);
comment on table credits.purchases is
  'What was bought for how much. Written before the payment begins; credits and price are taken from here and never from what a payment provider sends back.';

-- Lots --------------------------------------------------------------------------------

create table credits.credit_grants (
  account_id          bigint      not null,
  id                  integer     not null,
  kind                text        not null,
  burn_rank           smallint    not null,
  priority            smallint    not null default 0,
  expires_at          timestamptz,
  remaining           bigint      not null default 0,
  held                bigint      not null default 0,
  open                boolean     not null default false,
  purchase_account_id bigint,
  purchase_id         text,
  gift_id             text,
  created_at          timestamptz not null,
  constraint credit_grants_pkey primary key (account_id, id),
  constraint credit_grants_account_fkey foreign key (account_id) references credits.accounts (id),
  constraint credit_grants_purchase_fkey foreign key (purchase_account_id, purchase_id)
    references credits.purchases (account_id, id),
  constraint credit_grants_held_covered check (held >= 0 and held <= remaining)
) with (fillfactor = 70);
-- `open` and not `remaining > 0`: an update that leaves it as it is stays on its page.
create index credit_grants_open on credits.credit_grants (account_id) where open;
-- Daily credits that do not lapse are one lot, refilled, so that an account does not grow with its age.
create unique index credit_grants_one_lasting_daily on credits.credit_grants (account_id)
  where kind = 'daily' and expires_at is null;
create index credit_grants_purchase on credits.credit_grants (purchase_account_id, purchase_id)
  where purchase_id is not null;
comment on table credits.credit_grants is
  'A lot of credits. Spent in the order burn_rank, priority, earliest expiry, id: what was free goes before what was paid.';
comment on column credits.credit_grants.burn_rank is 'The place of the kind in the order of spending; a rule of the row keeps it right.';
comment on column credits.credit_grants.open is 'Whether any are left. A rule of the row keeps it right.';
comment on column credits.credit_grants.remaining is 'Not yet spent, held credits included. Changed only by the trigger on entries.';
comment on column credits.credit_grants.held is 'Reserved by open holds. Changed only by the trigger on entries.';
comment on column credits.credit_grants.purchase_id is
  'The purchase these credits come from, also after they were given away, so that a claw-back finds them.';

-- Holds -------------------------------------------------------------------------------

create table credits.holds (
  account_id       bigint      not null,
  id               text        not null,
  placed_by        text        not null,
  amount           bigint      not null,
  captured         bigint      not null default 0,
  status           text        not null default 'open',
  credit_grant_ids integer[]   not null,
  reserved         bigint[]    not null,
  app_id           text        not null,
  description      text,
  created_at       timestamptz not null,
  expires_at       timestamptz not null,
  ended_at         timestamptz,
  constraint holds_pkey primary key (account_id, id),
  constraint holds_account_fkey foreign key (account_id) references credits.accounts (id)
) with (fillfactor = 80);
create index holds_open on credits.holds (account_id, expires_at) where status = 'open';
comment on table credits.holds is
  'Credits set aside for a request that is under way. Taken from named lots when placed, so that a capture cannot fail for want of credits.';
comment on column credits.holds.placed_by is 'The principal that placed it; for any other it does not exist.';
comment on column credits.holds.reserved is 'What is still set aside in each lot of credit_grant_ids; empty once the hold has ended.';

-- Entries -----------------------------------------------------------------------------

create table credits.entries (
  account_id       bigint      not null,
  seq              bigint      not null,
  kind             text        not null,
  status           text        not null default 'posted',
  amount           bigint      not null,
  system_account   text,
  system_delta     bigint      not null default 0,
  credit_grant_ids integer[]   not null default '{}',
  deltas           bigint[]    not null default '{}',
  held_deltas      bigint[]    not null default '{}',
  debt_delta       bigint      not null default 0,
  balance_after    bigint      not null default 0,
  earned_after     bigint      not null default 0,
  spent_after      bigint      not null default 0,
  debt_after       bigint      not null default 0,
  available_after  bigint,
  app_id           text,
  description      text,
  metadata         jsonb,
  hold_id          text,
  hold_status      text,
  hold_captured    bigint,
  refunds_seq      bigint,
  purchase_id      text,
  gift_id          text,
  key_scope        text,
  idempotency_key  text,
  fingerprint      bytea,
  created_at       timestamptz not null,
  constraint entries_pkey primary key (account_id, seq),
  constraint entries_hold_fkey foreign key (account_id, hold_id) references credits.holds (account_id, id),
  constraint entries_refunds_fkey foreign key (account_id, refunds_seq) references credits.entries (account_id, seq)
);
create unique index entries_account_idempotency_key on credits.entries (account_id, key_scope, idempotency_key)
  where idempotency_key is not null;
comment on table credits.entries is
  'The ledger: one immutable row for each thing that happened to an account, numbered without gaps. Holding and releasing are entries that move nothing but what is reserved.';
comment on column credits.entries.amount is 'How many credits it is about, without sign.';
comment on column credits.entries.system_account is
  'The other side: sales, promotion, usage, breakage (lapsed), gift_escrow, claw_back, adjustment. Their balances are sums over entries, never a row that everyone waits for.';
comment on column credits.entries.system_delta is 'What the other side gained; the sum of deltas with the opposite sign.';
comment on column credits.entries.credit_grant_ids is 'The lots it moved.';
comment on column credits.entries.deltas is 'The change of `remaining` of each of these lots; empty when none changes.';
comment on column credits.entries.held_deltas is 'The change of `held` of each of these lots; empty when none changes.';
comment on column credits.entries.debt_delta is 'What of a claw-back could not be taken, or is repaid now.';
comment on column credits.entries.balance_after is 'All credits of the account, held ones included. Computed by the trigger, as are the other totals.';
comment on column credits.entries.available_after is 'What could be spent, as the caller was told; null for entries that answer nobody.';
comment on column credits.entries.hold_status is 'The hold as the caller was told, with hold_captured.';
comment on column credits.entries.refunds_seq is 'The usage that this entry gives back.';
comment on column credits.entries.key_scope is 'Who chose the key: `system`, or the authenticated client.';
comment on column credits.entries.fingerprint is 'SHA-256 of operation, path and every field of the request: the same key with another one is an error.';

-- Rules of the rows -------------------------------------------------------------------

-- A CHECK that spells a rule out is parsed anew by every statement; for the entries that was
-- more than half of what a charge costs. So each table has one CHECK that calls a function,
-- which is compiled once. The names it refuses with are as stable as those of constraints.

create function credits.refuse_row(p_table text, p_rule text) returns void
  language plpgsql immutable as $$
begin
  raise exception 'a row of credits.% breaks the rule %', p_table, p_rule
    using errcode = 'check_violation', schema = 'credits', table = p_table, constraint = p_rule;
end $$;

create function credits.burn_rank(p_kind text) returns smallint
  language sql immutable strict parallel safe
  return case p_kind when 'daily' then 1 when 'signup' then 2 when 'gift' then 3 when 'refund' then 4 else 5 end;
comment on function credits.burn_rank is 'What was free goes before what was paid.';

create function credits.check_credit_grant(g credits.credit_grants) returns boolean
  language plpgsql immutable as $$
begin
  if g.open <> (g.remaining > 0) then
    perform credits.refuse_row('credit_grants', 'credit_grants_open_when_left');
  end if;
  if g.burn_rank <> credits.burn_rank(g.kind) then
    perform credits.refuse_row('credit_grants', 'credit_grants_burn_rank_of_kind');
  end if;
  if g.id <= 0 then
    perform credits.refuse_row('credit_grants', 'credit_grants_id_positive');
  end if;
  if g.kind not in ('daily', 'signup', 'gift', 'refund', 'purchase') then
    perform credits.refuse_row('credit_grants', 'credit_grants_kind_known');
  end if;
  if (g.purchase_account_id is null) <> (g.purchase_id is null) then
    perform credits.refuse_row('credit_grants', 'credit_grants_purchase_whole');
  end if;
  if (g.kind = 'purchase' and g.purchase_account_id is distinct from g.account_id)
     or (g.kind not in ('purchase', 'gift') and g.purchase_id is not null) then
    perform credits.refuse_row('credit_grants', 'credit_grants_purchase_kept');
  end if;
  if g.kind <> 'gift' and g.gift_id is not null then
    perform credits.refuse_row('credit_grants', 'credit_grants_gift_kept');
  end if;
  return true;
end $$;
alter table credits.credit_grants add constraint credit_grants_rules check (credits.check_credit_grant(credit_grants));

create function credits.is_client_scope(p_scope text) returns boolean
  language sql immutable strict parallel safe
  return p_scope like 'user:_%' or p_scope like 'app:_%' or p_scope like 'service:_%';
comment on function credits.is_client_scope is 'Whether it names a client: a user, an app or a service.';

create function credits.check_hold(h credits.holds) returns boolean
  language plpgsql immutable as $$
begin
  if h.id !~ '^[A-Za-z0-9_-]{22}$' then
    perform credits.refuse_row('holds', 'holds_id_form');
  end if;
  if not credits.is_client_scope(h.placed_by) then
    perform credits.refuse_row('holds', 'holds_placed_by_form');
  end if;
  if h.amount not between 1 and 1000000000000 or h.captured not between 0 and h.amount then
    perform credits.refuse_row('holds', 'holds_amount_range');
  end if;
  if h.status not in ('open', 'captured', 'released', 'expired') or (h.status = 'open') <> (h.ended_at is null) then
    perform credits.refuse_row('holds', 'holds_status_known');
  end if;
  if cardinality(h.credit_grant_ids) <> cardinality(h.reserved) or (case h.status
       when 'open' then 0 < all (h.reserved) and credits.sum_of(h.reserved) = h.amount - h.captured and h.captured < h.amount
       else cardinality(h.reserved) = 0 end) is not true then
    perform credits.refuse_row('holds', 'holds_reserved_fits');
  end if;
  if char_length(h.app_id) not between 1 and 64 then
    perform credits.refuse_row('holds', 'holds_app_length');
  end if;
  if char_length(h.description) not between 1 and 500 then
    perform credits.refuse_row('holds', 'holds_description_length');
  end if;
  -- Credits nobody can use must not stay reserved for long by somebody who is gone.
  if h.expires_at <= h.created_at or h.expires_at > h.created_at + interval '1 hour' then
    perform credits.refuse_row('holds', 'holds_ttl_limit');
  end if;
  return true;
end $$;
alter table credits.holds add constraint holds_rules check (credits.check_hold(holds));

create function credits.legs_fit_kind(e credits.entries) returns boolean
  language plpgsql immutable as $$
begin
  if e.status = 'declined' then
    return e.kind in ('usage', 'hold') and cardinality(e.credit_grant_ids) = 0 and e.system_account is null
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
comment on function credits.legs_fit_kind is 'Whether the right accounts gained and lost for an entry of this kind.';

create function credits.amount_fits_legs(e credits.entries) returns boolean
  language plpgsql immutable as $$
begin
  if e.debt_delta <> 0 then
    return e.system_account = 'claw_back' and e.status = 'posted'
      and e.amount between abs(e.system_delta) and abs(e.system_delta) + abs(e.debt_delta);
  elsif e.status = 'declined' then
    return e.system_delta = 0;
  elsif e.kind in ('hold', 'release') then
    return abs(credits.sum_of(e.held_deltas)) = e.amount;
  end if;
  return abs(e.system_delta) = e.amount;
end $$;
comment on function credits.amount_fits_legs is 'Whether as much moved as the entry says.';

create function credits.key_is_whole(e credits.entries) returns boolean
  language plpgsql immutable as $$
begin
  if e.idempotency_key is null or e.key_scope is null then
    return e.idempotency_key is null and e.key_scope is null and e.fingerprint is null;
  end if;
  return octet_length(e.idempotency_key) between 1 and 255
    and (e.key_scope = 'system') = (e.fingerprint is null)
    and (e.fingerprint is null or octet_length(e.fingerprint) = 32);
end $$;

-- Requests and the system never share a name space: a charge that a client names like a
-- payment must not stand in the way of that payment.
create function credits.key_scope_is_right(e credits.entries) returns boolean
  language plpgsql immutable as $$
begin
  if e.key_scope is null then
    return true;
  elsif e.key_scope = 'system' then
    return e.kind not in ('usage', 'hold', 'release');
  end if;
  return e.kind not in ('purchase', 'bonus', 'daily', 'expiry') and credits.is_client_scope(e.key_scope);
end $$;

create function credits.check_entry(e credits.entries) returns boolean
  language plpgsql immutable as $$
declare
  -- 2^53 - 1: the largest number that every JSON reader keeps exact.
  c_most constant bigint := 9007199254740991;
begin
  if e.status not in ('posted', 'declined') then
    perform credits.refuse_row('entries', 'entries_status_known');
  end if;
  if e.amount not between 1 and 1000000000000 then
    perform credits.refuse_row('entries', 'entries_amount_range');
  end if;
  -- A slip in the configuration, or a stolen database password, must not mint a fortune.
  if e.kind in ('bonus', 'daily') and e.amount > 1000000 then
    perform credits.refuse_row('entries', 'entries_free_amount_limit');
  end if;
  if cardinality(e.deltas) not in (0, cardinality(e.credit_grant_ids))
     or cardinality(e.held_deltas) not in (0, cardinality(e.credit_grant_ids)) then
    perform credits.refuse_row('entries', 'entries_legs_whole');
  end if;
  if e.system_delta is distinct from -credits.sum_of(e.deltas) then
    perform credits.refuse_row('entries', 'entries_legs_balanced');
  end if;
  if credits.legs_fit_kind(e) is not true then
    perform credits.refuse_row('entries', 'entries_legs_fit_kind');
  end if;
  if credits.amount_fits_legs(e) is not true then
    perform credits.refuse_row('entries', 'entries_amount_fits_legs');
  end if;
  if e.balance_after not between 0 and c_most or e.earned_after not between 0 and c_most
     or abs(e.spent_after) > c_most or e.debt_after not between 0 and c_most then
    perform credits.refuse_row('entries', 'entries_balance_limit');
  end if;
  if e.available_after not between 0 and e.balance_after then
    perform credits.refuse_row('entries', 'entries_available_range');
  end if;
  if char_length(e.app_id) not between 1 and 64 or char_length(e.description) not between 1 and 500
     or jsonb_typeof(e.metadata) <> 'object' then
    perform credits.refuse_row('entries', 'entries_texts_fit');
  end if;
  if (e.hold_id is null) <> (e.hold_status is null) or (e.hold_id is null) <> (e.hold_captured is null) then
    perform credits.refuse_row('entries', 'entries_hold_whole');
  end if;
  if not credits.key_is_whole(e) then
    perform credits.refuse_row('entries', 'entries_key_whole');
  end if;
  if not credits.key_scope_is_right(e) then
    perform credits.refuse_row('entries', 'entries_key_scope_known');
  end if;
  return true;
end $$;
alter table credits.entries add constraint entries_rules check (credits.check_entry(entries));

-- Guards ------------------------------------------------------------------------------

create function credits.apply_entry() returns trigger
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  l record;
  v_earned constant bigint := case when new.system_account in ('sales', 'promotion', 'gift_escrow', 'adjustment')
    then greatest(-new.system_delta, 0) else 0 end;
begin
  -- The entry before and the account in one look: there is no gap, and this one is next.
  select a.seq, p.seq as last_seq, p.balance_after, p.earned_after, p.spent_after, p.debt_after into l
    from credits.accounts a left join credits.entries p on p.account_id = a.id and p.seq = new.seq - 1
   where a.id = new.account_id;
  if l.seq is distinct from new.seq or coalesce(l.last_seq, 0) <> new.seq - 1 then
    raise exception 'entry % of account % is not the next one', new.seq, new.account_id
      using errcode = 'restrict_violation', constraint = 'entries_next_only';
  end if;
  new.balance_after := coalesce(l.balance_after, 0) - new.system_delta;
  new.earned_after := coalesce(l.earned_after, 0) + v_earned;
  new.spent_after := coalesce(l.spent_after, 0)
    + case new.system_account when 'usage' then new.system_delta else 0 end;
  new.debt_after := coalesce(l.debt_after, 0) + new.debt_delta;
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
comment on function credits.apply_entry is
  'Accepts only the next entry of an account, computes its totals from the entry before, and moves the lots. The only thing that may. Never insert an entry with ON CONFLICT: the lots would have moved before the conflict is noticed.';
create trigger entries_apply before insert on credits.entries
  for each row execute function credits.apply_entry();

create function credits.refuse_change() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  raise exception '% on %.% is refused: the ledger changes only by new entries', tg_op, tg_table_schema, tg_table_name
    using errcode = 'restrict_violation';
end $$;
create trigger entries_append_only before update or delete on credits.entries
  for each row execute function credits.refuse_change();
create trigger entries_no_truncate before truncate on credits.entries
  execute function credits.refuse_change();
create trigger credit_grants_start_empty before insert on credits.credit_grants
  for each row when (new.remaining <> 0 or new.held <> 0 or new.open) execute function credits.refuse_change();
-- Inside the trigger on entries the depth is 1.
create trigger credit_grants_by_entry_only before update on credits.credit_grants
  for each row when (pg_trigger_depth() = 0) execute function credits.refuse_change();
create trigger credit_grants_no_delete before delete on credits.credit_grants
  for each row execute function credits.refuse_change();
create trigger credit_grants_no_truncate before truncate on credits.credit_grants
  execute function credits.refuse_change();
create trigger holds_no_delete before delete on credits.holds
  for each row execute function credits.refuse_change();
create trigger holds_no_truncate before truncate on credits.holds
  execute function credits.refuse_change();
create trigger accounts_no_delete before delete on credits.accounts
  for each row execute function credits.refuse_change();
create trigger accounts_no_truncate before truncate on credits.accounts
  execute function credits.refuse_change();
create trigger signup_bonus_claims_append_only before update or delete on credits.signup_bonus_claims
  for each row execute function credits.refuse_change();
create trigger freezes_no_delete before delete on credits.freezes
  for each row execute function credits.refuse_change();

create function credits.count_freeze() returns trigger
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update credits.accounts a
     set n_freezes = a.n_freezes + (new.lifted_at is null)::integer
                     - case tg_op when 'UPDATE' then (old.lifted_at is null)::integer else 0 end
   where a.id = new.account_id;
  return null;
end $$;
create trigger freezes_count after insert or update on credits.freezes
  for each row execute function credits.count_freeze();

-- Row-level security ------------------------------------------------------------------

create function credits.current_account_ids() returns bigint[]
  language sql stable security definer set search_path = pg_catalog, pg_temp
  return array(select a.id from credits.accounts a where a.user_id = auth.current_user_id());
comment on function credits.current_account_ids is 'The accounts that the current user may see.';

do $$
declare
  v_table text;
begin
  foreach v_table in array array['accounts', 'credit_grants', 'holds', 'entries', 'purchases', 'freezes', 'spend_limits'] loop
    execute format('alter table credits.%I enable row level security', v_table);
    execute format('alter table credits.%I force row level security', v_table);
    execute format('create policy %I on credits.%I to tollgate_definer using (true) with check (true)',
      v_table || '_definer', v_table);
    execute format('create policy %I on credits.%I for select to tollgate_app using (%s)',
      v_table || '_own', v_table,
      case v_table when 'accounts' then 'user_id = (select auth.current_user_id())'
                   else 'account_id = any ((select credits.current_account_ids())::bigint[])' end);
    execute format('grant select on credits.%I to tollgate_app', v_table);
  end loop;
end $$;
grant select on credits.packages to tollgate_app;

grant select on credits.packages, credits.freezes, credits.spend_limits, credits.purchases to tollgate_definer;
grant select, insert on credits.signup_bonus_claims, credits.credit_grants, credits.entries to tollgate_definer;
grant update (remaining, held, open) on credits.credit_grants to tollgate_definer;
grant select, insert, update on credits.accounts, credits.holds to tollgate_definer;

alter function credits.apply_entry() owner to tollgate_definer;
alter function credits.refuse_change() owner to tollgate_definer;
alter function credits.count_freeze() owner to tollgate_definer;
alter function credits.current_account_ids() owner to tollgate_definer;

revoke execute on all functions in schema credits from public;
grant execute on function credits.current_account_ids() to tollgate_app;
grant execute on function credits.sum_of(bigint[]), credits.refuse_row(text, text), credits.is_client_scope(text),
  credits.burn_rank(text),
  credits.check_credit_grant(credits.credit_grants), credits.check_hold(credits.holds), credits.check_entry(credits.entries),
  credits.legs_fit_kind(credits.entries), credits.amount_fits_legs(credits.entries),
  credits.key_is_whole(credits.entries), credits.key_scope_is_right(credits.entries)
  to tollgate_definer;
revoke create on schema credits from tollgate_definer;

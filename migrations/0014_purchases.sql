-- Purchases by Stripe: packages, checkouts, what Stripe reports, and what becomes of it.
--
-- What Stripe reports is kept as facts: a refund, a dispute, the most that was ever refunded of a
-- charge. Each fact only ever moves forward, and what a purchase is worth is computed anew from
-- all of them. So it does not matter in which order reports come, nor how often.

grant create on schema credits to tollgate_definer; -- taken back at the end of this file
grant create on schema auth to tollgate_definer;

-- Purchases ---------------------------------------------------------------------------

alter table credits.purchases
  drop constraint purchases_status_known,
  add constraint purchases_status_known check (status in ('pending', 'expired', 'failed', 'paid', 'refunded')),
  add column success_url     text,
  add column cancel_url      text,
  add column checkout_url    text,
  add column idempotency_key text,
  add column fingerprint     bytea,
  add column problem         text,
  add constraint purchases_urls_length
    check (octet_length(success_url) <= 2048 and octet_length(cancel_url) <= 2048 and octet_length(checkout_url) <= 4096),
  add constraint purchases_key_whole
    check ((idempotency_key is null) = (fingerprint is null) and octet_length(idempotency_key) between 1 and 255
           and octet_length(fingerprint) = 32),
  add constraint purchases_payment_of_paid check ((payment_id is null) or status in ('paid', 'refunded')),
  add constraint purchases_problem_known check (problem in ('wrong_amount', 'wrong_currency', 'wrong_session', 'paid_twice'));
comment on column credits.purchases.checkout_url is
  'Where the user pays; null until Stripe has opened the checkout, and again a day later, as are the other two: they may say something about a person.';
comment on column credits.purchases.fingerprint is 'SHA-256 of the request: the same key with another one is an error.';
comment on column credits.purchases.problem is 'Why a payment that Stripe reported was not accepted; an operator decides.';
-- Reports name a purchase by its id alone.
create unique index purchases_id on credits.purchases (id);
create unique index purchases_account_idempotency_key on credits.purchases (account_id, idempotency_key)
  where idempotency_key is not null;
create index purchases_urls on credits.purchases (created_at) where success_url is not null;
create index purchases_problem on credits.purchases (created_at desc, id) where problem is not null;
create trigger purchases_no_delete before delete on credits.purchases
  for each row execute function credits.refuse_change();
create trigger purchases_no_truncate before truncate on credits.purchases
  execute function credits.refuse_change();

-- Facts -------------------------------------------------------------------------------

create table credits.payments (
  id                     text        not null,
  charge_refunded_cents  bigint      not null default 0,
  created_at             timestamptz not null,
  constraint payments_pkey primary key (id),
  constraint payments_id_length check (char_length(id) between 1 and 200),
  constraint payments_charge_refunded_range check (charge_refunded_cents >= 0)
);
comment on table credits.payments is
  'A payment that Stripe has reported something about, also before its purchase is known. Its row is the lock of the payment.';
comment on column credits.payments.charge_refunded_cents is 'The most that any report said was refunded of the charge, in all.';

create table credits.payment_refunds (
  id           text        not null,
  payment_id   text        not null,
  amount_cents bigint      not null,
  failed       boolean     not null,
  created_at   timestamptz not null,
  constraint payment_refunds_pkey primary key (id),
  constraint payment_refunds_payment_fkey foreign key (payment_id) references credits.payments (id),
  constraint payment_refunds_id_length check (char_length(id) between 1 and 200),
  constraint payment_refunds_amount_range check (amount_cents >= 0)
);
create index payment_refunds_payment on credits.payment_refunds (payment_id);
comment on table credits.payment_refunds is 'Refunds that Stripe has reported. One that has failed stays failed.';

create table credits.payment_disputes (
  id           text        not null,
  payment_id   text        not null,
  amount_cents bigint      not null,
  currency     text        not null,
  status       text        not null,
  reported_at  timestamptz not null,
  created_at   timestamptz not null,
  constraint payment_disputes_pkey primary key (id),
  constraint payment_disputes_payment_fkey foreign key (payment_id) references credits.payments (id),
  constraint payment_disputes_id_length check (char_length(id) between 1 and 200),
  constraint payment_disputes_amount_range check (amount_cents >= 0),
  constraint payment_disputes_currency_form check (currency ~ '^[A-Z]{3}$'),
  constraint payment_disputes_status_known check (status in ('inquiry', 'open', 'won', 'lost'))
);
create index payment_disputes_payment on credits.payment_disputes (payment_id);
comment on table credits.payment_disputes is
  'Disputes that Stripe has reported. From an inquiry to open to won or lost, never back; of two endings the later report counts.';
comment on column credits.payment_disputes.reported_at is 'When Stripe made the report that the status is from.';

create table credits.stripe_events (
  id              text        not null,
  type            text        not null,
  object_id       text,
  payment_id      text,
  purchase_id     text,
  facts           jsonb       not null,
  state           text        not null,
  outcome         text,
  n_deliveries    integer     not null default 1,
  attempts        integer     not null default 0,
  next_attempt_at timestamptz not null,
  last_error_code text,
  created_at      timestamptz not null,
  received_at     timestamptz not null,
  done_at         timestamptz,
  constraint stripe_events_pkey primary key (id),
  constraint stripe_events_id_length check (char_length(id) between 1 and 200),
  constraint stripe_events_type_length check (char_length(type) between 1 and 100),
  constraint stripe_events_state_known check (state in ('waiting', 'applied', 'ignored', 'refused', 'dead')),
  constraint stripe_events_done_dated check ((state = 'waiting') = (done_at is null))
);
create index stripe_events_due on credits.stripe_events (next_attempt_at, created_at) where state = 'waiting';
create index stripe_events_done on credits.stripe_events (done_at) where state in ('applied', 'ignored');
create index stripe_events_newest on credits.stripe_events (received_at desc, id);
comment on table credits.stripe_events is
  'The inbox: what Stripe reported, stored before it is answered and applied afterwards. Holds ids and amounts, nothing about a person.';
comment on column credits.stripe_events.created_at is 'When Stripe made the report.';
comment on column credits.stripe_events.state is
  'waiting to be applied; applied; ignored: no concern of ours; refused: a payment that does not fit its purchase; dead: could not be applied. The last two wait for an operator.';

do $$
declare
  v_table text;
begin
  foreach v_table in array array['payments', 'payment_refunds', 'payment_disputes', 'stripe_events'] loop
    execute format('alter table credits.%I enable row level security', v_table);
    execute format('alter table credits.%I force row level security', v_table);
    execute format('create policy %I on credits.%I to tollgate_definer using (true) with check (true)',
      v_table || '_definer', v_table);
    execute format('grant select, insert, update on credits.%I to tollgate_definer', v_table);
  end loop;
end $$;
grant delete on credits.stripe_events to tollgate_definer;
grant insert, update on credits.purchases to tollgate_definer;
grant insert, update on credits.freezes to tollgate_definer;
grant insert, update, delete on credits.packages to tollgate_definer;

-- Packages ----------------------------------------------------------------------------

create function credits.apply_to_package(p_act text, p_id text, p_fields jsonb, p_user_id text, p_request jsonb)
  returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  case p_act
    when 'create' then
      insert into credits.packages (id, name, credits, price_cents, currency, created_at, updated_at)
      values (p_id, p_fields ->> 'name', (p_fields ->> 'credits')::bigint, (p_fields ->> 'priceCents')::bigint,
              p_fields ->> 'currency', auth.clock(), auth.clock())
      on conflict on constraint packages_pkey do nothing;
      if not found then
        return 'conflict';
      end if;
    when 'update' then
      update credits.packages p
         set name = p_fields ->> 'name', credits = (p_fields ->> 'credits')::bigint,
             price_cents = (p_fields ->> 'priceCents')::bigint, currency = p_fields ->> 'currency', updated_at = auth.clock()
       where p.id = p_id;
    when 'activate', 'deactivate' then
      update credits.packages p set active = (p_act = 'activate'), updated_at = auth.clock() where p.id = p_id;
    when 'delete' then
      begin
        delete from credits.packages p where p.id = p_id;
      exception when foreign_key_violation then
        -- What was bought must stay readable.
        return 'conflict';
      end;
  end case;
  if p_act <> 'create' and not found then
    return 'not_found';
  end if;
  perform auth.record_event('package_' || rtrim(p_act, 'e') || 'ed', 'success', p_user_id, null,
    jsonb_build_object('id', p_id) || p_fields, p_request);
  return 'done';
end $$;

create function credits.act_on_package(
  p_admin_id text, p_session_id text, p_act text, p_id text, p_fields jsonb, p_request jsonb) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_standing text;
begin
  perform set_config('tollgate.user_id', p_admin_id, true);
  v_standing := auth.admin_standing(p_admin_id, p_session_id);
  if v_standing <> 'fresh' then
    return v_standing;
  end if;
  return credits.apply_to_package(p_act, p_id, p_fields, p_admin_id,
    p_request || jsonb_build_object('actorKind', 'admin', 'actorId', p_admin_id));
end $$;
comment on function credits.act_on_package is
  'An act of an admin on a package: create, update, activate, deactivate, delete. outcome: done, not_found, conflict, or why not: stale, ended, forbidden.';

create function credits.operate_on_package(p_act text, p_id text, p_fields jsonb) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', '', true);
  return credits.apply_to_package(p_act, p_id, p_fields, null, '{"actorKind": "system", "actorId": "operator"}');
end $$;
comment on function credits.operate_on_package is 'The same act from the command line. For tollgate_owner only.';

-- Checkout ----------------------------------------------------------------------------

create type credits.checkout as (
  outcome text, replayed boolean, purchase_id text, package_name text, price_cents bigint, currency text,
  success_url text, cancel_url text, checkout_url text, status text, created_at timestamptz);
comment on type credits.checkout is 'What became of the wish to buy, and the purchase when there is one.';

create function credits.as_checkout(p_outcome text, p_replayed boolean, p_package_name text, p credits.purchases)
  returns credits.checkout
  language sql immutable
  return row(p_outcome, p_replayed, p.id, p_package_name, p.price_cents, p.currency, p.success_url, p.cancel_url,
             p.checkout_url, p.status, p.created_at)::credits.checkout;

create function credits.begin_checkout(
  p_user_id text, p_purchase_id text, p_package_id text, p_success_url text, p_cancel_url text,
  p_idempotency_key text, p_fingerprint bytea, p_open_secs integer, p_max_open integer)
  returns credits.checkout
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  a credits.accounts;
  p credits.purchases;
  o credits.packages;
  v_now timestamptz;
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  -- One at a time for each account, so that the count below is exact and a key begins one purchase.
  select t.* into a from credits.accounts t where t.user_id = p_user_id for no key update;
  if not found then
    return credits.as_checkout('no_account', false, null, null);
  end if;
  v_now := auth.clock();
  select t.* into p from credits.purchases t where t.account_id = a.id and t.idempotency_key = p_idempotency_key;
  if found then
    if p.fingerprint is distinct from p_fingerprint then
      return credits.as_checkout('key_reused', true, null, null);
    end if;
    select t.* into strict o from credits.packages t where t.id = p.package_id;
    return credits.as_checkout('begun', true, o.name, p);
  end if;
  if a.n_freezes > 0 then
    return credits.as_checkout('frozen', false, null, null);
  end if;
  select t.* into o from credits.packages t where t.id = p_package_id and t.active for share;
  if not found then
    return credits.as_checkout('no_package', false, null, null);
  end if;
  -- The one that makes it as many as may be, counted from the newest: when it runs out, another may begin.
  select t.* into p from credits.purchases t
   where t.account_id = a.id and t.status = 'pending' and t.created_at > v_now - make_interval(secs => p_open_secs)
   order by t.created_at desc offset p_max_open - 1 limit 1;
  if found then
    return credits.as_checkout('too_many', false, null, p);
  end if;
  insert into credits.purchases as t
    (account_id, id, package_id, credits, price_cents, currency, success_url, cancel_url,
     idempotency_key, fingerprint, created_at)
  values (a.id, p_purchase_id, o.id, o.credits, o.price_cents, o.currency, p_success_url, p_cancel_url,
     p_idempotency_key, case when p_idempotency_key is not null then p_fingerprint end, v_now)
  returning t.* into p;
  return credits.as_checkout('begun', false, o.name, p);
end $$;
comment on function credits.begin_checkout is
  'Writes the purchase down before Stripe hears of it. outcome: begun, key_reused, frozen, no_package, too_many, no_account.';

create function credits.note_checkout(p_user_id text, p_purchase_id text, p_session_id text, p_url text) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  update credits.purchases p
     set checkout_session_id = p_session_id, checkout_url = p_url
    from credits.accounts a
   where a.user_id = p_user_id and p.account_id = a.id and p.id = p_purchase_id
     and (p.checkout_session_id is null or p.checkout_session_id = p_session_id);
  return found;
end $$;
comment on function credits.note_checkout is 'Notes which checkout Stripe has opened for a purchase; false when it has another.';

create function credits.fail_checkout(p_user_id text, p_purchase_id text) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  update credits.purchases p set status = 'failed'
    from credits.accounts a
   where a.user_id = p_user_id and p.account_id = a.id and p.id = p_purchase_id
     and p.status = 'pending' and p.checkout_session_id is null;
end $$;
comment on function credits.fail_checkout is 'Stripe has refused to open the checkout of a purchase: nobody can pay it.';

-- Claw-back and giving back -------------------------------------------------------------
-- Building blocks: only functions below call them, with the accounts locked.

create function credits.debt_of(p_account_id bigint) returns bigint
  language plpgsql volatile as $$
begin
  return coalesce((select e.debt_after from credits.entries e
                    where e.account_id = p_account_id order by e.seq desc limit 1), 0);
end $$;

create function credits.free_of_purchase(
  p_account_id bigint, p_purchase_id text, p_amount bigint,
  out credit_grant_ids integer[], out deltas bigint[], out taken bigint)
  language plpgsql volatile as $$
declare
  g record;
begin
  credit_grant_ids := '{}';
  deltas := '{}';
  taken := 0;
  for g in
    select l.id, l.remaining - l.held as free from credits.credit_grants l
     where l.account_id = p_account_id and l.purchase_id = p_purchase_id and l.open and l.remaining > l.held
     order by l.id
  loop
    exit when taken = p_amount;
    credit_grant_ids := credit_grant_ids || g.id;
    deltas := deltas || -least(g.free, p_amount - taken);
    taken := taken + least(g.free, p_amount - taken);
  end loop;
end $$;
comment on function credits.free_of_purchase is
  'What can be taken back of a purchase from an account: what is neither spent nor held.';

create function credits.move_purchase(
  p_account_id bigint, p_purchase_id text, p_credit_grant_ids integer[], p_deltas bigint[], p_debt_delta bigint, p_now timestamptz)
  returns void
  language plpgsql volatile as $$
declare
  v_moved constant numeric := credits.sum_of(p_deltas);
begin
  insert into credits.entries
    (account_id, seq, kind, amount, system_account, system_delta, credit_grant_ids, deltas, debt_delta, purchase_id, created_at)
  values (p_account_id, credits.next_seq(p_account_id), 'refund',
     -- What is taken and what is owed from now on together, or what is given and forgiven; a debt repaid is one sum.
     greatest(abs(v_moved), abs(p_debt_delta), abs(v_moved - p_debt_delta)), 'claw_back', -v_moved,
     p_credit_grant_ids, p_deltas, p_debt_delta, p_purchase_id, p_now);
  -- While something is owed, every operation settles first: see next_lapse.
  update credits.accounts a set lapse_due_at = '-infinity' where a.id = p_account_id and p_debt_delta > 0;
end $$;

create function credits.claw_back(p credits.purchases, p_amount bigint, p_now timestamptz) returns void
  language plpgsql volatile as $$
declare
  v_own record;
  v_given record;
  v_left bigint := p_amount;
  v_account_id bigint;
begin
  v_own := credits.free_of_purchase(p.account_id, p.id, v_left);
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
  'Takes credits of a purchase back: from its buyer, then from those they were given to; the rest becomes a debt of the buyer.';

create function credits.give_back(p credits.purchases, p_amount bigint, p_now timestamptz) returns void
  language plpgsql volatile as $$
declare
  l record;
  v_left bigint := p_amount;
  v_debt bigint := least(credits.debt_of(p.account_id), p_amount);
  v_lot integer;
begin
  v_left := v_left - v_debt;
  -- To whom it was taken from; what is left is the buyer's.
  for l in
    select t.account_id, t.credit_grant_id, (-sum(t.delta))::bigint as taken
      from credits.legs t
      join credits.entries e on e.account_id = t.account_id and e.seq = t.seq
      join credits.credit_grants g on g.account_id = t.account_id and g.id = t.credit_grant_id
     where g.purchase_account_id = p.account_id and g.purchase_id = p.id and g.account_id <> p.account_id
       and e.system_account = 'claw_back' and e.purchase_id = p.id
     group by t.account_id, t.credit_grant_id having sum(t.delta) < 0
     order by t.account_id, t.credit_grant_id
  loop
    exit when v_left = 0;
    perform credits.move_purchase(l.account_id, p.id, array[l.credit_grant_id], array[least(l.taken, v_left)], 0, p_now);
    v_left := v_left - least(l.taken, v_left);
  end loop;
  select g.id into strict v_lot from credits.credit_grants g
   where g.account_id = p.account_id and g.kind = 'purchase' and g.purchase_id = p.id order by g.id limit 1;
  if v_debt > 0 or v_left > 0 then
    perform credits.move_purchase(p.account_id, p.id,
      case when v_left > 0 then array[v_lot] else '{}'::integer[] end,
      case when v_left > 0 then array[v_left] else '{}'::bigint[] end, -v_debt, p_now);
  end if;
end $$;
comment on function credits.give_back is
  'Undoes a claw-back: what is owed is forgiven first, then those get it whom it was taken from.';

create or replace function credits.next_lapse(p_account_id bigint) returns timestamptz
  language plpgsql volatile as $$
begin
  -- Whoever owes may get credits of that purchase back from a hold or a refund: each operation looks.
  if credits.debt_of(p_account_id) > 0 then
    return '-infinity';
  end if;
  return least(
    coalesce((select min(g.expires_at) from credits.credit_grants g
               where g.account_id = p_account_id and g.open and g.remaining > g.held), 'infinity'),
    coalesce((select min(h.expires_at) from credits.holds h
               where h.account_id = p_account_id and h.status = 'open'), 'infinity'));
end $$;

create function credits.collect_debt(p_account_id bigint, p_now timestamptz) returns void
  language plpgsql volatile as $$
declare
  g record;
  v_debt bigint := credits.debt_of(p_account_id);
begin
  for g in
    select l.id, l.purchase_id, l.remaining - l.held as free
      from credits.credit_grants l
      join credits.purchases p on p.account_id = l.purchase_account_id and p.id = l.purchase_id and p.clawed_back > 0
     where l.account_id = p_account_id and l.purchase_account_id = p_account_id and l.open and l.remaining > l.held
     order by l.id
  loop
    exit when v_debt = 0;
    perform credits.move_purchase(p_account_id, g.purchase_id, array[g.id], array[-least(g.free, v_debt)],
      -least(g.free, v_debt), p_now);
    v_debt := v_debt - least(g.free, v_debt);
  end loop;
end $$;
comment on function credits.collect_debt is
  'Repays what is owed from lots of purchases that were taken back: what a hold has released of them was never the holder''s to spend.';

create or replace function credits.settle_lots(p_account_id bigint, p_now timestamptz) returns void
  language plpgsql volatile as $$
declare
  g credits.credit_grants;
begin
  if credits.debt_of(p_account_id) > 0 then
    perform credits.collect_debt(p_account_id, p_now);
  end if;
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

-- What Stripe reports -------------------------------------------------------------------

create function credits.receive_stripe_event(
  p_id text, p_type text, p_created_at timestamptz, p_object_id text, p_payment_id text, p_purchase_id text,
  p_facts jsonb, p_state text, p_outcome text) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', '', true);
  insert into credits.stripe_events
    (id, type, object_id, payment_id, purchase_id, facts, state, outcome, next_attempt_at, created_at, received_at, done_at)
  values (p_id, p_type, p_object_id, p_payment_id, p_purchase_id, p_facts, p_state, p_outcome,
     auth.clock(), p_created_at, auth.clock(), case when p_state <> 'waiting' then auth.clock() end)
  on conflict on constraint stripe_events_pkey do nothing;
  if found then
    return true;
  end if;
  -- Bounded, so that a sender gone mad cannot overflow it.
  update credits.stripe_events e set n_deliveries = least(e.n_deliveries + 1, 1000000) where e.id = p_id;
  return false;
end $$;
comment on function credits.receive_stripe_event is 'Stores a report; false when it had come before.';

create function credits.claim_stripe_events(p_limit integer, p_max_attempts integer) returns setof text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', '', true);
  -- Claimed again and again and never finished: whatever stops it, it does not stand in the way for ever.
  update credits.stripe_events e set state = 'dead', outcome = 'gave_up', done_at = auth.clock()
   where e.state = 'waiting' and e.next_attempt_at <= auth.clock() and e.attempts >= p_max_attempts;
  return query
    update credits.stripe_events e
       set attempts = e.attempts + 1,
           -- Both the lease of whoever claims it and the pause before the next attempt: 5 s to an hour.
           next_attempt_at = auth.clock() + least(interval '1 hour', interval '5 seconds' * 2 ^ e.attempts)
     where e.id in (select d.id from credits.stripe_events d
                     where d.state = 'waiting' and d.next_attempt_at <= auth.clock()
                     order by d.next_attempt_at, d.created_at, d.id limit p_limit for update skip locked)
    returning e.id;
end $$;
comment on function credits.claim_stripe_events is 'Leases reports that are due to one issuer.';

create function credits.lock_payment(p_payment_id text, p_now timestamptz) returns credits.payments
  language plpgsql volatile as $$
declare
  v_payment credits.payments;
begin
  insert into credits.payments (id, created_at) values (p_payment_id, p_now)
  on conflict on constraint payments_pkey do nothing;
  select p.* into strict v_payment from credits.payments p where p.id = p_payment_id for no key update;
  return v_payment;
end $$;
comment on function credits.lock_payment is 'One report at a time for each payment, so that none misses what another writes.';

create function credits.mail_about(p credits.purchases, p_template text, p_key text, p_facts jsonb) returns void
  language plpgsql volatile as $$
declare
  v_user_id text;
  v_name text;
begin
  select a.user_id into strict v_user_id from credits.accounts a where a.id = p.account_id;
  select o.name into strict v_name from credits.packages o where o.id = p.package_id;
  if v_user_id is not null then
    perform auth.enqueue_mail(v_user_id, p_template, p_key, jsonb_build_object('facts',
      jsonb_build_object('purchaseId', p.id, 'package', v_name, 'credits', p.credits,
        'amountCents', p.price_cents, 'currency', p.currency) || p_facts));
  end if;
end $$;

create function credits.settle_disputes(p credits.purchases, p_now timestamptz) returns bigint
  language plpgsql volatile as $$
declare
  d credits.payment_disputes;
  v_lost numeric := 0;
begin
  for d in select t.* from credits.payment_disputes t where t.payment_id = p.payment_id order by t.id loop
    if d.status in ('open', 'lost') then
      insert into credits.freezes (account_id, id, reason, created_at)
      values (p.account_id, 'dispute:' || d.id, 'dispute', p_now)
      on conflict on constraint freezes_pkey do nothing;
    elsif d.status = 'won' then
      update credits.freezes f set lifted_at = p_now
       where f.account_id = p.account_id and f.id = 'dispute:' || d.id and f.lifted_at is null;
    end if;
    if d.status = 'lost' then
      -- In another currency than was paid in, nothing can be compared: all of it is at stake.
      v_lost := v_lost + case when d.currency = p.currency then d.amount_cents else p.price_cents end;
    end if;
    if d.status <> 'inquiry' then
      perform credits.mail_about(p, case d.status when 'open' then 'dispute_opened' when 'won' then 'dispute_won' else 'dispute_lost' end,
        d.id, case when d.currency = p.currency then jsonb_build_object('amountCents', d.amount_cents) else '{}' end);
    end if;
  end loop;
  return least(v_lost, p.price_cents);
end $$;
comment on function credits.settle_disputes is
  'An account is frozen while a dispute is open, and after a lost one until an operator lifts it; a won one lifts its own freeze. Says how much was lost.';

create function credits.refunded_of(p_payment credits.payments, p_price_cents bigint) returns bigint
  language plpgsql volatile as $$
declare
  v_good numeric;
  v_failed numeric;
begin
  select coalesce(sum(r.amount_cents) filter (where not r.failed), 0), coalesce(sum(r.amount_cents) filter (where r.failed), 0)
    into v_good, v_failed
    from credits.payment_refunds r where r.payment_id = p_payment.id;
  -- The charge counts refunds that failed later, and knows of some that were not reported by themselves.
  return least(p_price_cents, greatest(v_good, p_payment.charge_refunded_cents - v_failed));
end $$;

create function credits.settle_purchase(p_payment credits.payments, p_now timestamptz) returns text
  language plpgsql volatile as $$
declare
  p credits.purchases;
  v_refunded bigint;
  v_lost bigint;
  v_target bigint;
begin
  select t.* into p from credits.purchases t where t.payment_id = p_payment.id;
  if not found then
    return 'recorded';
  end if;
  -- All accounts that may be touched, in one order, before the lots are read.
  perform from credits.accounts a
    where a.id = p.account_id
       or a.id in (select g.account_id from credits.credit_grants g
                    where g.purchase_account_id = p.account_id and g.purchase_id = p.id)
    order by a.id for no key update;
  v_refunded := credits.refunded_of(p_payment, p.price_cents);
  v_lost := credits.settle_disputes(p, p_now);
  -- Rounded in favour of nobody being paid twice.
  v_target := ceil(p.credits::numeric * least(p.price_cents, v_refunded + v_lost) / p.price_cents)::bigint;
  if v_target > p.clawed_back then
    perform credits.claw_back(p, v_target - p.clawed_back, p_now);
  elsif v_target < p.clawed_back then
    perform credits.give_back(p, p.clawed_back - v_target, p_now);
  end if;
  update credits.purchases t
     set refunded_cents = v_refunded, disputed_cents = v_lost, clawed_back = v_target,
         status = case when v_refunded = t.price_cents then 'refunded' else 'paid' end
   where t.account_id = p.account_id and t.id = p.id;
  if v_refunded > p.refunded_cents then
    perform credits.mail_about(p, 'purchase_refunded', p.id || ':' || v_refunded,
      jsonb_build_object('amountCents', v_refunded - p.refunded_cents, 'credits', greatest(v_target - p.clawed_back, 0)));
  end if;
  return case when v_target = p.clawed_back and v_refunded = p.refunded_cents and v_lost = p.disputed_cents
              then 'unchanged' else 'settled' end;
end $$;
comment on function credits.settle_purchase is
  'Brings a purchase to where the facts about its payment say it should be, whatever it was before.';

create function credits.refusal_of_payment(p credits.purchases, p_facts jsonb) returns text
  language plpgsql stable as $$
begin
  return case
    when p.checkout_session_id <> p_facts ->> 'sessionId' then 'wrong_session'
    when upper(p_facts ->> 'currency') is distinct from p.currency then 'wrong_currency'
    when (p_facts ->> 'amountCents')::bigint is distinct from p.price_cents then 'wrong_amount'
    when p.payment_id <> p_facts ->> 'paymentId' then 'paid_twice'
    when exists (select from credits.purchases o where o.payment_id = p_facts ->> 'paymentId' and o.id <> p.id)
      then 'paid_twice'
  end;
end $$;
comment on function credits.refusal_of_payment is
  'What does not fit between a payment that Stripe reports and our own purchase; null when all does.';

create function credits.accept_payment(p_purchase_id text, p_facts jsonb, p_now timestamptz) returns text
  language plpgsql volatile as $$
declare
  v_payment credits.payments := credits.lock_payment(p_facts ->> 'paymentId', p_now);
  v_account_id bigint;
  p credits.purchases;
  v_refusal text;
begin
  select t.account_id into v_account_id from credits.purchases t where t.id = p_purchase_id;
  if not found then
    return 'unknown_purchase';
  end if;
  perform from credits.accounts a where a.id = v_account_id for no key update;
  select t.* into strict p from credits.purchases t where t.id = p_purchase_id for no key update;
  v_refusal := credits.refusal_of_payment(p, p_facts);
  if v_refusal is not null then
    update credits.purchases t set problem = v_refusal where t.account_id = p.account_id and t.id = p.id;
    return v_refusal;
  end if;
  if p.payment_id is not null then
    return 'already_paid';
  end if;
  update credits.purchases t
     set status = 'paid', payment_id = v_payment.id, checkout_session_id = p_facts ->> 'sessionId', paid_at = p_now, problem = null
   where t.account_id = p.account_id and t.id = p.id
  returning t.* into p;
  perform credits.add_credit_grant(p.account_id, 'purchase', 'purchase', 'sales', p.credits, null, p.id,
    'payment:' || v_payment.id, p_now);
  perform credits.mail_about(p, 'purchase_receipt', p.id, '{}');
  perform credits.settle_purchase(v_payment, p_now);
  return 'granted';
end $$;
comment on function credits.accept_payment is
  'Adds the credits of a purchase that was paid, once for each payment. Credits and price are those of our own row.';

create function credits.end_unpaid(p_purchase_id text, p_facts jsonb) returns text
  language plpgsql volatile as $$
begin
  -- Of two endings the one that says more counts, whichever is reported first.
  update credits.purchases p set status = p_facts ->> 'status'
   where p.id = p_purchase_id and coalesce(p.checkout_session_id, p_facts ->> 'sessionId') = p_facts ->> 'sessionId'
     and (p.status = 'pending' or (p.status = 'expired' and p_facts ->> 'status' = 'failed'));
  return case when found then 'ended' else 'unchanged' end;
end $$;

create function credits.record_refund(p_facts jsonb, p_created_at timestamptz, p_now timestamptz) returns text
  language plpgsql volatile as $$
declare
  v_payment credits.payments := credits.lock_payment(p_facts ->> 'paymentId', p_now);
begin
  insert into credits.payment_refunds as r (id, payment_id, amount_cents, failed, created_at)
  values (p_facts ->> 'refundId', v_payment.id, (p_facts ->> 'amountCents')::bigint, (p_facts ->> 'failed')::boolean, p_created_at)
  on conflict on constraint payment_refunds_pkey do update set failed = r.failed or excluded.failed;
  return credits.settle_purchase(v_payment, p_now);
end $$;

create function credits.record_charge(p_facts jsonb, p_now timestamptz) returns text
  language plpgsql volatile as $$
declare
  v_payment credits.payments := credits.lock_payment(p_facts ->> 'paymentId', p_now);
begin
  update credits.payments p
     set charge_refunded_cents = greatest(p.charge_refunded_cents, (p_facts ->> 'refundedCents')::bigint)
   where p.id = v_payment.id
  returning p.* into v_payment;
  return credits.settle_purchase(v_payment, p_now);
end $$;

create function credits.record_dispute(p_facts jsonb, p_created_at timestamptz, p_now timestamptz) returns text
  language plpgsql volatile as $$
declare
  v_payment credits.payments := credits.lock_payment(p_facts ->> 'paymentId', p_now);
  v_ended constant boolean := p_facts ->> 'status' in ('won', 'lost');
  d credits.payment_disputes;
begin
  select t.* into d from credits.payment_disputes t where t.id = p_facts ->> 'disputeId';
  if not found then
    insert into credits.payment_disputes (id, payment_id, amount_cents, currency, status, reported_at, created_at)
    values (p_facts ->> 'disputeId', v_payment.id, (p_facts ->> 'amountCents')::bigint, upper(p_facts ->> 'currency'),
            p_facts ->> 'status', p_created_at, p_now);
  elsif (v_ended and (d.status not in ('won', 'lost') or d.reported_at < p_created_at
                      or (d.reported_at = p_created_at and p_facts ->> 'status' = 'lost')))
     or (d.status = 'inquiry' and p_facts ->> 'status' = 'open') then
    update credits.payment_disputes t
       set status = p_facts ->> 'status', reported_at = p_created_at, amount_cents = (p_facts ->> 'amountCents')::bigint
     where t.id = d.id;
    -- Lost after all, although it was won, or although an operator had lifted the freeze meanwhile.
    if d.status <> 'lost' and p_facts ->> 'status' = 'lost' then
      update credits.freezes f set lifted_at = null where f.id = 'dispute:' || d.id and f.lifted_at is not null;
    end if;
  end if;
  return credits.settle_purchase(v_payment, p_now);
end $$;

create function credits.apply_facts(e credits.stripe_events, p_now timestamptz) returns text
  language plpgsql volatile as $$
begin
  return case e.facts ->> 'kind'
    when 'paid' then credits.accept_payment(e.purchase_id, e.facts, p_now)
    when 'ended' then credits.end_unpaid(e.purchase_id, e.facts)
    when 'charge' then credits.record_charge(e.facts, p_now)
    when 'refund' then credits.record_refund(e.facts, e.created_at, p_now)
    when 'dispute' then credits.record_dispute(e.facts, e.created_at, p_now) end;
end $$;

create function credits.apply_stripe_event(p_id text, p_max_attempts integer) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  e credits.stripe_events;
  v_outcome text;
  v_error text;
  v_constraint text;
begin
  perform set_config('tollgate.user_id', '', true);
  select t.* into e from credits.stripe_events t where t.id = p_id and t.state = 'waiting' for update skip locked;
  if not found then
    return 'taken';
  end if;
  begin
    v_outcome := credits.apply_facts(e, auth.clock());
    if v_outcome is null then
      raise exception 'facts of an unknown kind' using errcode = 'data_exception', constraint = 'stripe_events_facts_known';
    end if;
    update credits.stripe_events t
       set state = case when v_outcome in ('unknown_purchase', 'wrong_session', 'wrong_currency', 'wrong_amount', 'paid_twice')
                        then 'refused' else 'applied' end,
           outcome = v_outcome, last_error_code = null, done_at = auth.clock()
     where t.id = e.id;
    return v_outcome;
  exception when others then
    -- All of it is undone. The next attempt is due when the claim said.
    get stacked diagnostics v_error = returned_sqlstate, v_constraint = constraint_name;
  end;
  update credits.stripe_events t
     set last_error_code = left(coalesce(nullif(v_constraint, ''), v_error), 100),
         state = case when t.attempts >= p_max_attempts then 'dead' else 'waiting' end,
         outcome = case when t.attempts >= p_max_attempts then 'gave_up' end,
         done_at = case when t.attempts >= p_max_attempts then auth.clock() end
   where t.id = e.id;
  return 'failed';
end $$;
comment on function credits.apply_stripe_event is
  'Applies one report that this issuer has claimed, all of it or nothing. Never fails because of what the report says.';

create function credits.stripe_backlog(out n_waiting bigint, out n_unresolved bigint)
  language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  select count(*) filter (where e.state = 'waiting'), count(*) filter (where e.state in ('refused', 'dead'))
    from credits.stripe_events e where e.state in ('waiting', 'refused', 'dead')
$$;
comment on function credits.stripe_backlog is 'Reports that wait, and those that wait for an operator.';
create index stripe_events_open on credits.stripe_events (state) where state in ('waiting', 'refused', 'dead');

create function credits.sweep_stripe_events() returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- One short transaction each time; what is left waits for the next run.
  c_batch constant integer := 1000;
  -- Three times as long as Stripe itself can show a report again.
  c_keep constant interval := interval '90 days';
  v_swept bigint;
begin
  delete from credits.stripe_events where id in (
    select e.id from credits.stripe_events e
     where e.state in ('applied', 'ignored') and e.done_at < auth.clock() - c_keep
     limit c_batch for update skip locked);
  get diagnostics v_swept = row_count;
  return v_swept;
end $$;
comment on function credits.sweep_stripe_events is
  'Forgets reports that were applied long ago. One that came again would change nothing: the facts stay.';

create function credits.sweep_purchases() returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- One short transaction each time; what is left waits for the next run.
  c_batch constant integer := 1000;
  -- Far longer than a checkout is open.
  c_keep constant interval := interval '1 day';
  v_swept bigint;
begin
  update credits.purchases u set success_url = null, cancel_url = null, checkout_url = null
   where u.id in (select p.id from credits.purchases p
                   where p.success_url is not null and p.created_at < auth.clock() - c_keep
                   limit c_batch for update skip locked);
  get diagnostics v_swept = row_count;
  return v_swept;
end $$;
comment on function credits.sweep_purchases is 'Forgets where people were sent back to.';

-- What users, admins and operators see ----------------------------------------------------

create function auth.mail_facts(p_id bigint) returns jsonb
  language sql volatile security definer set search_path = pg_catalog, pg_temp
  return (select o.payload -> 'facts' from auth.outbox o where o.id = p_id and o.topic = 'mail');
comment on function auth.mail_facts is 'What a mail that waits is about, beyond its recipient.';

create function credits.dispute_of(p_payment_id text) returns text
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return (select d.status from credits.payment_disputes d
           where d.payment_id = p_payment_id and d.status <> 'inquiry'
           order by case d.status when 'lost' then 1 when 'open' then 2 else 3 end limit 1);
end $$;
comment on function credits.dispute_of is 'The gravest of what was disputed of a payment: lost, open, won; null for nothing.';

create type credits.purchase_listing as (
  id text, user_id text, package_id text, credits bigint, price_cents bigint, currency text, status text,
  refunded_cents bigint, credits_taken_back bigint, dispute text, problem text, payment_id text, checkout_session_id text,
  created_at timestamptz, paid_at timestamptz);
comment on type credits.purchase_listing is 'A purchase as its buyer, admins and operators see it.';

create function credits.as_purchase_listing(p credits.purchases, p_user_id text) returns credits.purchase_listing
  language sql volatile
  return row(p.id, p_user_id, p.package_id, p.credits, p.price_cents, p.currency, p.status, p.refunded_cents, p.clawed_back,
             credits.dispute_of(p.payment_id), p.problem, p.payment_id, p.checkout_session_id, p.created_at, p.paid_at
            )::credits.purchase_listing;

create function credits.list_own_purchases(p_user_id text, p_limit integer) returns setof credits.purchase_listing
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  return query
    select l.* from credits.accounts a
      join credits.purchases p on p.account_id = a.id
     cross join lateral credits.as_purchase_listing(p, a.user_id) l
     where a.user_id = p_user_id
     order by p.created_at desc, p.id limit p_limit;
end $$;
comment on function credits.list_own_purchases is 'The purchases of the user, newest first.';

create function credits.find_purchases(p_user_id text, p_only text, p_limit integer) returns setof credits.purchase_listing
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query
    select l.* from credits.purchases p
      join credits.accounts a on a.id = p.account_id
     cross join lateral credits.as_purchase_listing(p, a.user_id) l
     where (p_user_id is null or a.user_id = p_user_id)
       and (p_only is null or (p_only = 'problem' and p.problem is not null)
            or (p_only = 'disputed' and exists (select from credits.payment_disputes d where d.payment_id = p.payment_id))
            or p.status = p_only)
     order by p.created_at desc, p.id limit p_limit;
end $$;

create function credits.admin_list_purchases(
  p_admin_id text, p_session_id text, p_user_id text, p_only text, p_limit integer,
  out standing text, out listed credits.purchase_listing)
  returns setof record
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_admin_id, true);
  standing := auth.admin_standing(p_admin_id, p_session_id);
  return next; -- the first row says only whether the rest may be seen
  if standing not in ('fresh', 'stale') then
    return;
  end if;
  for listed in select t.* from credits.find_purchases(p_user_id, p_only, p_limit) t loop
    return next;
  end loop;
end $$;
comment on function credits.admin_list_purchases is
  'Purchases of everybody, newest first, for an admin. The first row holds only the standing of who asks.';

create type credits.event_listing as (
  id text, type text, state text, outcome text, object_id text, payment_id text, purchase_id text,
  n_deliveries integer, attempts integer, last_error_code text,
  created_at timestamptz, received_at timestamptz, done_at timestamptz, next_attempt_at timestamptz);
comment on type credits.event_listing is 'A report of Stripe as admins and operators see it.';

create function credits.find_stripe_events(p_state text, p_purchase_id text, p_limit integer) returns setof credits.event_listing
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query
    select e.id, e.type, e.state, e.outcome, e.object_id, e.payment_id, e.purchase_id, e.n_deliveries, e.attempts,
           e.last_error_code, e.created_at, e.received_at, e.done_at,
           case e.state when 'waiting' then e.next_attempt_at end
      from credits.stripe_events e
     where (p_state is null or e.state = p_state)
       and (p_purchase_id is null or e.purchase_id = p_purchase_id
            or e.payment_id = (select p.payment_id from credits.purchases p where p.id = p_purchase_id))
     order by e.received_at desc, e.id limit p_limit;
end $$;
comment on function credits.find_stripe_events is 'Reports, newest first. For tollgate_owner only.';

create function credits.admin_list_stripe_events(
  p_admin_id text, p_session_id text, p_state text, p_purchase_id text, p_limit integer,
  out standing text, out listed credits.event_listing)
  returns setof record
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_admin_id, true);
  standing := auth.admin_standing(p_admin_id, p_session_id);
  return next; -- the first row says only whether the rest may be seen
  if standing not in ('fresh', 'stale') then
    return;
  end if;
  for listed in select t.* from credits.find_stripe_events(p_state, p_purchase_id, p_limit) t loop
    return next;
  end loop;
end $$;
comment on function credits.admin_list_stripe_events is
  'Reports of Stripe, newest first, for an admin. The first row holds only the standing of who asks.';

create function credits.apply_to_purchase(p_act text, p_id text, p_user_id text, p_request jsonb) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  p credits.purchases;
begin
  if p_act = 'replay_event' then
    update credits.stripe_events e
       set state = 'waiting', outcome = null, attempts = 0, next_attempt_at = auth.clock(), done_at = null
     where e.id = p_id and e.state in ('refused', 'dead') and e.facts <> '{}';
    if not found then
      return case when exists (select from credits.stripe_events e where e.id = p_id) then 'conflict' else 'not_found' end;
    end if;
    perform auth.record_event('stripe_event_replayed', 'success', p_user_id, null, jsonb_build_object('id', p_id), p_request);
    return 'done';
  end if;
  if p_act = 'dismiss_event' then
    update credits.stripe_events e set state = 'ignored', outcome = 'dismissed', done_at = auth.clock()
     where e.id = p_id and e.state in ('refused', 'dead')
    returning e.purchase_id into p.id;
    if not found then
      return case when exists (select from credits.stripe_events e where e.id = p_id) then 'conflict' else 'not_found' end;
    end if;
    update credits.purchases t set problem = null
     where t.id = p.id and not exists (select from credits.stripe_events e where e.purchase_id = t.id and e.state = 'refused');
    perform auth.record_event('stripe_event_dismissed', 'success', p_user_id, null, jsonb_build_object('id', p_id), p_request);
    return 'done';
  end if;
  select t.* into p from credits.purchases t where t.id = p_id;
  if not found then
    return 'not_found';
  end if;
  perform from credits.accounts a where a.id = p.account_id for no key update;
  update credits.freezes f set lifted_at = auth.clock()
   where f.account_id = p.account_id and f.lifted_at is null
     and f.id in (select 'dispute:' || d.id from credits.payment_disputes d where d.payment_id = p.payment_id);
  if not found then
    return 'conflict';
  end if;
  perform auth.record_event('freeze_lifted', 'success', p_user_id, null, jsonb_build_object('purchaseId', p_id), p_request);
  return 'done';
end $$;
comment on function credits.apply_to_purchase is
  'replay_event: applies a report again that was refused or dead. dismiss_event: nothing more is to be done about it. lift_freeze: ends what the disputes of a purchase have frozen.';

create function credits.act_on_purchase(
  p_admin_id text, p_session_id text, p_act text, p_id text, p_request jsonb) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_standing text;
begin
  perform set_config('tollgate.user_id', p_admin_id, true);
  v_standing := auth.admin_standing(p_admin_id, p_session_id);
  if v_standing <> 'fresh' then
    return v_standing;
  end if;
  return credits.apply_to_purchase(p_act, p_id, p_admin_id,
    p_request || jsonb_build_object('actorKind', 'admin', 'actorId', p_admin_id));
end $$;
comment on function credits.act_on_purchase is
  'An act of an admin: replay_event, dismiss_event, lift_freeze. outcome: done, not_found, conflict, or why not: stale, ended, forbidden.';

create function credits.operate_on_purchase(p_act text, p_id text) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', '', true);
  return credits.apply_to_purchase(p_act, p_id, null, '{"actorKind": "system", "actorId": "operator"}');
end $$;
comment on function credits.operate_on_purchase is 'The same act from the command line. For tollgate_owner only.';

-- Proof -------------------------------------------------------------------------------

create function credits.reconcile_purchases() returns table (problem text, account_id bigint, subject text, found text, expected text)
  language plpgsql volatile as $$
begin
  return query
    select 'purchase_differs', p.account_id, 'purchase ' || p.id, coalesce(e.added, 0)::text,
           case when p.payment_id is null then 0 else p.credits end::text
      from credits.purchases p
      left join (select t.account_id, t.purchase_id, sum(t.amount) as added from credits.entries t
                  where t.kind = 'purchase' group by 1, 2) e on e.account_id = p.account_id and e.purchase_id = p.id
     where coalesce(e.added, 0) <> case when p.payment_id is null then 0 else p.credits end;
  return query
    select 'claw_back_differs', p.account_id, 'purchase ' || p.id, coalesce(e.taken, 0)::text, p.clawed_back::text
      from credits.purchases p
      left join (select t.purchase_id, sum(t.system_delta + t.debt_delta) as taken from credits.entries t
                  where t.system_account = 'claw_back' group by 1) e on e.purchase_id = p.id
     where coalesce(e.taken, 0) <> p.clawed_back;
  return query
    select 'freeze_missed', p.account_id, 'dispute ' || d.id, 'not frozen', 'frozen'
      from credits.payment_disputes d
      join credits.purchases p on p.payment_id = d.payment_id
     where d.status in ('open', 'lost')
       and not exists (select from credits.freezes f where f.account_id = p.account_id and f.id = 'dispute:' || d.id);
end $$;

create or replace function credits.reconcile() returns table (problem text, account_id bigint, subject text, found text, expected text)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', '', true);
  return query select * from credits.reconcile_entries();
  return query select * from credits.reconcile_lots();
  return query select * from credits.reconcile_accounts();
  return query select * from credits.reconcile_purchases();
end $$;

-- Ownership and rights ------------------------------------------------------------------

do $$
declare
  f regprocedure;
begin
  for f in
    select p.oid::regprocedure from pg_proc p
     where p.pronamespace = 'credits'::regnamespace and p.proowner = 'tollgate_owner'::regrole
       and p.proname not in ('list_transactions', 'list_purchases')
  loop
    execute format('revoke execute on function %s from public', f);
    execute format('alter function %s owner to tollgate_definer', f);
  end loop;
end $$;
revoke execute on function auth.mail_facts(bigint) from public;
alter function auth.mail_facts(bigint) owner to tollgate_definer;
grant execute on function
  credits.act_on_package(text, text, text, text, jsonb, jsonb),
  credits.begin_checkout(text, text, text, text, text, text, bytea, integer, integer),
  credits.note_checkout(text, text, text, text),
  credits.fail_checkout(text, text),
  credits.receive_stripe_event(text, text, timestamptz, text, text, text, jsonb, text, text),
  credits.claim_stripe_events(integer, integer),
  credits.apply_stripe_event(text, integer),
  credits.stripe_backlog(),
  credits.sweep_stripe_events(),
  credits.sweep_purchases(),
  credits.list_own_purchases(text, integer),
  credits.admin_list_purchases(text, text, text, text, integer),
  credits.admin_list_stripe_events(text, text, text, text, integer),
  credits.act_on_purchase(text, text, text, text, jsonb),
  auth.mail_facts(bigint)
  to tollgate_app;
grant execute on function
  credits.operate_on_package(text, text, jsonb),
  credits.find_purchases(text, text, integer),
  credits.find_stripe_events(text, text, integer),
  credits.operate_on_purchase(text, text)
  to tollgate_owner;
revoke create on schema auth from tollgate_definer;
revoke create on schema credits from tollgate_definer;

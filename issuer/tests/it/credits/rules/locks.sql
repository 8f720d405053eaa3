-- Calls of every function that locks rows, made while another transaction is under way: whether the
-- call waits for it, and what it answers. :ada and :bob are accounts. First what all of them find.

insert into credits.gifts
  (id, giver_account_id, made_seq, amount, credit_grant_ids, amounts, code_hash, status, created_at, expires_at)
  select repeat(n, 22), :ada, 1, 5, '{1}', '{5}', sha256(n::bytea), 'waiting', now(), now() + interval '1 day'
    from unnest(array['a', 'b', 'c', 'd', 'e']) n;

== accept_payment waits
-- before
insert into credits.purchases
  (account_id, id, package_id, credits, price_cents, currency, checkout_session_id, created_at)
  values (:bob, 'order', 'pack', 100, 500, 'EUR', 'checkout', auth.clock());
-- other
select credits.accept_payment('order', facts, auth.clock()) from (select
  '{"paymentId": "first", "sessionId": "checkout", "currency": "EUR", "amountCents": 500}'::jsonb as facts) f;
-- call
select credits.accept_payment('order', facts, auth.clock()) from (select
  '{"paymentId": "second", "sessionId": "checkout", "currency": "EUR", "amountCents": 500}'::jsonb as facts) f
-- answer
paid_twice

== apply_stripe_event passes over
-- other
select from credits.stripe_events where id = 'event' for update;
-- call
select credits.apply_stripe_event('event', 5)
-- answer
taken

== apply_to_purchase waits
-- before
insert into credits.freezes values (:ada, 'dispute:dispute', 'dispute', now(), null);
-- other
select from credits.accounts where id = :ada for no key update;
-- then
update credits.freezes set lifted_at = now() where account_id = :ada and id = 'dispute:dispute';
-- call
select credits.apply_to_purchase('lift_freeze', 'bought', (select user_id from credits.accounts where id = :ada), null)
-- answer
conflict

== begin_checkout waits
-- other
select credits.begin_checkout((select user_id from credits.accounts where id = :bob),
  'first', 'pack', 'https://shop.example.com', 'https://shop.example.com', null, null, 3600, 1);
-- call
select (credits.begin_checkout((select user_id from credits.accounts where id = :bob),
  'second', 'pack', 'https://shop.example.com', 'https://shop.example.com', null, null, 3600, 1)).outcome
-- answer
too_many

== cancel_gift waits
-- other
update credits.gifts set status = 'redeemed', receiver_account_id = :bob, ended_at = now() where id = repeat('a', 22);
-- call
select (credits.cancel_gift((select user_id from credits.accounts where id = :ada), repeat('a', 22), 0, 0)).outcome
-- answer
ended

== claim_stripe_events passes over
-- other
select from credits.stripe_events where id = 'event' for update;
-- call
select coalesce(string_agg(id, ' '), 'none') from credits.claim_stripe_events(10, 5) id
-- answer
none

== grant_signup_bonus waits
-- before
insert into auth.users (id, email, created_at, updated_at)
  values (repeat('n', 21), 'new@example.com', auth.clock(), auth.clock());
select credits.open_account(repeat('n', 21), 0, sha256(''));
-- other
select credits.grant_signup_bonus(repeat('n', 21), 150, sha256('first'));
-- call
select credits.grant_signup_bonus(repeat('n', 21), 150, sha256('second'))::text
-- answer
false

== lock_payment waits
-- other
select credits.lock_payment('payment', auth.clock());
-- then
update credits.payments set charge_refunded_cents = 7 where id = 'payment';
-- call
select (credits.lock_payment('payment', auth.clock())).charge_refunded_cents::text
-- answer
7

== redeem_addressed_gift waits
-- other
update credits.gifts set status = 'cancelled', ended_at = now() where id = repeat('b', 22);
-- call
select credits.redeem_addressed_gift(:bob, repeat('b', 22))::text
-- answer
false

== redeem_gift waits
-- other
update credits.gifts set status = 'cancelled', ended_at = now() where id = repeat('c', 22);
-- call
select (credits.redeem_gift((select user_id from credits.accounts where id = :bob), sha256('c'), 0, 0, null)).outcome
-- answer
no_gift

== roll_up_usage passes over
-- other
select from credits.usage_rollup for update;
-- call
select credits.roll_up_usage(10)::text
-- answer
false

== save_spend_limits waits
-- before
insert into credits.spend_limits select :bob, 'app-' || n, 'day', 5, 'user', now() from generate_series(1, 99) n;
-- other
select credits.save_spend_limits((select user_id from credits.accounts where id = :bob), 'first', 'user', 1, null);
-- call
select credits.save_spend_limits((select user_id from credits.accounts where id = :bob), 'second', 'user', 1, null)
-- answer
too_many_limits

== settle_gifts waits
-- before
update credits.gifts set created_at = now() - interval '1 day', expires_at = now() where id = repeat('d', 22);
-- other
update credits.gifts set status = 'cancelled', ended_at = now() where id = repeat('d', 22);
-- call
select 'settled' || credits.settle_gifts(:ada, now())::text
-- answer
settled

== settle_purchase waits
-- before
insert into credits.purchases
  (account_id, id, package_id, credits, price_cents, currency, checkout_session_id, created_at)
  values (:bob, 'refunded', 'pack', 100, 500, 'EUR', 'checkout of refunded', auth.clock());
select credits.accept_payment('refunded', facts, auth.clock()) from (select
  '{"paymentId": "paid", "sessionId": "checkout of refunded", "currency": "EUR", "amountCents": 500}'::jsonb as facts) f;
update credits.payments set charge_refunded_cents = 500 where id = 'paid';
-- other
select credits.use_credits((select user_id from credits.accounts where id = :bob), credits.available(:bob, auth.clock()),
  'shop', null, null, 'user', null, null, 0, 0);
-- call
select credits.settle_purchase(p, auth.clock()) from credits.payments p where p.id = 'paid'
-- answer
settled

== settle_sleeping passes over
-- before
update credits.holds set created_at = auth.clock() - interval '2 minutes', expires_at = auth.clock() - interval '1 minute'
  where status = 'open';
-- other
select from credits.accounts for update;
-- call
select credits.settle_sleeping(10)::text
-- answer
0

== sweep_purchases passes over
-- before
insert into credits.purchases
  (account_id, id, package_id, credits, price_cents, currency, success_url, cancel_url, created_at)
  values (:bob, 'old', 'pack', 100, 500, 'EUR', 'https://shop.example.com', 'https://shop.example.com',
    auth.clock() - interval '2 days');
-- other
select from credits.purchases where id = 'old' for update;
-- call
select credits.sweep_purchases()::text
-- answer
0

== sweep_stripe_events passes over
-- before
update credits.stripe_events set state = 'ignored', done_at = auth.clock() - interval '91 days' where id = 'event';
-- other
select from credits.stripe_events where id = 'event' for update;
-- call
select credits.sweep_stripe_events()::text
-- answer
0

== take_back_gifts_of_purchase waits
-- before
insert into credits.credit_grants (account_id, id, kind, burn_rank, remaining, open, created_at, purchase_account_id, purchase_id)
  values (:ada, 9, 'purchase', credits.burn_rank('purchase'), 0, false, now(), :ada, 'bought');
update credits.gifts set credit_grant_ids = '{9}' where id = repeat('e', 22);
-- other
update credits.gifts set status = 'cancelled', ended_at = now() where id = repeat('e', 22);
-- call
select credits.take_back_gifts_of_purchase(:ada, 'bought', auth.clock())::text
-- answer
0

== use_credits_batch passes over
-- other
select from credits.accounts where id = :bob for update;
-- call
select (credits.use_credits_batch(array[(select user_id from credits.accounts where id = :bob)],
  array[1], array['shop'], array[null], array[null::jsonb], array['user'], array[null], array[null::bytea], 0, 0)).outcome
-- answer
alone

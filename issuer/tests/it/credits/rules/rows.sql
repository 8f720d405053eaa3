-- What users, Stripe and jobs would have left behind; :ada and :bob are accounts.

insert into credits.packages values ('pack', 'Pack', 100, 500, 'EUR', true, now(), now());
insert into credits.purchases
  (account_id, id, package_id, credits, price_cents, currency, status, checkout_session_id, payment_id, created_at, paid_at)
  values (:ada, 'bought', 'pack', 100, 500, 'EUR', 'paid', 'session', 'payment', now(), now());
insert into credits.payments values ('payment', 0, now());
insert into credits.payment_refunds values ('refund', 'payment', 1, false, now());
insert into credits.payment_disputes values ('dispute', 'payment', 1, 'EUR', 'open', now(), now());
insert into credits.stripe_events (id, type, facts, state, next_attempt_at, created_at, received_at)
  values ('event', 'charge.refunded', '{}', 'waiting', now(), now(), now());

insert into credits.freezes values (:ada, 'freeze', 'dispute', now(), null);
insert into credits.spend_limits values (:ada, 'shop', 'day', 5, 'user', now());
insert into credits.spend_counters values (:ada, 'shop', 'day', now(), 1);
insert into credits.usage_hours values (:ada, now(), 'shop', 1, 1, 0);
insert into credits.usage_progress values (:ada, 0) on conflict do nothing;
insert into credits.signup_bonus_claims values (sha256('somebody'), now());

insert into credits.gifts
  (id, giver_account_id, made_seq, amount, credit_grant_ids, amounts, code_hash, status, created_at, expires_at, ended_at)
  values (repeat('g', 22), :ada, 1, 5, '{1}', '{5}', sha256('code'), 'waiting', now(), now() + interval '1 day', null),
         (repeat('h', 22), :ada, 1, 5, '{1}', '{5}', sha256('other'), 'expired', now(), now() + interval '1 day', now());

-- Changes to good rows, each with the constraint, or the rule within one, that alone refuses it.

update credits.packages set id = 'a b'; -- packages_id_form
update credits.packages set name = ''; -- packages_name_length
update credits.packages set credits = 0; -- packages_credits_range
update credits.packages set price_cents = 0; -- packages_price_positive
update credits.packages set currency = 'eur'; -- packages_currency_form
insert into credits.packages select * from credits.packages; -- packages_pkey

update credits.accounts set organization_id = 'org'; -- accounts_one_owner
update credits.accounts set seq = -1; -- accounts_seq_counts
update credits.accounts set n_open_holds = 1001; -- accounts_open_holds_limit
update credits.accounts set n_freezes = -1; -- accounts_freezes_count
update credits.accounts set n_spend_limits = 401; -- accounts_spend_limits_limit
update credits.accounts set user_id = 'nobody' where id = :ada; -- accounts_user_fkey
update credits.accounts set user_id = (select user_id from credits.accounts where id = :bob) where id = :ada; -- accounts_user_key
update credits.accounts set user_id = null, organization_id = 'org'; -- accounts_organization_key
update credits.accounts set id = :bob where id = :ada; -- accounts_pkey

update credits.credit_grants set held = remaining + 1 where account_id = :ada and id = 1; -- credit_grants_held_covered
update credits.credit_grants set open = false where account_id = :ada and id = 1; -- credit_grants_open_when_left
update credits.credit_grants set burn_rank = 9 where account_id = :ada and id = 1; -- credit_grants_burn_rank_of_kind
update credits.credit_grants set id = 0 where account_id = :ada and id = 1; -- credit_grants_id_positive
update credits.credit_grants set kind = 'theft', burn_rank = credits.burn_rank('theft') where account_id = :ada and id = 1; -- credit_grants_kind_known
update credits.credit_grants set purchase_id = 'bought' where account_id = :ada and id = 1; -- credit_grants_purchase_whole
update credits.credit_grants set purchase_account_id = :ada, purchase_id = 'bought' where account_id = :ada and id = 1; -- credit_grants_purchase_kept
update credits.credit_grants set gift_id = repeat('g', 22) where account_id = :ada and id = 1; -- credit_grants_gift_kept
update credits.credit_grants set account_id = 0 where account_id = :ada and id = 1; -- credit_grants_account_fkey
update credits.credit_grants set kind = 'purchase', burn_rank = credits.burn_rank('purchase'), purchase_account_id = :ada, purchase_id = 'none' where account_id = :ada and id = 1; -- credit_grants_purchase_fkey
insert into credits.credit_grants select * from credits.credit_grants where account_id = :ada and id = 1; -- credit_grants_pkey
insert into credits.credit_grants (account_id, id, kind, burn_rank, created_at) select :ada, n, 'daily', 1, now() from generate_series(101, 102) n; -- credit_grants_one_lasting_daily

update credits.holds set id = 'x'; -- holds_id_form
update credits.holds set placed_by = 'system'; -- holds_placed_by_form
update credits.holds set captured = amount + 1; -- holds_amount_range
update credits.holds set status = 'lost'; -- holds_status_known
update credits.holds set ended_at = now(); -- holds_status_known
update credits.holds set captured = 1; -- holds_reserved_fits
update credits.holds set app_id = ''; -- holds_app_length
update credits.holds set description = ''; -- holds_description_length
update credits.holds set expires_at = created_at; -- holds_ttl_limit
update credits.holds set expires_at = created_at + interval '2 hours'; -- holds_ttl_limit
insert into credits.holds select (jsonb_populate_record(h, '{"account_id": 0, "id": "0123456789012345678901"}')).* from credits.holds h; -- holds_account_fkey
insert into credits.holds select * from credits.holds; -- holds_pkey
insert into credits.holds select (jsonb_populate_record(h, '{"account_id": :bob}')).* from credits.holds h; -- holds_id

update credits.entries set hold_id = repeat('x', 22) where hold_id is not null; -- entries_hold_fkey
update credits.entries set refunds_seq = 999 where account_id = :ada and kind = 'usage'; -- entries_refunds_fkey
insert into credits.entries select * from credits.entries; -- entries_pkey
update credits.entries set key_scope = 'user:x', idempotency_key = 'k', fingerprint = sha256('k') where account_id = :ada and kind = 'usage'; -- entries_account_idempotency_key

update credits.purchases set id = ''; -- purchases_id_length
update credits.purchases set credits = 0; -- purchases_credits_range
update credits.purchases set price_cents = 0; -- purchases_price_positive
update credits.purchases set currency = 'eur'; -- purchases_currency_form
update credits.purchases set clawed_back = 101; -- purchases_clawed_back_range
update credits.purchases set disputed_cents = 501; -- purchases_disputed_range
update credits.purchases set refunded_cents = 501; -- purchases_refunded_range
update credits.purchases set idempotency_key = 'k'; -- purchases_key_whole
update credits.purchases set paid_at = null; -- purchases_paid_dated
update credits.purchases set status = 'pending', paid_at = null; -- purchases_payment_of_paid
update credits.purchases set status = 'stolen', paid_at = null, payment_id = null; -- purchases_status_known
update credits.purchases set problem = 'unlucky'; -- purchases_problem_known
update credits.purchases set success_url = repeat('x', 2049); -- purchases_urls_length
update credits.purchases set account_id = 0; -- purchases_account_fkey
update credits.purchases set package_id = 'none'; -- purchases_package_fkey
insert into credits.purchases select * from credits.purchases; -- purchases_pkey
insert into credits.purchases select (jsonb_populate_record(p, '{"account_id": :bob, "checkout_session_id": null, "payment_id": null}')).* from credits.purchases p; -- purchases_id
insert into credits.purchases select (jsonb_populate_record(p, '{"id": "other", "payment_id": null}')).* from credits.purchases p; -- purchases_checkout_session_key
insert into credits.purchases select (jsonb_populate_record(p, '{"id": "other", "checkout_session_id": null}')).* from credits.purchases p; -- purchases_payment_key
insert into credits.purchases (account_id, id, package_id, credits, price_cents, currency, created_at, idempotency_key, fingerprint) select :ada, 'p' || n, 'pack', 1, 1, 'EUR', now(), 'k', sha256('k') from generate_series(1, 2) n; -- purchases_account_idempotency_key

update credits.payments set id = ''; -- payments_id_length
update credits.payments set charge_refunded_cents = -1; -- payments_charge_refunded_range
insert into credits.payments select * from credits.payments; -- payments_pkey

update credits.payment_refunds set id = ''; -- payment_refunds_id_length
update credits.payment_refunds set amount_cents = -1; -- payment_refunds_amount_range
update credits.payment_refunds set payment_id = 'none'; -- payment_refunds_payment_fkey
insert into credits.payment_refunds select * from credits.payment_refunds; -- payment_refunds_pkey

update credits.payment_disputes set id = ''; -- payment_disputes_id_length
update credits.payment_disputes set amount_cents = -1; -- payment_disputes_amount_range
update credits.payment_disputes set currency = 'eur'; -- payment_disputes_currency_form
update credits.payment_disputes set status = 'odd'; -- payment_disputes_status_known
update credits.payment_disputes set payment_id = 'none'; -- payment_disputes_payment_fkey
insert into credits.payment_disputes select * from credits.payment_disputes; -- payment_disputes_pkey

update credits.stripe_events set id = ''; -- stripe_events_id_length
update credits.stripe_events set type = ''; -- stripe_events_type_length
update credits.stripe_events set state = 'odd', done_at = now(); -- stripe_events_state_known
update credits.stripe_events set done_at = now(); -- stripe_events_done_dated
insert into credits.stripe_events select * from credits.stripe_events; -- stripe_events_pkey

update credits.freezes set id = ''; -- freezes_id_length
update credits.freezes set reason = 'mood'; -- freezes_reason_known
update credits.freezes set account_id = 0; -- freezes_account_fkey
insert into credits.freezes select * from credits.freezes; -- freezes_pkey

update credits.spend_limits set app_id = ''; -- spend_limits_app_length
update credits.spend_limits set cap = -1; -- spend_limits_cap_range
update credits.spend_limits set period = 'week'; -- spend_limits_period_known
update credits.spend_limits set set_by = 'nobody'; -- spend_limits_set_by_known
update credits.spend_limits set account_id = 0; -- spend_limits_account_fkey
insert into credits.spend_limits select * from credits.spend_limits; -- spend_limits_pkey

update credits.spend_counters set spent = -1; -- spend_counters_not_negative
update credits.spend_counters set period = 'week'; -- spend_counters_period_known
update credits.spend_counters set account_id = 0; -- spend_counters_account_fkey
insert into credits.spend_counters select * from credits.spend_counters; -- spend_counters_pkey

update credits.signup_bonus_claims set email_digest = '\x00'; -- signup_bonus_claims_digest_length
insert into credits.signup_bonus_claims select * from credits.signup_bonus_claims; -- signup_bonus_claims_pkey

update credits.usage_hours set refunded = -1; -- usage_hours_not_negative
update credits.usage_hours set account_id = 0; -- usage_hours_account_fkey
insert into credits.usage_hours select * from credits.usage_hours; -- usage_hours_pkey

update credits.usage_progress set account_id = 0 where account_id = :ada; -- usage_progress_account_fkey
insert into credits.usage_progress select * from credits.usage_progress where account_id = :ada; -- usage_progress_pkey

update credits.usage_rollup set singleton = 2; -- usage_rollup_single
insert into credits.usage_rollup select * from credits.usage_rollup; -- usage_rollup_pkey

update credits.gifts set id = 'x' where status = 'waiting'; -- gifts_id_form
update credits.gifts set amount = 0 where status = 'waiting'; -- gifts_amount_range
update credits.gifts set amounts = '{4}' where status = 'waiting'; -- gifts_lots_fit
update credits.gifts set code_hash = '\x00' where status = 'waiting'; -- gifts_code_hash_length
update credits.gifts set recipient_email = 'Ada@example.com' where status = 'waiting'; -- gifts_email_form
update credits.gifts set message = '' where status = 'waiting'; -- gifts_message_length
update credits.gifts set status = 'lost', ended_at = now() where status = 'waiting'; -- gifts_status_known
update credits.gifts set ended_at = now() where status = 'waiting'; -- gifts_ended_dated
update credits.gifts set receiver_account_id = :bob where status = 'waiting'; -- gifts_redeemed_by_somebody
update credits.gifts set status = 'redeemed', ended_at = now(), receiver_account_id = :ada where status = 'waiting'; -- gifts_not_to_oneself
update credits.gifts set expires_at = created_at where status = 'waiting'; -- gifts_ttl_limit
update credits.gifts set expires_at = created_at + interval '367 days' where status = 'waiting'; -- gifts_ttl_limit
update credits.gifts set made_seq = 999 where status = 'waiting'; -- gifts_giver_fkey
update credits.gifts set status = 'redeemed', ended_at = now(), receiver_account_id = 0 where status = 'waiting'; -- gifts_receiver_fkey
insert into credits.gifts select * from credits.gifts; -- gifts_pkey
update credits.gifts set code_hash = sha256('same'); -- gifts_code_hash_key

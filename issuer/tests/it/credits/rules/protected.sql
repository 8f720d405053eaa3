-- What triggers refuse to everybody, the owner included, each with the trigger.

delete from credits.accounts; -- accounts_no_delete
truncate credits.accounts cascade; -- accounts_no_truncate
delete from credits.credit_grants; -- credit_grants_no_delete
truncate credits.credit_grants cascade; -- credit_grants_no_truncate
delete from credits.holds; -- holds_no_delete
truncate credits.holds cascade; -- holds_no_truncate
delete from credits.purchases; -- purchases_no_delete
truncate credits.purchases cascade; -- purchases_no_truncate
delete from credits.gifts; -- gifts_no_delete
truncate credits.gifts cascade; -- gifts_no_truncate
delete from credits.freezes; -- freezes_no_delete
update credits.entries set description = 'other'; -- entries_append_only
delete from credits.entries; -- entries_append_only
truncate credits.entries cascade; -- entries_no_truncate
update credits.credit_grants set remaining = remaining + 1; -- credit_grants_by_entry_only
insert into credits.credit_grants (account_id, id, kind, burn_rank, remaining, open, created_at) values (:ada, 9, 'signup', 2, 5, true, now()); -- credit_grants_start_empty
update credits.gifts set status = 'cancelled' where status = 'expired'; -- gifts_end_once
update credits.signup_bonus_claims set claimed_at = claimed_at; -- signup_bonus_claims_append_only
delete from credits.signup_bonus_claims; -- signup_bonus_claims_append_only

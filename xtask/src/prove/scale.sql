create schema scale;
alter table credits.entries drop constraint entries_rules;

create function scale.user_id(p_n bigint) returns text
  language sql immutable
  return 'scalescalescal' || lpad(p_n::text, 7, '0');

create function scale.fill(p_first bigint, p_n_accounts bigint, p_n_entries bigint) returns void
  language plpgsql volatile set session_replication_role = replica as $$
declare
  c_bonus constant bigint = 1000000;
  v_now timestamptz = auth.clock();
  v_last bigint = p_first + p_n_accounts - 1;
begin
  insert into auth.users (id, email, name, created_at, updated_at)
  select scale.user_id(n), 'scale' || n || '@example.com', 'scale', v_now, v_now from generate_series(p_first, v_last) n;
  insert into credits.accounts (id, user_id, seq, daily_due_at, created_at)
  select n, scale.user_id(n), p_n_entries, v_now + interval '1 year', v_now from generate_series(p_first, v_last) n;
  insert into credits.credit_grants (account_id, id, kind, burn_rank, remaining, open, created_at)
  select n, 1, 'signup', credits.burn_rank('signup'), c_bonus - (p_n_entries - 1), true, v_now
    from generate_series(p_first, v_last) n;
  insert into credits.entries
    (account_id, seq, kind, amount, system_account, system_delta, credit_grant_ids, deltas,
     balance_after, earned_after, spent_after, app_id, description, key_scope, idempotency_key, fingerprint, created_at)
  select n, s,
         case when s = 1 then 'bonus' else 'usage' end,
         case when s = 1 then c_bonus else 1 end,
         case when s = 1 then 'promotion' else 'usage' end,
         case when s = 1 then -c_bonus else 1 end,
         array[1], array[case when s = 1 then c_bonus else -1 end],
         c_bonus - (s - 1), c_bonus, s - 1,
         case when s > 1 then 'scale' end, case when s > 1 then 'work' end,
         case when s > 1 then 'user' || chr(58) || 'scale' end, case when s > 1 then 'k' || s end,
         case when s > 1 then sha256('scale') end, v_now
    from generate_series(p_first, v_last) n, generate_series(1, p_n_entries) s;
end $$;

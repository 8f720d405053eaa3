-- What an operator does when something went wrong for many at once: ending sessions by the thousand,
-- taking a second factor off an account whose owner has lost it, noting what was done to the whole
-- system. All of that is for tollgate_owner; the issuer's role may call none of it. Beside it, what the
-- issuer asks before it reads from a replica.

grant create on schema auth to tollgate_definer; -- taken back at the end of this file

-- Sessions ----------------------------------------------------------------------------

create function auth.count_live_sessions(
  p_role text, p_opened_before timestamptz, p_opened_after timestamptz) returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  return (select count(*)
            from auth.sessions s
            join auth.users u on u.id = s.user_id
           where s.revoked_at is null and s.expires_at > auth.clock()
             and (p_role is null or u.role = p_role)
             and (p_opened_before is null or s.created_at < p_opened_before)
             and (p_opened_after is null or s.created_at >= p_opened_after));
end $$;
comment on function auth.count_live_sessions is 'How many sessions end_live_sessions would end. For tollgate_owner only.';

create function auth.end_live_sessions(
  p_role text, p_opened_before timestamptz, p_opened_after timestamptz, p_listed boolean,
  p_after_id text, p_limit integer, out ended integer, out last_id text)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  c_request constant jsonb := '{"actorKind": "system", "actorId": "operator"}';
  s auth.sessions;
begin
  ended := 0;
  for s in
    select t.*
      from auth.sessions t
      join auth.users u on u.id = t.user_id
     where t.id > p_after_id and t.revoked_at is null and t.expires_at > auth.clock()
       and (p_role is null or u.role = p_role)
       and (p_opened_before is null or t.created_at < p_opened_before)
       and (p_opened_after is null or t.created_at >= p_opened_after)
     order by t.id limit p_limit
       for no key update of t
  loop
    if p_listed then
      perform auth.end_session(s, 'revoked_by_admin');
    else
      update auth.sessions t set revoked_at = auth.clock(), revoked_reason = 'revoked_by_admin' where t.id = s.id;
    end if;
    perform auth.record_event('session_revoked', 'success', s.user_id, s.id, '{"reason": "revoked_by_admin"}', c_request);
    ended := ended + 1;
    last_id := s.id;
  end loop;
end $$;
comment on function auth.end_live_sessions is
  'Ends the next p_limit live sessions after p_after_id that fit, each with its event. Not p_listed leaves the feed alone: the caller cuts off every access token instead, because a feed with a million entries is none. For tollgate_owner only.';

-- Second factors ----------------------------------------------------------------------

create function auth.reset_two_factor(p_target_id text, p_request jsonb) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform from auth.users u where u.id = p_target_id and u.status <> 'erased' for no key update;
  if not found then
    return 'not_found';
  end if;
  delete from auth.totp_secrets t where t.user_id = p_target_id;
  if not found then
    return 'conflict';
  end if;
  delete from auth.recovery_codes c where c.user_id = p_target_id;
  update auth.users u set two_factor_enabled = false, updated_at = auth.clock() where u.id = p_target_id;
  perform auth.end_user_sessions(p_target_id, 'revoked_by_admin', null);
  perform auth.record_event('two_factor_disabled', 'success', p_target_id, null, '{"method": "totp"}', p_request);
  perform auth.notify_second_factor(p_target_id, 'disabled', '{}');
  return 'done';
end $$;
comment on function auth.reset_two_factor is
  'Takes one-time and recovery codes off an account whose owner has lost them, signs out everywhere and tells the owner. done, not_found, or conflict: there is none.';

create or replace function auth.operate_on_user(p_act text, p_target_id text, p_args jsonb) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  c_request constant jsonb := '{"actorKind": "system", "actorId": "operator"}';
begin
  perform set_config('tollgate.user_id', p_target_id, true);
  -- An admin's session alone must not take a second factor off anybody: this is the operator's act only.
  if p_act = 'reset_two_factor' then
    return auth.reset_two_factor(p_target_id, c_request);
  end if;
  return auth.apply_to_user(p_act, p_target_id, p_args, c_request);
end $$;

-- History -----------------------------------------------------------------------------

create function credits.find_account_seq(p_user_id text) returns bigint
  language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  return (select a.seq from credits.accounts a where a.user_id = p_user_id);
end $$;
comment on function credits.find_account_seq is
  'The number of the last entry of the user''s account, read under row-level security: the primary''s says what a replica must have to answer.';
revoke execute on function credits.find_account_seq(text) from public;
grant execute on function credits.find_account_seq(text) to tollgate_app;

-- The whole system --------------------------------------------------------------------

create function auth.record_operator_event(p_kind text, p_data jsonb) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform auth.record_event(p_kind, 'success', null, null, p_data, '{"actorKind": "system", "actorId": "operator"}');
end $$;
comment on function auth.record_operator_event is
  'Something done to the whole system from the command line. For tollgate_owner only.';

-- Ownership and rights ----------------------------------------------------------------

do $$
declare
  f regprocedure;
begin
  for f in
    select p.oid::regprocedure from pg_proc p
     where p.pronamespace = 'auth'::regnamespace
       and p.proname in ('count_live_sessions', 'end_live_sessions', 'reset_two_factor', 'record_operator_event')
  loop
    execute format('revoke execute on function %s from public', f);
    execute format('alter function %s owner to tollgate_definer', f);
  end loop;
end $$;
grant execute on function
  auth.count_live_sessions(text, timestamptz, timestamptz),
  auth.end_live_sessions(text, timestamptz, timestamptz, boolean, text, integer),
  auth.record_operator_event(text, jsonb)
  to tollgate_owner;
revoke create on schema auth from tollgate_definer;

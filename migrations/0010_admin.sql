-- What admins and operators do with other people's accounts.
--
-- Each act exists once, as a function that nobody may call. Two doors lead to them:
-- auth.act_on_user for an admin over HTTP, which checks role and session in the database, and
-- auth.operate_on_user for the command line, which only tollgate_owner may open: the issuer's own
-- role cannot make an admin, whatever its code does.

grant create on schema auth to tollgate_definer; -- taken back at the end of this file

create index users_created on auth.users (created_at desc, id desc);
create index users_admins on auth.users (id) where role = 'admin' and deleted_at is null;
create index sessions_impersonator on auth.sessions (impersonator_id) where impersonator_id is not null;

-- Who may -----------------------------------------------------------------------------

create function auth.admin_standing(p_admin_id text, p_session_id text) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_standing text := auth.session_standing(p_admin_id, p_session_id);
begin
  if v_standing = 'ended' then
    return 'ended';
  end if;
  -- Locked, so that the role holds until this transaction ends.
  perform from auth.users u
    where u.id = p_admin_id and u.role = 'admin' and auth.effective_status(u) = 'active' for share;
  if not found then
    return 'forbidden';
  end if;
  perform from auth.sessions s where s.id = p_session_id and s.impersonator_id is not null;
  return case when found then 'forbidden' else v_standing end;
end $$;
comment on function auth.admin_standing is
  'fresh, stale, ended or forbidden: whether this session is an admin''s, now and in the database, whatever its token says.';

create function auth.is_last_admin(p_user_id text) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  -- In one order and before counting: two admins who remove each other at one moment.
  perform from auth.users u where u.role = 'admin' and u.deleted_at is null order by u.id for no key update;
  return exists (select from auth.users u
                  where u.id = p_user_id and u.role = 'admin' and auth.effective_status(u) = 'active')
     and not exists (select from auth.users u
                      where u.id <> p_user_id and u.role = 'admin' and auth.effective_status(u) = 'active');
end $$;
comment on function auth.is_last_admin is 'Whether nobody could administer if this user could not; locks every admin.';

create function auth.end_impersonations(p_admin_id text, p_reason text) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  s auth.sessions;
begin
  for s in
    select t.* from auth.sessions t
     where t.impersonator_id = p_admin_id and t.revoked_at is null and t.expires_at > auth.clock()
     order by t.id for no key update
  loop
    perform auth.end_session(s, p_reason);
  end loop;
end $$;
comment on function auth.end_impersonations is 'Ends the sessions in which this admin acts in somebody''s place.';

-- The acts ----------------------------------------------------------------------------
-- Each answers done, not_found, last_admin or conflict (there is nothing to do), and records itself.

create function auth.ban_user(p_target_id text, p_args jsonb, p_request jsonb) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  if auth.is_last_admin(p_target_id) then
    return 'last_admin';
  end if;
  update auth.users u
     set status = 'banned', status_reason = p_args ->> 'reason', status_until = (p_args ->> 'until')::timestamptz,
         updated_at = auth.clock()
   where u.id = p_target_id and u.status in ('active', 'banned');
  if not found then
    return 'not_found';
  end if;
  perform auth.end_user_sessions(p_target_id, 'banned', null);
  perform auth.end_impersonations(p_target_id, 'banned');
  perform auth.record_event('user_banned', 'success', p_target_id, null, p_args, p_request);
  return 'done';
end $$;

create function auth.unban_user(p_target_id text, p_request jsonb) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update auth.users u
     set status = 'active', status_reason = null, status_until = null, updated_at = auth.clock()
   where u.id = p_target_id and u.status = 'banned';
  if not found then
    return case when exists (select from auth.users u where u.id = p_target_id and u.status = 'active')
                then 'conflict' else 'not_found' end;
  end if;
  perform auth.record_event('user_unbanned', 'success', p_target_id, null, '{}', p_request);
  return 'done';
end $$;

create function auth.set_user_role(p_target_id text, p_role text, p_request jsonb) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_before text;
begin
  if p_role <> 'admin' and auth.is_last_admin(p_target_id) then
    return 'last_admin';
  end if;
  select u.role into v_before from auth.users u
   where u.id = p_target_id and u.status in ('active', 'banned') for no key update;
  if not found then
    return 'not_found';
  end if;
  if v_before = p_role then
    return 'done';
  end if;
  update auth.users u set role = p_role, updated_at = auth.clock() where u.id = p_target_id;
  if p_role = 'admin' then
    perform auth.cut_off_tokens(p_target_id);
  else
    -- Whoever loses power keeps nothing that was opened with it.
    perform auth.end_user_sessions(p_target_id, 'role_changed', null);
    perform auth.end_impersonations(p_target_id, 'role_changed');
  end if;
  perform auth.record_event('role_changed', 'success', p_target_id, null,
    jsonb_build_object('from', v_before, 'to', p_role), p_request);
  return 'done';
end $$;

create function auth.force_password_reset(p_target_id text, p_request jsonb) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- As unguessable as it need be: what opens the link is derived from it under MASTER_KEY.
  v_token_id text := rtrim(translate(encode(uuid_send(gen_random_uuid()), 'base64'), '+/', '-_'), '=');
  v_user auth.users;
  v_sent boolean;
begin
  update auth.users u
     set password_hash = null, password_set_at = null, updated_at = auth.clock()
   where u.id = p_target_id and u.status in ('active', 'banned')
  returning u.* into v_user;
  if not found then
    return 'not_found';
  end if;
  v_sent := auth.issue_mail_token(v_user, 'reset_password', v_user.email, v_token_id);
  perform auth.end_user_sessions(p_target_id, 'revoked_by_admin', null);
  perform auth.record_event('password_reset_forced', 'success', p_target_id, null,
    jsonb_build_object('mailed', v_sent), p_request);
  return 'done';
end $$;

create function auth.end_sessions_of_user(p_target_id text, p_request jsonb) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_ended integer;
begin
  perform from auth.users u where u.id = p_target_id and u.status <> 'erased';
  if not found then
    return 'not_found';
  end if;
  v_ended := auth.end_user_sessions(p_target_id, 'revoked_by_admin', null);
  perform auth.record_event('sessions_revoked', 'success', p_target_id, null,
    jsonb_build_object('revoked', v_ended), p_request);
  return 'done';
end $$;

create function auth.delete_user(p_target_id text, p_request jsonb) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- Time to notice a mistake.
  c_grace constant interval := interval '30 days';
begin
  if auth.is_last_admin(p_target_id) then
    return 'last_admin';
  end if;
  update auth.users u
     set status = 'deleted', status_reason = null, status_until = null,
         deleted_at = auth.clock(), erase_after = auth.clock() + c_grace, updated_at = auth.clock()
   where u.id = p_target_id and u.status in ('active', 'banned');
  if not found then
    return 'not_found';
  end if;
  perform auth.end_user_sessions(p_target_id, 'deleted', null);
  perform auth.end_impersonations(p_target_id, 'deleted');
  perform auth.record_event('account_deleted', 'success', p_target_id, null, '{}', p_request);
  return 'done';
end $$;

create function auth.restore_user(p_target_id text, p_request jsonb) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  begin
    update auth.users u
       set status = 'active', deleted_at = null, erase_after = null, updated_at = auth.clock()
     where u.id = p_target_id and u.status = 'deleted';
    if not found then
      return case when exists (select from auth.users u where u.id = p_target_id and u.status in ('active', 'banned'))
                  then 'conflict' else 'not_found' end;
    end if;
  exception when unique_violation then
    -- Somebody else has registered with the address meanwhile.
    return 'conflict';
  end;
  perform auth.record_event('account_restored', 'success', p_target_id, null, '{}', p_request);
  return 'done';
end $$;

create function auth.apply_to_user(p_act text, p_target_id text, p_args jsonb, p_request jsonb) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  return case p_act
    when 'ban' then auth.ban_user(p_target_id, p_args, p_request)
    when 'unban' then auth.unban_user(p_target_id, p_request)
    when 'set_role' then auth.set_user_role(p_target_id, p_args ->> 'role', p_request)
    when 'force_password_reset' then auth.force_password_reset(p_target_id, p_request)
    when 'revoke_sessions' then auth.end_sessions_of_user(p_target_id, p_request)
    when 'delete' then auth.delete_user(p_target_id, p_request)
    when 'restore' then auth.restore_user(p_target_id, p_request)
    else 'unknown_act'
  end;
end $$;

-- The doors ---------------------------------------------------------------------------

create function auth.act_on_user(
  p_admin_id text, p_session_id text, p_act text, p_target_id text, p_args jsonb, p_request jsonb) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_standing text;
begin
  perform set_config('tollgate.user_id', p_admin_id, true);
  -- Before the admin's own row is locked for reading: acts on admins lock all of them.
  if p_act in ('ban', 'set_role', 'delete') then
    perform auth.is_last_admin(p_target_id);
  end if;
  v_standing := auth.admin_standing(p_admin_id, p_session_id);
  if v_standing <> 'fresh' then
    return v_standing;
  end if;
  -- An admin changes their own password; voiding it could leave nobody who can sign in.
  if p_act = 'force_password_reset' and p_target_id = p_admin_id then
    return 'conflict';
  end if;
  return auth.apply_to_user(p_act, p_target_id, p_args,
    p_request || jsonb_build_object('actorKind', 'admin', 'actorId', p_admin_id));
end $$;
comment on function auth.act_on_user is
  'An act of an admin on somebody''s account. outcome: done, not_found, last_admin, conflict, or why not: stale, ended, forbidden.';

create function auth.operate_on_user(p_act text, p_target_id text, p_args jsonb) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_target_id, true);
  return auth.apply_to_user(p_act, p_target_id, p_args, '{"actorKind": "system", "actorId": "operator"}');
end $$;
comment on function auth.operate_on_user is 'The same act from the command line. For tollgate_owner only.';

create function auth.create_admin(p_user_id text, p_email text, p_name text, p_password_hash text)
  returns timestamptz
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  c_request constant jsonb := '{"actorKind": "system", "actorId": "operator"}';
  v_created timestamptz;
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  v_created := auth.register_user(p_user_id, p_email, p_name, p_password_hash, 'en', c_request);
  if v_created is null then
    return null;
  end if;
  -- The operator vouches for the address.
  update auth.users u set role = 'admin', email_verified_at = v_created where u.id = p_user_id;
  perform auth.record_event('role_changed', 'success', p_user_id, null, '{"from": "user", "to": "admin"}', c_request);
  return v_created;
end $$;
comment on function auth.create_admin is 'The first admin, made by the operator; null when the address is taken. For tollgate_owner only.';

-- Reading -----------------------------------------------------------------------------

create type auth.user_listing as (
  id text, email text, name text, role text, status text, status_reason text, status_until timestamptz,
  email_verified boolean, two_factor_enabled boolean, locale text, n_sessions bigint,
  created_at timestamptz, deleted_at timestamptz, erase_after timestamptz);
comment on type auth.user_listing is 'A user as admins and operators see one.';

create function auth.as_user_listing(u auth.users) returns auth.user_listing
  language sql volatile
  return row(u.id, u.email, u.name, u.role, auth.effective_status(u), u.status_reason, u.status_until,
             u.email_verified_at is not null, u.two_factor_enabled, u.locale,
             (select count(*) from auth.sessions s
               where s.user_id = u.id and s.revoked_at is null and s.expires_at > auth.clock()),
             u.created_at, u.deleted_at, u.erase_after)::auth.user_listing;

create function auth.find_users(p_query text, p_status text, p_role text, p_after_id text, p_limit integer)
  returns setof auth.user_listing
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  u auth.users;
begin
  for u in
    select t.* from auth.users t
     where (p_query is null or t.id = p_query or position(lower(p_query) in t.email) > 0
            or position(lower(p_query) in lower(t.name)) > 0)
       and (p_status is null or auth.effective_status(t) = p_status)
       and (p_role is null or t.role = p_role)
       and (p_after_id is null or (t.created_at, t.id) < (select c.created_at, c.id from auth.users c where c.id = p_after_id))
     order by t.created_at desc, t.id desc
     limit p_limit
  loop
    return next auth.as_user_listing(u);
  end loop;
end $$;

create function auth.list_users(
  p_admin_id text, p_session_id text, p_query text, p_status text, p_role text, p_after_id text, p_limit integer,
  out standing text, out listed auth.user_listing)
  returns setof record
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_admin_id, true);
  standing := auth.admin_standing(p_admin_id, p_session_id);
  return next; -- the first row says only whether the rest may be seen
  if standing not in ('fresh', 'stale') then
    return;
  end if;
  for listed in select t.* from auth.find_users(p_query, p_status, p_role, p_after_id, p_limit) t loop
    return next;
  end loop;
end $$;
comment on function auth.list_users is 'Users, newest first, for an admin. The first row holds only the standing of who asks.';

create function auth.load_user_listing(p_admin_id text, p_session_id text, p_user_id text,
  out standing text, out listed auth.user_listing)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_admin_id, true);
  standing := auth.admin_standing(p_admin_id, p_session_id);
  if standing in ('fresh', 'stale') then
    select l.* into listed from auth.users t cross join lateral auth.as_user_listing(t) l where t.id = p_user_id;
  end if;
end $$;

create function auth.operator_find_users(p_query text, p_status text, p_role text, p_after_id text, p_limit integer)
  returns setof auth.user_listing
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query select * from auth.find_users(p_query, p_status, p_role, p_after_id, p_limit);
end $$;
comment on function auth.operator_find_users is 'The same list from the command line. For tollgate_owner only.';

create function auth.search_events(
  p_admin_id text, p_session_id text, p_user_id text, p_kind text, p_from timestamptz, p_to timestamptz,
  p_before_id bigint, p_limit integer)
  returns table (standing text, id bigint, occurred_at timestamptz, kind text, outcome text, actor_kind text, actor_id text,
                 target_kind text, target_id text, user_id text, session_id text, request_id text,
                 ip_address text, user_agent text, details jsonb)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_admin_id, true);
  standing := auth.admin_standing(p_admin_id, p_session_id);
  return next; -- the first row says only whether the rest may be seen
  if standing not in ('fresh', 'stale') then
    return;
  end if;
  return query
    select null::text, e.id, e.occurred_at, e.kind, e.outcome, e.actor_kind, e.actor_id, e.target_kind, e.target_id,
           e.user_id, e.session_id, e.request_id, host(d.ip_address), d.user_agent, coalesce(d.data, '{}')
      from auth.security_events e
      left join auth.security_event_details d on d.event_id = e.id
     where e.id < p_before_id
       and (p_user_id is null or e.user_id = p_user_id)
       and (p_kind is null or e.kind = p_kind)
       and (p_from is null or e.occurred_at >= p_from)
       and (p_to is null or e.occurred_at < p_to)
     order by e.id desc
     limit p_limit;
end $$;
comment on function auth.search_events is
  'Events of everybody, newest first, for an admin. The first row holds only the standing of who asks.';

create function auth.record_export(p_admin_id text, p_session_id text, p_filter jsonb, p_request jsonb) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_standing text;
begin
  perform set_config('tollgate.user_id', p_admin_id, true);
  v_standing := auth.admin_standing(p_admin_id, p_session_id);
  if v_standing <> 'fresh' then
    return v_standing;
  end if;
  perform auth.record_event('events_exported', 'success', p_admin_id, p_session_id, p_filter,
    p_request || jsonb_build_object('actorKind', 'admin', 'actorId', p_admin_id));
  return 'done';
end $$;
comment on function auth.record_export is 'Notes that an admin takes events away, and says whether they may: done, stale, ended, forbidden.';

-- Impersonation -----------------------------------------------------------------------

create function auth.impersonate(
  p_admin_id text, p_session_id text, p_target_id text, p_new_session_id text, p_nonce_hash bytea,
  p_reason text, p_ttl_secs integer, p_request jsonb)
  returns table (outcome text, email text, role text, email_verified boolean, token_cutoff bigint)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_now timestamptz;
  v_user auth.users;
begin
  perform set_config('tollgate.user_id', p_admin_id, true);
  outcome := auth.admin_standing(p_admin_id, p_session_id);
  if outcome <> 'fresh' then
    return next;
    return;
  end if;
  select u.* into v_user from auth.users u
   where u.id = p_target_id and auth.effective_status(u) = 'active' for no key update;
  outcome := case when not found then 'not_found' when v_user.role = 'admin' then 'is_admin' else 'done' end;
  if outcome <> 'done' then
    return next;
    return;
  end if;
  v_now := auth.clock();
  -- No refresh token is ever made for it: nobody knows what the hash is of.
  insert into auth.sessions
    (id, user_id, device_name, user_agent, ip_address, methods, impersonator_id, nonce_hash,
     created_at, authenticated_at, last_used_at, access_expires_at, expires_at, absolute_expires_at)
  values (p_new_session_id, p_target_id, 'Support', null, null, '{}', p_admin_id, p_nonce_hash,
     v_now, v_now, v_now, v_now + make_interval(secs => p_ttl_secs + 1),
     v_now + make_interval(secs => p_ttl_secs), v_now + make_interval(secs => p_ttl_secs));
  perform auth.record_event('impersonation_started', 'success', p_target_id, p_new_session_id,
    jsonb_build_object('reason', p_reason),
    p_request || jsonb_build_object('actorKind', 'admin', 'actorId', p_admin_id));
  email := v_user.email;
  role := v_user.role;
  email_verified := v_user.email_verified_at is not null;
  token_cutoff := v_user.token_cutoff;
  return next;
end $$;
comment on function auth.impersonate is
  'Opens a short session of the user for an admin. outcome: done, not_found, is_admin, stale, ended, forbidden.';

-- Ownership and rights ----------------------------------------------------------------

do $$
declare
  f regprocedure;
begin
  for f in
    select p.oid::regprocedure from pg_proc p
     where p.pronamespace = 'auth'::regnamespace and p.proname in (
       'admin_standing', 'is_last_admin', 'end_impersonations', 'ban_user', 'unban_user', 'set_user_role',
       'force_password_reset', 'end_sessions_of_user', 'delete_user', 'restore_user', 'apply_to_user', 'act_on_user',
       'operate_on_user', 'create_admin', 'as_user_listing', 'find_users', 'list_users', 'load_user_listing',
       'operator_find_users', 'search_events', 'record_export', 'impersonate')
  loop
    execute format('revoke execute on function %s from public', f);
    execute format('alter function %s owner to tollgate_definer', f);
  end loop;
end $$;
grant usage on type auth.user_listing to tollgate_app, tollgate_definer;
grant execute on function
  auth.act_on_user(text, text, text, text, jsonb, jsonb),
  auth.list_users(text, text, text, text, text, text, integer),
  auth.load_user_listing(text, text, text),
  auth.search_events(text, text, text, text, timestamptz, timestamptz, bigint, integer),
  auth.record_export(text, text, jsonb, jsonb),
  auth.impersonate(text, text, text, text, bytea, text, integer, jsonb)
  to tollgate_app;
grant execute on function
  auth.operate_on_user(text, text, jsonb),
  auth.create_admin(text, text, text, text),
  auth.operator_find_users(text, text, text, text, integer)
  to tollgate_owner;
revoke create on schema auth from tollgate_definer;

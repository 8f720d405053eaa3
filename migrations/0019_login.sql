-- Signing in with half the work in the database: the password's hash should be what it costs.

grant create on schema auth to tollgate_definer; -- taken back at the end of this file

-- In PL/pgSQL the expression is prepared once for a connection. As a function in SQL it would be
-- inlined only if all of it were immutable, and is otherwise read anew at every call.
create or replace function auth.event_details_digest(p_salt bytea, p_ip inet, p_user_agent text, p_data jsonb) returns bytea
  language plpgsql immutable parallel safe as $$
begin
  return sha256(p_salt || convert_to(
    coalesce(host(p_ip), '') || chr(10) || coalesce(p_user_agent, '') || chr(10) || p_data::text, 'UTF8'));
end $$;

create or replace function auth.record_event(
  p_kind text, p_outcome text, p_user_id text, p_session_id text, p_data jsonb, p_request jsonb)
  returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_salt bytea := uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());
  v_ip inet := (p_request ->> 'ip')::inet;
  v_agent text := p_request ->> 'userAgent';
  v_actor_kind text := p_request ->> 'actorKind';
  v_actor_id text := p_request ->> 'actorId';
begin
  if v_actor_kind is null then
    -- An admin who acts in somebody's place is who acts.
    select 'admin', s.impersonator_id into v_actor_kind, v_actor_id
      from auth.sessions s where s.id = p_session_id and s.impersonator_id is not null;
  end if;
  if v_actor_kind is null then
    v_actor_kind := case when p_user_id is null then 'anonymous' else 'user' end;
    v_actor_id := p_user_id;
  end if;
  with event as (
    insert into auth.security_events
      (occurred_at, kind, outcome, actor_kind, actor_id, target_kind, target_id, user_id, session_id, request_id, details_digest)
    values (auth.clock(), p_kind, p_outcome, v_actor_kind, v_actor_id,
      case when p_session_id is null then 'user' else 'session' end, coalesce(p_session_id, p_user_id),
      p_user_id, p_session_id, p_request ->> 'id', auth.event_details_digest(v_salt, v_ip, v_agent, p_data))
    returning id)
  insert into auth.security_event_details (event_id, user_id, salt, ip_address, user_agent, data)
  select event.id, p_user_id, v_salt, v_ip, v_agent, p_data from event;
end $$;

create or replace function auth.open_session(
  p_user_id text, p_credential_version bigint, p_new_password_hash text,
  p_session_id text, p_nonce_hash bytea, p_device_id text, p_device_name text, p_methods text[],
  p_access_ttl_secs integer, p_refresh_ttl_secs integer, p_absolute_ttl_secs integer, p_request jsonb)
  returns table (email text, name text, role text, email_verified boolean, created_at timestamptz,
                 token_cutoff bigint, expires_at timestamptz)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- More devices than anyone has: past it, the session that was used longest ago ends.
  c_sessions_per_user constant integer := 500;
  v_now timestamptz;
  v_user auth.users;
  v_old auth.sessions;
  v_n_live bigint;
  v_n_replaced bigint;
  v_is_new_device boolean;
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  -- What was checked must still be in force: hashing took a while, and a login that waited in
  -- the queue must not survive a password change made meanwhile.
  select u.* into v_user from auth.users u
   where u.id = p_user_id and auth.effective_status(u) = 'active' and u.credential_version = p_credential_version
     for no key update;
  if not found then
    return;
  end if;
  v_now := auth.clock();
  if p_new_password_hash is not null then
    update auth.users u set password_hash = p_new_password_hash, updated_at = v_now where u.id = p_user_id;
  end if;
  -- One look at the user's sessions decides what there is to do besides; mostly that is nothing.
  select count(*) filter (where s.revoked_at is null and s.expires_at > v_now),
         count(*) filter (where s.revoked_at is null and s.expires_at > v_now and s.device_id = p_device_id),
         -- Null, and so not true, for the first session of all.
         not bool_or(coalesce(s.device_id = p_device_id, false)
                     or (s.user_agent is not distinct from p_request ->> 'userAgent'
                         and s.ip_address is not distinct from (p_request ->> 'ip')::inet))
    into v_n_live, v_n_replaced, v_is_new_device
    from auth.sessions s where s.user_id = p_user_id;
  if v_is_new_device then
    perform auth.enqueue_mail(p_user_id, 'new_device', p_session_id, jsonb_build_object('sessionId', p_session_id));
  end if;
  if v_n_replaced > 0 then
    for v_old in
      select s.* from auth.sessions s
       where s.user_id = p_user_id and s.device_id = p_device_id
         and s.revoked_at is null and s.expires_at > v_now
         for no key update
    loop
      perform auth.end_session(v_old, 'replaced');
    end loop;
  end if;
  if v_n_live - v_n_replaced >= c_sessions_per_user then
    for v_old in
      select s.* from auth.sessions s
       where s.user_id = p_user_id and s.revoked_at is null and s.expires_at > v_now
       order by s.last_used_at desc, s.id offset c_sessions_per_user - 1
         for no key update
    loop
      perform auth.end_session(v_old, 'session_limit');
      perform auth.record_event('session_revoked', 'success', p_user_id, v_old.id, '{"reason": "session_limit"}', p_request);
    end loop;
  end if;
  insert into auth.sessions
    (id, user_id, device_id, device_name, user_agent, ip_address, methods, nonce_hash,
     created_at, authenticated_at, last_used_at, access_expires_at, expires_at, absolute_expires_at)
  values (p_session_id, p_user_id, p_device_id, p_device_name, p_request ->> 'userAgent', (p_request ->> 'ip')::inet,
     p_methods, p_nonce_hash, v_now, v_now, v_now,
     v_now + make_interval(secs => p_access_ttl_secs + 1),
     v_now + make_interval(secs => least(p_refresh_ttl_secs, p_absolute_ttl_secs)),
     v_now + make_interval(secs => p_absolute_ttl_secs));
  -- Whoever signs in acts for themselves: said here, it need not be looked up.
  perform auth.record_event('login', 'success', p_user_id, p_session_id,
    jsonb_build_object('methods', p_methods),
    jsonb_build_object('actorKind', 'user', 'actorId', p_user_id) || p_request);
  return query
    select v_user.email, v_user.name, v_user.role, v_user.email_verified_at is not null, v_user.created_at,
           v_user.token_cutoff, v_now + make_interval(secs => least(p_refresh_ttl_secs, p_absolute_ttl_secs));
end $$;

revoke create on schema auth from tollgate_definer;

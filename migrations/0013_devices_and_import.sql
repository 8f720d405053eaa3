-- Devices that signed in before, ending sessions, and users who come from another system.

grant create on schema auth to tollgate_definer; -- taken back at the end of this file

-- Known devices -----------------------------------------------------------------------

create function auth.is_known_client(p_user_id text, p_ip text, p_device_id text) returns boolean
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- A shorter device id can be guessed ("phone"), one of this length is random.
  c_unguessable constant integer := 16;
begin
  return exists (
    select from auth.sessions s
     where s.user_id = p_user_id and s.impersonator_id is null
       -- Whose session somebody ended on purpose is a stranger again.
       and coalesce(s.revoked_reason, 'logout') not in ('reuse', 'revoked_by_user', 'revoked_by_admin', 'banned')
       and ((s.device_id = p_device_id and char_length(p_device_id) >= c_unguessable)
            -- Providers move an IPv6 client about inside its /64.
            or s.ip_address <<= case family(p_ip::inet) when 6 then set_masklen(p_ip::inet, 64) else p_ip::inet end));
end $$;
comment on function auth.is_known_client is
  'Whether the user signed in before from this device or address: such a client is not slowed down by what strangers try.';

-- Sessions ----------------------------------------------------------------------------

create function auth.touch_session(p_user_id text, p_session_id text) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- Precise enough for a list of devices, and no write for most reads.
  c_every constant interval := interval '1 minute';
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  -- A read does not wait for a refresh that is under way, which notes the use itself.
  update auth.sessions t set last_used_at = auth.clock()
   where t.id = (select s.id from auth.sessions s
                  where s.id = p_session_id and s.user_id = p_user_id and s.revoked_at is null
                    and s.last_used_at <= auth.clock() - c_every
                    for no key update skip locked);
end $$;
comment on function auth.touch_session is 'Notes that the session was used, at most once a minute.';

create function auth.revoke_own_session(p_user_id text, p_session_id text, p_target_id text, p_request jsonb) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_standing text;
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  -- In the order of their ids: two sessions that end each other would be a deadlock.
  perform from auth.sessions t
    where t.user_id = p_user_id and t.id in (p_session_id, p_target_id) order by t.id for no key update;
  v_standing := auth.session_standing(p_user_id, p_session_id);
  -- Leaving oneself needs no recent sign-in, throwing others out does.
  if v_standing = 'ended' or (v_standing = 'stale' and p_target_id <> p_session_id) then
    return v_standing;
  end if;
  return case when auth.revoke_session(p_user_id, p_target_id, 'revoked_by_user', p_request)
    then 'revoked' else 'absent' end;
end $$;
comment on function auth.revoke_own_session is 'Ends one session of the user: revoked, absent, or why the asking session may not: stale, ended.';

create function auth.revoke_sessions(p_user_id text, p_session_id text, p_this_too boolean, p_request jsonb)
  returns table (standing text, session_id text)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  s auth.sessions;
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  perform from auth.sessions t where t.user_id = p_user_id and t.revoked_at is null order by t.id for no key update;
  standing := auth.session_standing(p_user_id, p_session_id);
  return next;
  if standing <> 'fresh' then
    return;
  end if;
  for s in
    select t.* from auth.sessions t
     where t.user_id = p_user_id and (p_this_too or t.id <> p_session_id)
       and t.revoked_at is null and t.expires_at > auth.clock()
     order by t.id for no key update
  loop
    perform auth.end_session(s, 'revoked_by_user');
    perform auth.record_event('session_revoked', 'success', p_user_id, s.id,
      jsonb_build_object('reason', 'revoked_by_user'), p_request);
    session_id := s.id;
    return next;
  end loop;
end $$;
comment on function auth.revoke_sessions is
  'Ends the user''s live sessions, this one too if asked. The first row says how the asking session stands and names none; nothing is ended unless it is fresh.';

-- Users from elsewhere ----------------------------------------------------------------

create index users_foreign_hash on auth.users (id)
  where password_hash is not null and password_hash not like '$argon2id$v=19$m=19456,t=2,p=1$%';
comment on index auth.users_foreign_hash is 'Passwords that are not hashed as they are today: it answers at once whether there are any.';

create function auth.any_foreign_hash() returns boolean
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return exists (select from auth.users u where u.password_hash is not null and u.password_hash not like '$argon2id$v=19$m=19456,t=2,p=1$%');
end $$;
comment on function auth.any_foreign_hash is
  'Whether any password is still hashed otherwise than today, by another system or with older parameters. While there are, refused sign-ins all take the same time.';

create function auth.import_user(
  p_user_id text, p_email text, p_name text, p_password_hash text, p_email_verified boolean,
  p_created_at timestamptz, p_request jsonb)
  returns table (outcome text, user_id text)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_now timestamptz;
  v_created_at timestamptz;
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  v_now := auth.clock();
  v_created_at := least(coalesce(p_created_at, v_now), v_now);
  if exists (select from auth.users u where u.id = p_user_id and (u.email <> p_email or u.deleted_at is not null)) then
    return query select 'id_taken', null::text;
    return;
  end if;
  insert into auth.users as u
    (id, email, name, password_hash, password_set_at, email_verified_at, created_at, updated_at)
  values (p_user_id, p_email, p_name, p_password_hash, case when p_password_hash is not null then v_created_at end,
          case when p_email_verified then v_created_at end, v_created_at, v_now)
  on conflict (email) where deleted_at is null do nothing;
  if not found then
    return query select 'exists', u.id from auth.users u where u.email = p_email and u.deleted_at is null;
    return;
  end if;
  perform auth.record_event('user_imported', 'success', p_user_id, null, '{}', p_request);
  return query select 'imported', p_user_id;
end $$;
comment on function auth.import_user is
  'Creates a user with a password hash of another system. outcome: imported, exists (the address has this user), id_taken (by somebody else).';

alter function auth.is_known_client(text, text, text) owner to tollgate_definer;
alter function auth.touch_session(text, text) owner to tollgate_definer;
alter function auth.revoke_own_session(text, text, text, jsonb) owner to tollgate_definer;
alter function auth.revoke_sessions(text, text, boolean, jsonb) owner to tollgate_definer;
alter function auth.any_foreign_hash() owner to tollgate_definer;
alter function auth.import_user(text, text, text, text, boolean, timestamptz, jsonb) owner to tollgate_definer;

revoke execute on function
  auth.is_known_client(text, text, text),
  auth.touch_session(text, text),
  auth.revoke_own_session(text, text, text, jsonb),
  auth.revoke_sessions(text, text, boolean, jsonb),
  auth.any_foreign_hash(),
  auth.import_user(text, text, text, text, boolean, timestamptz, jsonb)
  from public;
grant execute on function
  auth.is_known_client(text, text, text),
  auth.touch_session(text, text),
  auth.revoke_own_session(text, text, text, jsonb),
  auth.revoke_sessions(text, text, boolean, jsonb),
  auth.any_foreign_hash(),
  auth.import_user(text, text, text, text, boolean, timestamptz, jsonb)
  to tollgate_app;
revoke create on schema auth from tollgate_definer;

-- One's own account: profile, password, address, export, deletion and erasure.

grant create on schema auth to tollgate_definer; -- taken back at the end of this file
grant delete on auth.security_event_details to tollgate_definer;

create function auth.update_profile(p_user_id text, p_session_id text, p_name text, p_locale text, p_request jsonb)
  returns table (id text, email text, name text, role text, email_verified boolean, created_at timestamptz)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  if auth.session_standing(p_user_id, p_session_id) = 'ended' then
    return;
  end if;
  perform auth.record_event('profile_updated', 'success', p_user_id, p_session_id, '{}', p_request);
  return query
    update auth.users u
       set name = coalesce(p_name, u.name), locale = coalesce(p_locale, u.locale), updated_at = auth.clock()
     where u.id = p_user_id and auth.effective_status(u) = 'active'
    returning u.id, u.email, u.name, u.role, u.email_verified_at is not null, u.created_at;
end $$;
comment on function auth.update_profile is 'Changes what is given; no row once the session has ended.';

create function auth.load_own_password(p_user_id text, p_session_id text)
  returns table (standing text, password_hash text, credential_version bigint)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  return query
    select auth.session_standing(p_user_id, p_session_id), u.password_hash, u.credential_version
      from auth.users u where u.id = p_user_id;
end $$;
comment on function auth.load_own_password is 'What the present password is checked against before another is set.';

create function auth.change_password(
  p_user_id text, p_session_id text, p_credential_version bigint, p_password_hash text, p_request jsonb,
  out outcome text, out ended_sessions text[])
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  outcome := auth.session_standing(p_user_id, p_session_id);
  ended_sessions := '{}';
  if outcome <> 'fresh' then
    return;
  end if;
  update auth.users u
     set password_hash = p_password_hash, password_set_at = auth.clock(), updated_at = auth.clock()
   where u.id = p_user_id and u.credential_version = p_credential_version and auth.effective_status(u) = 'active';
  if not found then
    outcome := 'changed';
    return;
  end if;
  ended_sessions := auth.live_session_ids(p_user_id, p_session_id);
  perform auth.end_user_sessions(p_user_id, 'password_changed', p_session_id);
  perform auth.record_event('password_changed', 'success', p_user_id, p_session_id, '{}', p_request);
  perform auth.enqueue_mail(p_user_id, 'password_changed', p_session_id || ':' || p_credential_version, '{}');
  outcome := 'done';
end $$;
comment on function auth.change_password is
  'Sets a password if the one that was checked is still in force, and ends the other sessions. outcome: done, stale, ended, changed.';

create function auth.request_email_change(
  p_user_id text, p_session_id text, p_email text, p_token_id text, p_request jsonb) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_standing text;
  v_user auth.users;
  v_owner_id text;
  v_sent boolean := false;
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  v_standing := auth.session_standing(p_user_id, p_session_id);
  if v_standing <> 'fresh' then
    return v_standing;
  end if;
  select u.* into v_user from auth.users u where u.id = p_user_id and auth.effective_status(u) = 'active';
  if not found then
    return 'ended';
  end if;
  select u.id into v_owner_id from auth.users u where u.email = p_email and u.deleted_at is null;
  if v_owner_id is null then
    v_sent := auth.issue_mail_token(v_user, 'change_email', p_email, p_token_id);
  elsif v_owner_id <> p_user_id then
    perform auth.enqueue_mail(v_owner_id, 'already_registered',
      v_owner_id || ':' || to_char(auth.clock() at time zone 'UTC', 'YYYY-MM-DD"T"HH24'), '{}');
  end if;
  perform auth.record_event('email_change_requested', case when v_sent then 'success' else 'refused' end,
    p_user_id, p_session_id, '{}', p_request);
  return 'done';
end $$;
comment on function auth.request_email_change is
  'Mails a link to the new address, or tells its owner when it has one. outcome: done either way, stale, ended.';

create function auth.confirm_email_change(p_token_id text, p_request jsonb) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_token auth.mail_tokens;
  v_old_email text;
begin
  update auth.mail_tokens t set used_at = auth.clock()
   where t.id = p_token_id and t.purpose = 'change_email' and t.used_at is null and t.expires_at > auth.clock()
  returning t.* into v_token;
  perform set_config('tollgate.user_id', coalesce(v_token.user_id, ''), true);
  select u.email into v_old_email from auth.users u
   where u.id = v_token.user_id and u.credential_version = v_token.credential_version
     and auth.effective_status(u) = 'active' for no key update;
  if not found then
    return null;
  end if;
  begin
    update auth.users u set email = v_token.email, email_verified_at = auth.clock(), updated_at = auth.clock()
     where u.id = v_token.user_id;
  exception when unique_violation then
    -- Somebody else took the address meanwhile.
    return null;
  end;
  -- Tokens name the address: the next refresh brings one with the new.
  perform auth.cut_off_tokens(v_token.user_id);
  perform auth.record_event('email_changed', 'success', v_token.user_id, null, '{}', p_request);
  perform auth.enqueue_mail(v_token.user_id, 'email_changed', p_token_id, jsonb_build_object('to', v_old_email));
  return v_token.user_id;
end $$;
comment on function auth.confirm_email_change is
  'The new address has answered: it takes the place of the old one, which is told. Null when the link is not good any more.';

create function auth.delete_own_account(p_user_id text, p_session_id text, p_request jsonb,
  out outcome text, out ended_sessions text[])
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- Time to notice and to ask for the account back.
  c_grace constant interval := interval '30 days';
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  outcome := auth.session_standing(p_user_id, p_session_id);
  ended_sessions := '{}';
  if outcome <> 'fresh' then
    return;
  end if;
  if auth.is_last_admin(p_user_id) then
    outcome := 'last_admin';
    return;
  end if;
  update auth.users u
     set status = 'deleted', deleted_at = auth.clock(), erase_after = auth.clock() + c_grace, updated_at = auth.clock()
   where u.id = p_user_id and auth.effective_status(u) = 'active';
  if not found then
    outcome := 'ended';
    return;
  end if;
  ended_sessions := auth.live_session_ids(p_user_id, null);
  perform auth.end_user_sessions(p_user_id, 'deleted', null);
  perform auth.end_impersonations(p_user_id, 'deleted');
  perform auth.record_event('account_deleted', 'success', p_user_id, p_session_id, '{}', p_request);
  outcome := 'done';
end $$;
comment on function auth.delete_own_account is
  'Ends the account now; its personal data goes when the grace is over. outcome: done, stale, ended, last_admin.';

create function auth.erase_user(p_user_id text) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  -- Whoever adds a table with personal data adds a line here.
  delete from auth.security_event_details d where d.user_id = p_user_id;
  delete from auth.mail_tokens t where t.user_id = p_user_id;
  delete from auth.outbox o where o.user_id = p_user_id and o.topic = 'mail';
  delete from auth.login_challenges c where c.user_id = p_user_id;
  delete from auth.passkey_ceremonies c where c.user_id = p_user_id;
  delete from auth.passkeys k where k.user_id = p_user_id;
  delete from auth.recovery_codes r where r.user_id = p_user_id;
  delete from auth.totp_secrets t where t.user_id = p_user_id;
  delete from auth.user_settings t where t.user_id = p_user_id;
  delete from auth.sessions s where s.user_id = p_user_id;
  update auth.users u
     set status = 'erased', email = encode(sha256(uuid_send(gen_random_uuid())), 'hex') || '@erased.invalid', name = null,
         password_hash = null, password_set_at = null, email_verified_at = null, two_factor_enabled = false, status_reason = null, locale = 'en',
         updated_at = auth.clock()
   where u.id = p_user_id;
  perform auth.record_event('account_erased', 'success', p_user_id, null, '{}', '{"actorKind": "system"}');
end $$;
comment on function auth.erase_user is
  'Removes what is personal. The ledger, the events and the digest of the signup bonus stay: they name nobody.';

create function auth.erase_due_users() returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- One short transaction each time; what is left waits for the next run.
  c_batch constant integer := 20;
  v_user_id text;
  v_erased bigint := 0;
begin
  for v_user_id in
    select u.id from auth.users u
     where u.status = 'deleted' and u.erase_after <= auth.clock()
     order by u.erase_after limit c_batch for update skip locked
  loop
    perform auth.erase_user(v_user_id);
    v_erased := v_erased + 1;
  end loop;
  return v_erased;
end $$;
comment on function auth.erase_due_users is 'Erases users whose grace is over; says how many.';
create index users_erase_due on auth.users (erase_after) where status = 'deleted';

create function auth.export_own_data(p_user_id text, p_session_id text) returns jsonb
  language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
declare
  -- What fits into one answer; the history endpoints have pages for the rest.
  c_rows constant integer := 10000;
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  if not exists (select from auth.sessions s
                  where s.id = p_session_id and s.revoked_at is null and s.expires_at > auth.clock()) then
    return null;
  end if;
  return jsonb_build_object(
    'exportedAt', auth.clock(),
    'profile', (select jsonb_build_object('id', u.id, 'email', u.email, 'name', u.name, 'role', u.role,
        'locale', u.locale, 'emailVerifiedAt', u.email_verified_at, 'passwordSetAt', u.password_set_at,
        'twoFactorEnabled', u.two_factor_enabled, 'createdAt', u.created_at, 'updatedAt', u.updated_at)
      from auth.users u where u.id = p_user_id),
    'sessions', (select coalesce(jsonb_agg(jsonb_build_object('id', s.id, 'deviceId', s.device_id,
        'deviceName', s.device_name, 'userAgent', s.user_agent, 'ipAddress', host(s.ip_address), 'methods', s.methods,
        'createdAt', s.created_at, 'lastUsedAt', s.last_used_at, 'expiresAt', s.expires_at,
        'revokedAt', s.revoked_at, 'revokedReason', s.revoked_reason)), '[]')
      from (select * from auth.sessions order by created_at desc limit c_rows) s),
    'events', (select coalesce(jsonb_agg(jsonb_build_object('id', e.id, 'kind', e.kind, 'outcome', e.outcome,
        'occurredAt', e.occurred_at, 'sessionId', e.session_id, 'ipAddress', host(d.ip_address),
        'userAgent', d.user_agent, 'data', d.data) order by e.id desc), '[]')
      from (select * from auth.security_events order by id desc limit c_rows) e
      left join auth.security_event_details d on d.event_id = e.id),
    'settings', (select jsonb_build_object('global', t.global, 'apps', t.apps) from auth.user_settings t),
    'passkeys', (select coalesce(jsonb_agg(jsonb_build_object('id', k.id, 'name', k.name, 'createdAt', k.created_at,
        'lastUsedAt', k.last_used_at) order by k.created_at), '[]')
      from auth.list_passkeys(p_user_id, p_session_id) k where k.id is not null),
    'creditEntries', (select coalesce(jsonb_agg(jsonb_build_object('seq', e.seq, 'kind', e.kind, 'status', e.status,
        'amount', e.amount, 'balanceAfter', e.balance_after, 'appId', e.app_id, 'description', e.description,
        'metadata', e.metadata, 'createdAt', e.created_at) order by e.created_at desc, e.seq desc), '[]')
      from (select * from credits.entries order by seq desc limit c_rows) e),
    'purchases', (select coalesce(jsonb_agg(jsonb_build_object('id', p.id, 'packageId', p.package_id,
        'credits', p.credits, 'priceCents', p.price_cents, 'status', p.status, 'createdAt', p.created_at)), '[]')
      from (select * from credits.purchases order by created_at desc limit c_rows) p));
end $$;
comment on function auth.export_own_data is
  'Everything kept about the signed-in user, read under row-level security; null once the session has ended.';

-- Ownership and rights ------------------------------------------------------------------

alter function auth.update_profile(text, text, text, text, jsonb) owner to tollgate_definer;
alter function auth.load_own_password(text, text) owner to tollgate_definer;
alter function auth.change_password(text, text, bigint, text, jsonb) owner to tollgate_definer;
alter function auth.request_email_change(text, text, text, text, jsonb) owner to tollgate_definer;
alter function auth.confirm_email_change(text, jsonb) owner to tollgate_definer;
alter function auth.delete_own_account(text, text, jsonb) owner to tollgate_definer;
alter function auth.erase_user(text) owner to tollgate_definer;
alter function auth.erase_due_users() owner to tollgate_definer;

revoke execute on function
  auth.update_profile(text, text, text, text, jsonb),
  auth.load_own_password(text, text),
  auth.change_password(text, text, bigint, text, jsonb),
  auth.request_email_change(text, text, text, text, jsonb),
  auth.confirm_email_change(text, jsonb),
  auth.delete_own_account(text, text, jsonb),
  auth.erase_user(text),
  auth.erase_due_users(),
  auth.export_own_data(text, text)
  from public;
grant execute on function
  auth.update_profile(text, text, text, text, jsonb),
  auth.load_own_password(text, text),
  auth.change_password(text, text, bigint, text, jsonb),
  auth.request_email_change(text, text, text, text, jsonb),
  auth.confirm_email_change(text, jsonb),
  auth.delete_own_account(text, text, jsonb),
  auth.erase_due_users(),
  auth.export_own_data(text, text)
  to tollgate_app;
revoke create on schema auth from tollgate_definer;

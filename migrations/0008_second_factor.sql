-- Second factors: one-time codes, recovery codes, passkeys, and signing in again before a
-- sensitive act.
--
-- Two-factor is on while a one-time code secret is confirmed. Passkeys then count as a second
-- factor too; without it they sign in by themselves.

grant create on schema auth to tollgate_definer; -- taken back at the end of this file

create table auth.totp_secrets (
  user_id            text        not null,
  sealed_secret      bytea       not null,
  master_key_version integer     not null,
  last_used_step     bigint      not null default 0,
  tries              integer     not null default 0,
  tries_since        timestamptz not null,
  created_at         timestamptz not null,
  confirmed_at       timestamptz,
  constraint totp_secrets_pkey primary key (user_id),
  constraint totp_secrets_user_fkey foreign key (user_id) references auth.users (id),
  constraint totp_secrets_master_key_fkey foreign key (master_key_version) references auth.master_key_checks (version)
);
create index totp_secrets_master_key on auth.totp_secrets (master_key_version);
comment on table auth.totp_secrets is
  'Secrets of one-time codes (RFC 6238), sealed together with the user id. One without confirmed_at is not in force.';
comment on column auth.totp_secrets.last_used_step is 'A code of this time step or an earlier one is refused for ever.';
comment on column auth.totp_secrets.tries is 'Codes tried since tries_since; a right one sets it back.';

create table auth.recovery_codes (
  user_id    text        not null,
  code_hash  bytea       not null,
  created_at timestamptz not null,
  used_at    timestamptz,
  constraint recovery_codes_pkey primary key (user_id, code_hash),
  constraint recovery_codes_user_fkey foreign key (user_id) references auth.users (id),
  constraint recovery_codes_hash_length check (octet_length(code_hash) = 32)
);
comment on table auth.recovery_codes is 'SHA-256 of user id and code; a code holds 80 bits of randomness. Each is used once.';

create table auth.passkeys (
  id            text        not null,
  user_id       text        not null,
  credential_id bytea       not null,
  credential    jsonb       not null,
  counter       bigint      not null,
  name          text        not null,
  created_at    timestamptz not null,
  last_used_at  timestamptz,
  constraint passkeys_pkey primary key (id),
  constraint passkeys_user_fkey foreign key (user_id) references auth.users (id),
  constraint passkeys_credential_key unique (credential_id),
  constraint passkeys_id_form check (id ~ '^[A-Za-z0-9_-]{22}$'),
  constraint passkeys_credential_id_length check (octet_length(credential_id) between 1 and 1023),
  constraint passkeys_name_length check (char_length(name) between 1 and 100)
);
create index passkeys_user on auth.passkeys (user_id);
comment on table auth.passkeys is 'Public keys of authenticators (WebAuthn).';
comment on column auth.passkeys.counter is 'The signature counter: it only grows, unless the authenticator keeps none and it stays 0.';

create table auth.login_challenges (
  id                 bytea       not null,
  user_id            text        not null,
  credential_version bigint      not null,
  new_password_hash  text,
  device_id          text,
  device_name        text,
  attempts           integer     not null default 0,
  expires_at         timestamptz not null,
  constraint login_challenges_pkey primary key (id),
  constraint login_challenges_user_fkey foreign key (user_id) references auth.users (id),
  constraint login_challenges_id_length check (octet_length(id) = 16),
  constraint login_challenges_attempts_bounded check (attempts between 0 and 5)
);
create index login_challenges_expiry on auth.login_challenges (expires_at);
comment on table auth.login_challenges is 'Sign-ins whose password was right and whose second factor is missing.';

create table auth.passkey_ceremonies (
  id           bytea       not null,
  kind         text        not null,
  user_id      text,
  session_id   text,
  challenge_id bytea,
  state        jsonb       not null,
  expires_at   timestamptz not null,
  constraint passkey_ceremonies_pkey primary key (id),
  constraint passkey_ceremonies_id_length check (octet_length(id) = 16),
  constraint passkey_ceremonies_form check (
    case kind
      when 'registration'     then user_id is not null and session_id is not null and challenge_id is null
      when 'reauthentication' then user_id is not null and session_id is not null and challenge_id is null
      when 'second_factor'    then user_id is not null and session_id is null and challenge_id is not null
      when 'sign_in'          then user_id is null and session_id is null and challenge_id is null
      else false
    end)
);
create index passkey_ceremonies_expiry on auth.passkey_ceremonies (expires_at);
comment on table auth.passkey_ceremonies is
  'What an authenticator was asked: kept here and never by the client, for five minutes, answered once.';

alter table auth.totp_secrets enable row level security;
alter table auth.totp_secrets force row level security;
alter table auth.recovery_codes enable row level security;
alter table auth.recovery_codes force row level security;
alter table auth.passkeys enable row level security;
alter table auth.passkeys force row level security;
alter table auth.login_challenges enable row level security;
alter table auth.login_challenges force row level security;
alter table auth.passkey_ceremonies enable row level security;
alter table auth.passkey_ceremonies force row level security;

-- The issuer's role reads none of these tables: everything goes through the functions below.
create policy totp_secrets_definer on auth.totp_secrets to tollgate_definer using (true) with check (true);
create policy recovery_codes_definer on auth.recovery_codes to tollgate_definer using (true) with check (true);
create policy passkeys_definer on auth.passkeys to tollgate_definer using (true) with check (true);
create policy login_challenges_definer on auth.login_challenges to tollgate_definer using (true) with check (true);
create policy passkey_ceremonies_definer on auth.passkey_ceremonies to tollgate_definer using (true) with check (true);
grant select, insert, update, delete on auth.totp_secrets, auth.recovery_codes, auth.passkeys,
  auth.login_challenges, auth.passkey_ceremonies to tollgate_definer;

-- Functions: building blocks ----------------------------------------------------------

create function auth.act_standing(p_user_id text, p_session_id text) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  -- The user first, as a sign-in does: two orders would be a deadlock.
  perform from auth.users u where u.id = p_user_id for no key update;
  return auth.session_standing(p_user_id, p_session_id);
end $$;
comment on function auth.act_standing is 'session_standing for an act that goes on to change the user: locks the user first.';

create function auth.outdate_sign_ins(p_user_id text) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update auth.users u set credential_version = u.credential_version + 1 where u.id = p_user_id;
end $$;
comment on function auth.outdate_sign_ins is
  'A second factor has gone: a sign-in that was checked with it a moment ago opens no session any more.';

create function auth.insert_recovery_codes(p_user_id text, p_code_hashes bytea[]) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from auth.recovery_codes c where c.user_id = p_user_id;
  insert into auth.recovery_codes (user_id, code_hash, created_at)
  select p_user_id, h, auth.clock() from unnest(p_code_hashes) h;
end $$;

create function auth.notify_second_factor(p_user_id text, p_change text, p_data jsonb) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform auth.enqueue_mail(p_user_id, 'two_factor_changed', gen_random_uuid()::text,
    jsonb_build_object('change', p_change) || p_data);
end $$;

-- Functions: one-time codes and recovery codes ----------------------------------------

create function auth.read_second_factors(p_user_id text, p_session_id text)
  returns table (totp boolean, recovery_codes_left integer, passkeys integer)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  return query
    select u.two_factor_enabled,
           (select count(*)::integer from auth.recovery_codes c where c.user_id = u.id and c.used_at is null),
           (select count(*)::integer from auth.passkeys p where p.user_id = u.id)
      from auth.users u
      join auth.sessions s on s.user_id = u.id
     where u.id = p_user_id and s.id = p_session_id and s.revoked_at is null and s.expires_at > auth.clock();
end $$;
comment on function auth.read_second_factors is 'What the user has set up; no row once the session has ended.';

create function auth.begin_totp(
  p_user_id text, p_session_id text, p_sealed_secret bytea, p_master_key_version integer)
  returns table (outcome text, email text)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_standing text;
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  v_standing := auth.act_standing(p_user_id, p_session_id);
  if v_standing <> 'fresh' then
    return query select v_standing, null::text;
    return;
  end if;
  insert into auth.totp_secrets as t (user_id, sealed_secret, master_key_version, tries_since, created_at)
  values (p_user_id, p_sealed_secret, p_master_key_version, auth.clock(), auth.clock())
  on conflict (user_id) do update
    set sealed_secret = excluded.sealed_secret, master_key_version = excluded.master_key_version,
        created_at = excluded.created_at
    where t.confirmed_at is null;
  if not found then
    return query select 'on', null::text;
    return;
  end if;
  return query select 'begun', u.email from auth.users u where u.id = p_user_id;
end $$;
comment on function auth.begin_totp is
  'Keeps a secret that is not in force yet, in place of an earlier one. outcome: begun, on (there is one in force), stale, ended.';

create function auth.find_pending_totp(p_user_id text)
  returns table (sealed_secret bytea, master_key_version integer)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  return query
    select t.sealed_secret, t.master_key_version from auth.totp_secrets t
     where t.user_id = p_user_id and t.confirmed_at is null;
end $$;

create function auth.confirm_totp(
  p_user_id text, p_session_id text, p_sealed_secret bytea, p_step bigint, p_code_hashes bytea[], p_request jsonb)
  returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_standing text;
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  v_standing := auth.act_standing(p_user_id, p_session_id);
  if v_standing <> 'fresh' then
    return v_standing;
  end if;
  update auth.totp_secrets t
     set confirmed_at = auth.clock(), last_used_step = p_step, tries = 0
   where t.user_id = p_user_id and t.sealed_secret = p_sealed_secret and t.confirmed_at is null;
  if not found then
    return 'absent';
  end if;
  update auth.users u set two_factor_enabled = true, updated_at = auth.clock() where u.id = p_user_id;
  perform auth.insert_recovery_codes(p_user_id, p_code_hashes);
  perform auth.record_event('two_factor_enabled', 'success', p_user_id, p_session_id, '{"method": "totp"}', p_request);
  perform auth.notify_second_factor(p_user_id, 'enabled', '{}');
  return 'confirmed';
end $$;
comment on function auth.confirm_totp is
  'Puts the secret that was checked in force and two-factor on. outcome: confirmed, absent, stale, ended.';

create function auth.disable_totp(p_user_id text, p_session_id text, p_request jsonb) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_standing text;
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  v_standing := auth.act_standing(p_user_id, p_session_id);
  if v_standing <> 'fresh' then
    return v_standing;
  end if;
  delete from auth.totp_secrets t where t.user_id = p_user_id and t.confirmed_at is not null;
  if not found then
    return 'absent';
  end if;
  delete from auth.recovery_codes c where c.user_id = p_user_id;
  update auth.users u set two_factor_enabled = false, updated_at = auth.clock() where u.id = p_user_id;
  perform auth.record_event('two_factor_disabled', 'success', p_user_id, p_session_id, '{"method": "totp"}', p_request);
  perform auth.notify_second_factor(p_user_id, 'disabled', '{}');
  return 'disabled';
end $$;
comment on function auth.disable_totp is 'Switches two-factor off. outcome: disabled, absent, stale, ended.';

create function auth.replace_recovery_codes(
  p_user_id text, p_session_id text, p_code_hashes bytea[], p_request jsonb) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_standing text;
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  v_standing := auth.act_standing(p_user_id, p_session_id);
  if v_standing <> 'fresh' then
    return v_standing;
  end if;
  perform from auth.users u where u.id = p_user_id and u.two_factor_enabled;
  if not found then
    return 'absent';
  end if;
  perform auth.insert_recovery_codes(p_user_id, p_code_hashes);
  perform auth.outdate_sign_ins(p_user_id);
  perform auth.record_event('recovery_codes_replaced', 'success', p_user_id, p_session_id, '{}', p_request);
  perform auth.notify_second_factor(p_user_id, 'recovery_codes_replaced', '{}');
  return 'replaced';
end $$;
comment on function auth.replace_recovery_codes is 'New codes in place of all old ones. outcome: replaced, absent, stale, ended.';

create function auth.draw_totp_try(p_user_id text)
  returns table (sealed_secret bytea, master_key_version integer, retry_after_secs integer)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- Three of a million codes are right at any moment: at this pace a guesser who has the
  -- password needs years. Recovery codes and passkeys go on, so the owner is not shut out.
  c_tries constant integer := 20;
  c_window constant interval := interval '1 hour';
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  -- Drawn before the code is looked at, so that parallel guesses are all counted.
  return query
    update auth.totp_secrets t
       set tries = case when t.tries_since <= auth.clock() - c_window then 1 else t.tries + 1 end,
           tries_since = case when t.tries = 0 or t.tries_since <= auth.clock() - c_window then auth.clock() else t.tries_since end
     where t.user_id = p_user_id and t.confirmed_at is not null
       and (t.tries < c_tries or t.tries_since <= auth.clock() - c_window)
    returning t.sealed_secret, t.master_key_version, null::integer;
  if not found then
    return query
      select null::bytea, null::integer, ceil(extract(epoch from t.tries_since + c_window - auth.clock()))::integer
        from auth.totp_secrets t where t.user_id = p_user_id and t.confirmed_at is not null;
  end if;
end $$;
comment on function auth.draw_totp_try is
  'Counts a try and hands out the secret to check it with; only retry_after_secs when there were too many, no row when there is no secret.';

create function auth.use_totp(p_user_id text, p_sealed_secret bytea, p_step bigint) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  update auth.totp_secrets t set last_used_step = p_step, tries = 0
   where t.user_id = p_user_id and t.sealed_secret = p_sealed_secret and t.confirmed_at is not null
     and t.last_used_step < p_step;
  return found;
end $$;
comment on function auth.use_totp is 'Spends a time step; false when it or a later one was used before (RFC 6238 section 5.2).';

create function auth.use_recovery_code(p_user_id text, p_code_hash bytea, p_request jsonb) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_data jsonb;
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  update auth.recovery_codes c set used_at = auth.clock()
   where c.user_id = p_user_id and c.code_hash = p_code_hash and c.used_at is null;
  if not found then
    return false;
  end if;
  select jsonb_build_object('left', count(*)) into v_data
    from auth.recovery_codes c where c.user_id = p_user_id and c.used_at is null;
  perform auth.record_event('recovery_code_used', 'success', p_user_id, null, v_data, p_request);
  perform auth.notify_second_factor(p_user_id, 'recovery_code_used', v_data);
  return true;
end $$;

create function auth.record_refused_second_factor(
  p_user_id text, p_session_id text, p_method text, p_request jsonb) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  perform auth.record_event('second_factor', 'refused', p_user_id, p_session_id,
    jsonb_build_object('method', p_method), p_request);
end $$;

create function auth.find_outdated_totp(p_master_key_version integer)
  returns table (user_id text, sealed_secret bytea, master_key_version integer)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- One short transaction each time; what is left waits for the next run.
  c_batch constant integer := 100;
begin
  return query
    select t.user_id, t.sealed_secret, t.master_key_version from auth.totp_secrets t
     where t.master_key_version < p_master_key_version limit c_batch;
end $$;
comment on function auth.find_outdated_totp is 'Secrets sealed under an earlier master key.';

create function auth.reseal_totp(p_user_id text, p_old bytea, p_new bytea, p_master_key_version integer) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  update auth.totp_secrets t set sealed_secret = p_new, master_key_version = p_master_key_version
   where t.user_id = p_user_id and t.sealed_secret = p_old;
  return found;
end $$;

-- Functions: between password and second factor ---------------------------------------

create function auth.begin_login_challenge(
  p_challenge_id bytea, p_user_id text, p_credential_version bigint, p_new_password_hash text,
  p_device_id text, p_device_name text, p_request jsonb) returns text[]
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  c_life constant interval := interval '5 minutes';
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  insert into auth.login_challenges
    (id, user_id, credential_version, new_password_hash, device_id, device_name, expires_at)
  select p_challenge_id, u.id, u.credential_version, p_new_password_hash, p_device_id, p_device_name, auth.clock() + c_life
    from auth.users u
   where u.id = p_user_id and auth.effective_status(u) = 'active' and u.two_factor_enabled
     and u.credential_version = p_credential_version;
  if not found then
    return null;
  end if;
  perform auth.record_event('second_factor_required', 'success', p_user_id, null, '{}', p_request);
  return array_remove(array[
    (select 'totp' from auth.totp_secrets t where t.user_id = p_user_id and t.confirmed_at is not null),
    case when exists (select from auth.recovery_codes c where c.user_id = p_user_id and c.used_at is null) then 'recovery_code' end,
    case when exists (select from auth.passkeys p where p.user_id = p_user_id) then 'passkey' end], null);
end $$;
comment on function auth.begin_login_challenge is
  'Remembers a right password and names the second factors that can follow; null when what was checked is no longer in force.';

create function auth.try_login_challenge(p_challenge_id bytea)
  returns table (user_id text, credential_version bigint, new_password_hash text, device_id text, device_name text)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  c_attempts constant integer := 5;
begin
  return query
    update auth.login_challenges c set attempts = c.attempts + 1
     where c.id = p_challenge_id and c.attempts < c_attempts and c.expires_at > auth.clock()
    returning c.user_id, c.credential_version, c.new_password_hash, c.device_id, c.device_name;
end $$;
comment on function auth.try_login_challenge is
  'Counts an attempt before anything is checked; no row when the challenge is over.';

create function auth.close_login_challenge(p_challenge_id bytea) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from auth.login_challenges c where c.id = p_challenge_id and c.expires_at > auth.clock();
  return found;
end $$;
comment on function auth.close_login_challenge is 'Spends the challenge; false when somebody else has.';

create function auth.find_challenged_passkeys(p_challenge_id bytea) returns table (user_id text, credential jsonb)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query
    select p.user_id, p.credential
      from auth.login_challenges c join auth.passkeys p on p.user_id = c.user_id
     where c.id = p_challenge_id and c.expires_at > auth.clock()
     order by p.created_at;
end $$;
comment on function auth.find_challenged_passkeys is 'The passkeys that can answer a live challenge.';

-- Functions: passkeys -----------------------------------------------------------------

create function auth.insert_ceremony(
  p_ceremony_id bytea, p_kind text, p_user_id text, p_session_id text, p_challenge_id bytea, p_state jsonb) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  c_life constant interval := interval '5 minutes';
begin
  perform set_config('tollgate.user_id', coalesce(p_user_id, ''), true);
  insert into auth.passkey_ceremonies (id, kind, user_id, session_id, challenge_id, state, expires_at)
  values (p_ceremony_id, p_kind, p_user_id, p_session_id, p_challenge_id, p_state, auth.clock() + c_life);
end $$;

create function auth.take_ceremony(
  p_ceremony_id bytea, p_kind text, p_user_id text, p_session_id text, p_challenge_id bytea) returns jsonb
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_state jsonb;
begin
  perform set_config('tollgate.user_id', coalesce(p_user_id, ''), true);
  delete from auth.passkey_ceremonies c
   where c.id = p_ceremony_id and c.kind = p_kind and c.expires_at > auth.clock()
     and c.user_id is not distinct from p_user_id and c.session_id is not distinct from p_session_id
     and c.challenge_id is not distinct from p_challenge_id
  returning c.state into v_state;
  return v_state;
end $$;
comment on function auth.take_ceremony is
  'The state of a ceremony of this kind and for this user, once; null when there is none.';

create function auth.find_passkey_owner(p_user_id text, p_session_id text)
  returns table (standing text, email text, name text, credential_ids bytea[])
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  return query
    select auth.session_standing(p_user_id, p_session_id), u.email, u.name,
           array(select p.credential_id from auth.passkeys p where p.user_id = u.id)
      from auth.users u where u.id = p_user_id;
end $$;

create function auth.add_passkey(
  p_user_id text, p_session_id text, p_passkey_id text, p_credential_id bytea, p_credential jsonb,
  p_counter bigint, p_name text, p_request jsonb) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- More authenticators than anyone has.
  c_passkeys constant integer := 20;
  v_standing text;
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  v_standing := auth.act_standing(p_user_id, p_session_id);
  if v_standing <> 'fresh' then
    return v_standing;
  end if;
  if (select count(*) from auth.passkeys p where p.user_id = p_user_id) >= c_passkeys then
    return 'full';
  end if;
  insert into auth.passkeys (id, user_id, credential_id, credential, counter, name, created_at)
  values (p_passkey_id, p_user_id, p_credential_id, p_credential, p_counter, p_name, auth.clock())
  on conflict (credential_id) do nothing;
  if not found then
    return 'taken';
  end if;
  perform auth.record_event('passkey_added', 'success', p_user_id, p_session_id,
    jsonb_build_object('passkeyId', p_passkey_id, 'name', p_name), p_request);
  perform auth.enqueue_mail(p_user_id, 'passkey_added', p_passkey_id, jsonb_build_object('name', p_name));
  return 'added';
end $$;
comment on function auth.add_passkey is 'outcome: added, taken (this credential is registered), full, stale, ended.';

create function auth.list_passkeys(p_user_id text, p_session_id text)
  returns table (id text, name text, synced boolean, created_at timestamptz, last_used_at timestamptz)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  return query
    select p.id, p.name, (p.credential #>> '{cred,backup_state}')::boolean, p.created_at, p.last_used_at
      from auth.sessions s left join auth.passkeys p on p.user_id = s.user_id
     where s.id = p_session_id and s.user_id = p_user_id and s.revoked_at is null and s.expires_at > auth.clock()
     order by p.created_at, p.id;
end $$;
comment on function auth.list_passkeys is 'A single row of nulls when there is none; no row once the session has ended.';

create function auth.rename_passkey(
  p_user_id text, p_session_id text, p_passkey_id text, p_name text, p_request jsonb) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  if auth.session_standing(p_user_id, p_session_id) = 'ended' then
    return 'ended';
  end if;
  update auth.passkeys p set name = p_name where p.id = p_passkey_id and p.user_id = p_user_id;
  if not found then
    return 'absent';
  end if;
  perform auth.record_event('passkey_renamed', 'success', p_user_id, p_session_id,
    jsonb_build_object('passkeyId', p_passkey_id, 'name', p_name), p_request);
  return 'renamed';
end $$;

create function auth.remove_passkey(
  p_user_id text, p_session_id text, p_passkey_id text, p_request jsonb) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_standing text;
  v_name text;
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  v_standing := auth.act_standing(p_user_id, p_session_id);
  if v_standing <> 'fresh' then
    return v_standing;
  end if;
  delete from auth.passkeys p where p.id = p_passkey_id and p.user_id = p_user_id returning p.name into v_name;
  if not found then
    return 'absent';
  end if;
  perform auth.outdate_sign_ins(p_user_id);
  perform auth.record_event('passkey_removed', 'success', p_user_id, p_session_id,
    jsonb_build_object('passkeyId', p_passkey_id, 'name', v_name), p_request);
  perform auth.notify_second_factor(p_user_id, 'passkey_removed', jsonb_build_object('name', v_name));
  return 'removed';
end $$;
comment on function auth.remove_passkey is 'outcome: removed, absent, stale, ended.';

create function auth.find_passkey(p_credential_id bytea)
  returns table (id text, user_id text, credential jsonb, credential_version bigint)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query
    select p.id, p.user_id, p.credential, u.credential_version
      from auth.passkeys p join auth.users u on u.id = p.user_id
     where p.credential_id = p_credential_id and auth.effective_status(u) = 'active';
end $$;
comment on function auth.find_passkey is 'What a sign-in without a name is checked against.';

create function auth.use_passkey(p_user_id text, p_passkey_id text, p_counter bigint, p_credential jsonb) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  -- A counter that does not grow is a copy of the authenticator, or an answer shown again.
  update auth.passkeys p
     set counter = p_counter, credential = p_credential, last_used_at = auth.clock()
   where p.id = p_passkey_id and p.user_id = p_user_id
     and (p.counter < p_counter or (p.counter = 0 and p_counter = 0));
  return found;
end $$;

-- Functions: signing in again ---------------------------------------------------------

create function auth.find_own_credentials(p_user_id text, p_session_id text)
  returns table (password_hash text, two_factor_enabled boolean, credential_version bigint)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  return query
    select u.password_hash, u.two_factor_enabled, u.credential_version
      from auth.users u join auth.sessions s on s.user_id = u.id
     where u.id = p_user_id and auth.effective_status(u) = 'active'
       and s.id = p_session_id and s.revoked_at is null and s.expires_at > auth.clock();
end $$;
comment on function auth.find_own_credentials is 'What signing in again is checked against; no row once the session has ended.';

create function auth.find_own_passkeys(p_user_id text, p_session_id text) returns table (credential jsonb)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  return query
    select p.credential
      from auth.sessions s left join auth.passkeys p on p.user_id = s.user_id
     where s.id = p_session_id and s.user_id = p_user_id and s.revoked_at is null and s.expires_at > auth.clock()
     order by p.created_at;
end $$;
comment on function auth.find_own_passkeys is 'A single null when there is none; no row once the session has ended.';

create function auth.reauthenticate_session(
  p_user_id text, p_session_id text, p_credential_version bigint, p_methods text[], p_request jsonb) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  -- As in open_session: what was checked must still be in force.
  perform from auth.users u
    where u.id = p_user_id and auth.effective_status(u) = 'active' and u.credential_version = p_credential_version
      for no key update;
  if not found then
    return false;
  end if;
  update auth.sessions s set authenticated_at = auth.clock()
   where s.id = p_session_id and s.user_id = p_user_id and s.revoked_at is null and s.expires_at > auth.clock();
  if not found then
    return false;
  end if;
  perform auth.record_event('reauthenticated', 'success', p_user_id, p_session_id,
    jsonb_build_object('methods', p_methods), p_request);
  return true;
end $$;
comment on function auth.reauthenticate_session is 'Notes that a credential was shown now; false when it or the session is no longer in force.';

create function auth.sweep_second_factors() returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- One short transaction each time; what is left waits for the next run.
  c_batch constant integer := 1000;
  v_challenges bigint;
  v_ceremonies bigint;
begin
  delete from auth.login_challenges where id in (
    select c.id from auth.login_challenges c where c.expires_at <= auth.clock() limit c_batch for update skip locked);
  get diagnostics v_challenges = row_count;
  delete from auth.passkey_ceremonies where id in (
    select c.id from auth.passkey_ceremonies c where c.expires_at <= auth.clock() limit c_batch for update skip locked);
  get diagnostics v_ceremonies = row_count;
  return v_challenges + v_ceremonies;
end $$;

-- Ownership and rights of the functions -----------------------------------------------

alter function auth.act_standing(text, text) owner to tollgate_definer;
alter function auth.outdate_sign_ins(text) owner to tollgate_definer;
alter function auth.insert_recovery_codes(text, bytea[]) owner to tollgate_definer;
alter function auth.notify_second_factor(text, text, jsonb) owner to tollgate_definer;
alter function auth.read_second_factors(text, text) owner to tollgate_definer;
alter function auth.begin_totp(text, text, bytea, integer) owner to tollgate_definer;
alter function auth.find_pending_totp(text) owner to tollgate_definer;
alter function auth.confirm_totp(text, text, bytea, bigint, bytea[], jsonb) owner to tollgate_definer;
alter function auth.disable_totp(text, text, jsonb) owner to tollgate_definer;
alter function auth.replace_recovery_codes(text, text, bytea[], jsonb) owner to tollgate_definer;
alter function auth.draw_totp_try(text) owner to tollgate_definer;
alter function auth.use_totp(text, bytea, bigint) owner to tollgate_definer;
alter function auth.use_recovery_code(text, bytea, jsonb) owner to tollgate_definer;
alter function auth.record_refused_second_factor(text, text, text, jsonb) owner to tollgate_definer;
alter function auth.find_outdated_totp(integer) owner to tollgate_definer;
alter function auth.reseal_totp(text, bytea, bytea, integer) owner to tollgate_definer;
alter function auth.begin_login_challenge(bytea, text, bigint, text, text, text, jsonb) owner to tollgate_definer;
alter function auth.try_login_challenge(bytea) owner to tollgate_definer;
alter function auth.close_login_challenge(bytea) owner to tollgate_definer;
alter function auth.find_challenged_passkeys(bytea) owner to tollgate_definer;
alter function auth.insert_ceremony(bytea, text, text, text, bytea, jsonb) owner to tollgate_definer;
alter function auth.take_ceremony(bytea, text, text, text, bytea) owner to tollgate_definer;
alter function auth.find_passkey_owner(text, text) owner to tollgate_definer;
alter function auth.add_passkey(text, text, text, bytea, jsonb, bigint, text, jsonb) owner to tollgate_definer;
alter function auth.list_passkeys(text, text) owner to tollgate_definer;
alter function auth.rename_passkey(text, text, text, text, jsonb) owner to tollgate_definer;
alter function auth.remove_passkey(text, text, text, jsonb) owner to tollgate_definer;
alter function auth.find_passkey(bytea) owner to tollgate_definer;
alter function auth.use_passkey(text, text, bigint, jsonb) owner to tollgate_definer;
alter function auth.find_own_credentials(text, text) owner to tollgate_definer;
alter function auth.find_own_passkeys(text, text) owner to tollgate_definer;
alter function auth.reauthenticate_session(text, text, bigint, text[], jsonb) owner to tollgate_definer;
alter function auth.sweep_second_factors() owner to tollgate_definer;

revoke execute on function
  auth.act_standing(text, text),
  auth.outdate_sign_ins(text),
  auth.insert_recovery_codes(text, bytea[]),
  auth.notify_second_factor(text, text, jsonb),
  auth.read_second_factors(text, text),
  auth.begin_totp(text, text, bytea, integer),
  auth.find_pending_totp(text),
  auth.confirm_totp(text, text, bytea, bigint, bytea[], jsonb),
  auth.disable_totp(text, text, jsonb),
  auth.replace_recovery_codes(text, text, bytea[], jsonb),
  auth.draw_totp_try(text),
  auth.use_totp(text, bytea, bigint),
  auth.use_recovery_code(text, bytea, jsonb),
  auth.record_refused_second_factor(text, text, text, jsonb),
  auth.find_outdated_totp(integer),
  auth.reseal_totp(text, bytea, bytea, integer),
  auth.begin_login_challenge(bytea, text, bigint, text, text, text, jsonb),
  auth.try_login_challenge(bytea),
  auth.close_login_challenge(bytea),
  auth.find_challenged_passkeys(bytea),
  auth.insert_ceremony(bytea, text, text, text, bytea, jsonb),
  auth.take_ceremony(bytea, text, text, text, bytea),
  auth.find_passkey_owner(text, text),
  auth.add_passkey(text, text, text, bytea, jsonb, bigint, text, jsonb),
  auth.list_passkeys(text, text),
  auth.rename_passkey(text, text, text, text, jsonb),
  auth.remove_passkey(text, text, text, jsonb),
  auth.find_passkey(bytea),
  auth.use_passkey(text, text, bigint, jsonb),
  auth.find_own_credentials(text, text),
  auth.find_own_passkeys(text, text),
  auth.reauthenticate_session(text, text, bigint, text[], jsonb),
  auth.sweep_second_factors()
  from public;
grant execute on function
  auth.read_second_factors(text, text),
  auth.begin_totp(text, text, bytea, integer),
  auth.find_pending_totp(text),
  auth.confirm_totp(text, text, bytea, bigint, bytea[], jsonb),
  auth.disable_totp(text, text, jsonb),
  auth.replace_recovery_codes(text, text, bytea[], jsonb),
  auth.draw_totp_try(text),
  auth.use_totp(text, bytea, bigint),
  auth.use_recovery_code(text, bytea, jsonb),
  auth.record_refused_second_factor(text, text, text, jsonb),
  auth.find_outdated_totp(integer),
  auth.reseal_totp(text, bytea, bytea, integer),
  auth.begin_login_challenge(bytea, text, bigint, text, text, text, jsonb),
  auth.try_login_challenge(bytea),
  auth.close_login_challenge(bytea),
  auth.find_challenged_passkeys(bytea),
  auth.insert_ceremony(bytea, text, text, text, bytea, jsonb),
  auth.take_ceremony(bytea, text, text, text, bytea),
  auth.find_passkey_owner(text, text),
  auth.add_passkey(text, text, text, bytea, jsonb, bigint, text, jsonb),
  auth.list_passkeys(text, text),
  auth.rename_passkey(text, text, text, text, jsonb),
  auth.remove_passkey(text, text, text, jsonb),
  auth.find_passkey(bytea),
  auth.use_passkey(text, text, bigint, jsonb),
  auth.find_own_credentials(text, text),
  auth.find_own_passkeys(text, text),
  auth.reauthenticate_session(text, text, bigint, text[], jsonb),
  auth.sweep_second_factors()
  to tollgate_app;
revoke create on schema auth from tollgate_definer;

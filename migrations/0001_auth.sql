-- Identities, sessions, keys, revocations and the audit trail.
--
-- Runs as tollgate_owner, which owns every table. The issuer's login is a member of
-- tollgate_app: it owns nothing, sees only the current user's rows, and writes user data
-- through functions that belong to tollgate_definer. The three roles are made by
-- `tollgate migrate`, because roles belong to the server and not to one database.

create schema if not exists auth;
revoke all on schema auth from public;
grant usage on schema auth to tollgate_app, tollgate_definer;
grant create on schema auth to tollgate_definer; -- taken back at the end of this file
comment on schema auth is 'Who people are, what they are signed in with, and what happened.';

-- Time and the current user -----------------------------------------------------------

create function auth.clock() returns timestamptz
  language sql volatile parallel safe
  return clock_timestamp();
comment on function auth.clock() is
  'The time, read when it is called and not when the transaction began. Test databases replace it with a clock they move.';

create function auth.current_user_id() returns text
  language sql stable parallel safe
  return nullif(current_setting('tollgate.user_id', true), '');
comment on function auth.current_user_id() is
  'The user on whose behalf this transaction acts; null when there is none. Set for the transaction only.';

-- Users -------------------------------------------------------------------------------

create table auth.users (
  id                 text        not null,
  email              text        not null,
  name               text,
  role               text        not null default 'user',
  status             text        not null default 'active',
  status_reason      text,
  status_until       timestamptz,
  email_verified_at  timestamptz,
  password_hash      text,
  password_set_at    timestamptz,
  two_factor_enabled boolean     not null default false,
  token_cutoff       bigint      not null default 0,
  credential_version bigint      not null default 1,
  locale             text        not null default 'en',
  created_at         timestamptz not null,
  updated_at         timestamptz not null,
  deleted_at         timestamptz,
  erase_after        timestamptz,
  constraint users_pkey primary key (id),
  constraint users_id_form check (id ~ '^[A-Za-z0-9_-]{21}$'),
  constraint users_email_form check (octet_length(email) <= 254 and email = lower(btrim(email))),
  constraint users_name_length check (char_length(name) between 1 and 100),
  constraint users_locale_known check (locale in ('en', 'de')),
  constraint users_role_known check (role in ('user', 'admin')),
  constraint users_status_known check (status in ('active', 'banned', 'deleted', 'erased')),
  constraint users_deleted_dated check ((status in ('deleted', 'erased')) = (deleted_at is not null))
);
create unique index users_email_key on auth.users (email) where deleted_at is null;
comment on table auth.users is 'One person each. Deleted softly first, erased after a grace period; the ledger stays.';
comment on column auth.users.email is 'Trimmed and lower-cased; what one signs in with.';
comment on column auth.users.password_hash is 'PHC string; null for accounts that sign in elsewhere.';
comment on column auth.users.credential_version is
  'Raised whenever what one signs in with, or whether one may, changes: whoever checked an older version opens no session.';
comment on column auth.users.locale is 'The language of mail to this person.';
comment on column auth.users.token_cutoff is
  'Unix seconds: access tokens issued before it are refused, and no new one carries an earlier time.';

-- Sessions ----------------------------------------------------------------------------

create table auth.sessions (
  id                   text        not null,
  user_id              text        not null,
  device_id            text,
  device_name          text,
  user_agent           text,
  ip_address           inet,
  methods              text[]      not null default '{pwd}',
  impersonator_id      text,
  nonce_hash           bytea       not null,
  counter              bigint      not null default 0,
  previous_counter     bigint,
  rotated_at           timestamptz,
  recent_counters      bigint[]    not null default '{}',
  recent_ended_at      timestamptz[] not null default '{}',
  created_at           timestamptz not null,
  authenticated_at     timestamptz not null,
  last_used_at         timestamptz not null,
  access_expires_at    timestamptz not null,
  expires_at           timestamptz not null,
  absolute_expires_at  timestamptz not null,
  revoked_at           timestamptz,
  revoked_reason       text,
  constraint sessions_pkey primary key (id),
  constraint sessions_user_fkey foreign key (user_id) references auth.users (id),
  constraint sessions_id_form check (id ~ '^[A-Za-z0-9_-]{22}$'),
  constraint sessions_nonce_hash_length check (octet_length(nonce_hash) = 32),
  constraint sessions_counter_order check (counter >= 0 and (previous_counter is null or previous_counter < counter)),
  constraint sessions_recent_bounded check (cardinality(recent_counters) = cardinality(recent_ended_at) and cardinality(recent_counters) <= 32),
  constraint sessions_expiry_order check (expires_at <= absolute_expires_at),
  constraint sessions_revocation_whole check ((revoked_at is null) = (revoked_reason is null)),
  constraint sessions_reason_known check (revoked_reason in (
    'logout', 'revoked_by_user', 'replaced', 'reuse', 'password_changed', 'email_changed', 'banned',
    'role_changed', 'deleted', 'revoked_by_admin', 'session_limit', 'email_verified'))
) with (fillfactor = 80);
create index sessions_user on auth.sessions (user_id);
create index sessions_absolute_expiry on auth.sessions (absolute_expires_at);
comment on table auth.sessions is
  'One sign-in on one device, one row for ever: a refresh changes the row in place. No indexed column changes at a refresh, so the update stays on its page.';
comment on column auth.sessions.nonce_hash is 'SHA-256 of the nonce inside the refresh token; the nonce itself is not stored.';
comment on column auth.sessions.counter is 'The refresh token that is current; each rotation raises it.';
comment on column auth.sessions.previous_counter is 'The token whose rotation made the current one.';
comment on column auth.sessions.recent_counters is
  'Tokens before the previous one that stopped being current lately; recent_ended_at says when.';
comment on column auth.sessions.authenticated_at is 'When a credential was last shown: sensitive acts need it to be recent.';
comment on column auth.sessions.access_expires_at is 'The latest expiry of an access token of this session.';

-- Audit trail and outbox --------------------------------------------------------------

create table auth.security_events (
  id             bigint generated always as identity,
  occurred_at    timestamptz not null,
  kind           text        not null,
  outcome        text        not null,
  actor_kind     text        not null,
  actor_id       text,
  target_kind    text,
  target_id      text,
  user_id        text,
  session_id     text,
  request_id     text,
  details_digest bytea       not null,
  constraint security_events_pkey primary key (id),
  constraint security_events_kind_form check (kind ~ '^[a-z][a-z_]{2,47}$'),
  constraint security_events_outcome_known check (outcome in ('success', 'refused')),
  constraint security_events_actor_known check (actor_kind in ('user', 'admin', 'service', 'system', 'anonymous')),
  constraint security_events_digest_length check (octet_length(details_digest) = 32)
);
create index security_events_user on auth.security_events (user_id, id desc);
comment on table auth.security_events is
  'What happened, append-only, written in the transaction of the act. Holds no personal data: only a salted digest of it.';
comment on column auth.security_events.user_id is 'Whose event it is: the person who may read it.';

create table auth.security_event_details (
  event_id   bigint not null,
  user_id    text,
  salt       bytea  not null,
  ip_address inet,
  user_agent text,
  data       jsonb  not null default '{}',
  constraint security_event_details_pkey primary key (event_id),
  constraint security_event_details_event_fkey foreign key (event_id) references auth.security_events (id)
);
comment on table auth.security_event_details is
  'The personal part of an event, which can be erased: with its salt gone the digest in the event says nothing.';

create table auth.security_event_seals (
  seq       bigint      not null,
  event_id  bigint      not null,
  mac       bytea       not null,
  sealed_at timestamptz not null,
  constraint security_event_seals_pkey primary key (seq),
  constraint security_event_seals_event_key unique (event_id),
  constraint security_event_seals_event_fkey foreign key (event_id) references auth.security_events (id),
  constraint security_event_seals_mac_length check (octet_length(mac) = 32)
);
comment on table auth.security_event_seals is
  'The chain over committed events, gap-free: each mac covers the event and the mac before it.';

create table auth.outbox (
  id              bigint generated always as identity,
  topic           text        not null,
  user_id         text,
  dedupe_key      text,
  payload         jsonb       not null,
  created_at      timestamptz not null,
  available_at    timestamptz not null,
  attempts        integer     not null default 0,
  last_error_code text,
  delivered_at    timestamptz,
  dead_at         timestamptz,
  constraint outbox_pkey primary key (id),
  constraint outbox_dedupe_key unique (topic, dedupe_key),
  constraint outbox_topic_known check (topic in ('mail', 'webhook')),
  constraint outbox_end_once check (delivered_at is null or dead_at is null)
);
create index outbox_due on auth.outbox (available_at) where delivered_at is null and dead_at is null;
comment on table auth.outbox is
  'Mail and webhooks to send, committed with the act that causes them and delivered afterwards.';

-- Apps and services -------------------------------------------------------------------

create table auth.apps (
  id                    text        not null,
  name                  text        not null,
  audiences             text[]      not null default '{}',
  return_origins        text[]      not null default '{}',
  spend_limit_day       bigint,
  spend_limit_month     bigint,
  webhook_url           text,
  sealed_webhook_secret bytea,
  created_at            timestamptz not null,
  updated_at            timestamptz not null,
  disabled_at           timestamptz,
  constraint apps_pkey primary key (id),
  constraint apps_id_form check (id ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
  constraint apps_spend_limits_positive check (spend_limit_day > 0 and spend_limit_month > 0)
);
comment on table auth.apps is 'Programs that users spend credits in and return to.';

create table auth.service_credentials (
  id           text        not null,
  name         text        not null,
  app_id       text,
  scopes       text[]      not null,
  secret_hash  bytea       not null,
  created_at   timestamptz not null,
  last_used_at timestamptz,
  expires_at   timestamptz,
  revoked_at   timestamptz,
  constraint service_credentials_pkey primary key (id),
  constraint service_credentials_app_fkey foreign key (app_id) references auth.apps (id),
  constraint service_credentials_secret_key unique (secret_hash),
  constraint service_credentials_scopes_some check (cardinality(scopes) > 0)
);
comment on table auth.service_credentials is 'Secrets of machines, shown once and stored hashed.';

-- Signing keys ------------------------------------------------------------------------

create table auth.master_key_checks (
  version     integer     not null,
  check_value bytea       not null,
  created_at  timestamptz not null,
  constraint master_key_checks_pkey primary key (version),
  constraint master_key_checks_value_key unique (check_value),
  constraint master_key_checks_length check (octet_length(check_value) = 32)
);
comment on table auth.master_key_checks is
  'A value derived from each MASTER_KEY that was ever used here: an issuer with another one does not start.';

create table auth.signing_keys (
  kid                text        not null,
  purpose            text        not null,
  state              text        not null,
  public_key         bytea       not null,
  sealed_seed        bytea       not null,
  master_key_version integer     not null,
  created_at         timestamptz not null,
  published_at       timestamptz not null,
  activated_at       timestamptz,
  retired_at         timestamptz,
  removed_at         timestamptz,
  constraint signing_keys_pkey primary key (kid),
  constraint signing_keys_kid_form check (kid ~ '^[A-Za-z0-9_-]{43}$'),
  constraint signing_keys_purpose_known check (purpose in ('access_token', 'revocation_feed')),
  constraint signing_keys_state_known check (state in ('pending', 'active', 'retiring', 'removed')),
  constraint signing_keys_public_key_length check (octet_length(public_key) = 32),
  constraint signing_keys_master_key_fkey foreign key (master_key_version) references auth.master_key_checks (version)
);
create unique index signing_keys_one_active on auth.signing_keys (purpose) where state = 'active';
create unique index signing_keys_one_pending on auth.signing_keys (purpose) where state = 'pending';
comment on table auth.signing_keys is
  'Ed25519 keys. sealed_seed is authenticated together with kid, purpose, public key and state, so that a row written by anyone without MASTER_KEY is neither used nor published.';

-- Revocations -------------------------------------------------------------------------

create table auth.revocations (
  id         bigint generated always as identity,
  kind       text        not null,
  prefix     bytea,
  kid        text,
  cutoff     bigint,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  seq        bigint,
  constraint revocations_pkey primary key (id),
  constraint revocations_seq_key unique (seq),
  constraint revocations_form check (
    case kind
      when 'session' then octet_length(prefix) = 8 and kid is null and cutoff is null
      when 'user'    then octet_length(prefix) = 8 and kid is null and cutoff is not null
      when 'key'     then prefix is null and kid is not null and cutoff is null
      else false
    end)
);
create index revocations_unnumbered on auth.revocations (id) where seq is null;
create index revocations_expiry on auth.revocations (expires_at);
comment on table auth.revocations is
  'What access tokens are refused before they expire. Written without a number in the transaction of the act; the publisher numbers what has committed, so that an edge never misses one.';

create table auth.revocation_feed (
  singleton     boolean     not null default true,
  epoch         bigint      not null,
  seq           bigint      not null,
  as_of         timestamptz not null,
  reject_before bigint,
  document      text        not null,
  constraint revocation_feed_pkey primary key (singleton),
  constraint revocation_feed_single check (singleton)
);
comment on table auth.revocation_feed is 'The last signed document; every issuer serves these bytes.';

-- Row-level security ------------------------------------------------------------------

alter table auth.users enable row level security;
alter table auth.users force row level security;
alter table auth.sessions enable row level security;
alter table auth.sessions force row level security;
alter table auth.security_events enable row level security;
alter table auth.security_events force row level security;
alter table auth.security_event_details enable row level security;
alter table auth.security_event_details force row level security;
alter table auth.outbox enable row level security;
alter table auth.outbox force row level security;

create policy users_own on auth.users for select to tollgate_app
  using (id = (select auth.current_user_id()));
create policy users_definer on auth.users to tollgate_definer using (true) with check (true);
create policy sessions_own on auth.sessions for select to tollgate_app
  using (user_id = (select auth.current_user_id()));
create policy sessions_definer on auth.sessions to tollgate_definer using (true) with check (true);
create policy security_events_own on auth.security_events for select to tollgate_app
  using (user_id = (select auth.current_user_id()));
create policy security_events_definer on auth.security_events to tollgate_definer using (true) with check (true);
create policy security_event_details_own on auth.security_event_details for select to tollgate_app
  using (user_id = (select auth.current_user_id()));
create policy security_event_details_definer on auth.security_event_details to tollgate_definer using (true) with check (true);
create policy outbox_definer on auth.outbox to tollgate_definer using (true) with check (true);

grant select on auth.users, auth.sessions, auth.security_events, auth.security_event_details to tollgate_app;
grant select, insert, update on auth.users, auth.sessions to tollgate_definer;
grant delete on auth.sessions to tollgate_definer;
grant select, insert on auth.security_events, auth.security_event_details to tollgate_definer;
grant select, insert, update on auth.outbox to tollgate_definer;
grant select, insert on auth.revocations to tollgate_definer;

-- No user data: the issuer works on these directly.
grant select on auth.apps, auth.service_credentials to tollgate_app;
grant select, insert on auth.master_key_checks to tollgate_app;
grant select, insert, update on auth.signing_keys to tollgate_app;
grant select, insert, update (seq), delete on auth.revocations to tollgate_app;
grant select, insert, update on auth.revocation_feed to tollgate_app;

create function auth.refuse_change() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  raise exception '% on %.% is refused: the table is append-only', tg_op, tg_table_schema, tg_table_name
    using errcode = 'restrict_violation';
end $$;
create trigger security_events_append_only before update or delete on auth.security_events
  for each row execute function auth.refuse_change();
create trigger security_events_no_truncate before truncate on auth.security_events
  execute function auth.refuse_change();
create trigger security_event_seals_append_only before update or delete on auth.security_event_seals
  for each row execute function auth.refuse_change();

-- Functions: building blocks ----------------------------------------------------------
-- Only other functions call these. p_request is {"id", "ip", "userAgent"} of the HTTP request;
-- {"actorKind", "actorId"} too where the actor is somebody other than the user concerned.

create function auth.event_details_digest(p_salt bytea, p_ip inet, p_user_agent text, p_data jsonb) returns bytea
  language sql immutable parallel safe
  return sha256(p_salt || convert_to(
    coalesce(host(p_ip), '') || chr(10) || coalesce(p_user_agent, '') || chr(10) || p_data::text, 'UTF8'));
comment on function auth.event_details_digest is 'What an event keeps of its details once they have been erased: nothing without the salt.';

create function auth.record_event(
  p_kind text, p_outcome text, p_user_id text, p_session_id text, p_data jsonb, p_request jsonb)
  returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_salt bytea := uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());
  v_ip inet := (p_request ->> 'ip')::inet;
  v_agent text := p_request ->> 'userAgent';
  v_actor_kind text := p_request ->> 'actorKind';
  v_actor_id text := p_request ->> 'actorId';
  v_id bigint;
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
  insert into auth.security_events
    (occurred_at, kind, outcome, actor_kind, actor_id, target_kind, target_id, user_id, session_id, request_id, details_digest)
  values (auth.clock(), p_kind, p_outcome, v_actor_kind, v_actor_id,
    case when p_session_id is null then 'user' else 'session' end, coalesce(p_session_id, p_user_id),
    p_user_id, p_session_id, p_request ->> 'id', auth.event_details_digest(v_salt, v_ip, v_agent, p_data))
  returning id into v_id;
  insert into auth.security_event_details (event_id, user_id, salt, ip_address, user_agent, data)
  values (v_id, p_user_id, v_salt, v_ip, v_agent, p_data);
end $$;

create function auth.enqueue_mail(p_user_id text, p_template text, p_dedupe_key text, p_data jsonb) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into auth.outbox (topic, user_id, dedupe_key, payload, created_at, available_at)
  values ('mail', p_user_id, p_template || ':' || p_dedupe_key,
          jsonb_build_object('template', p_template) || p_data, auth.clock(), auth.clock())
  on conflict (topic, dedupe_key) do nothing;
end $$;
comment on function auth.enqueue_mail is
  'A mail that goes out once the transaction has committed; one with the same template and key is sent once. p_data holds no secret: links and codes are derived when the mail is written.';

create function auth.hash_prefix(p_text text) returns bytea
  language sql immutable parallel safe
  return substr(sha256(convert_to(p_text, 'UTF8')), 1, 8);
comment on function auth.hash_prefix(text) is 'The first 8 bytes of SHA-256: how a session or user is named in the feed.';

create function auth.end_session(p_session auth.sessions, p_reason text) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- Verifiers accept a token for their leeway after it expired, and a refresh inside the
  -- grace of 10 s issues one that the row does not know of; clocks differ.
  c_margin constant interval := interval '190 seconds';
begin
  update auth.sessions set revoked_at = auth.clock(), revoked_reason = p_reason where id = p_session.id;
  insert into auth.revocations (kind, prefix, created_at, expires_at)
  values ('session', auth.hash_prefix(p_session.id), auth.clock(), p_session.access_expires_at + c_margin);
end $$;

create function auth.end_user_sessions(p_user_id text, p_reason text, p_except_session_id text) returns integer
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  s auth.sessions;
  v_ended integer := 0;
begin
  for s in
    select t.* from auth.sessions t
     where t.user_id = p_user_id and t.id is distinct from p_except_session_id
       and t.revoked_at is null and t.expires_at > auth.clock()
     order by t.id for no key update
  loop
    perform auth.end_session(s, p_reason);
    v_ended := v_ended + 1;
  end loop;
  return v_ended;
end $$;
comment on function auth.end_user_sessions is 'Ends every live session of a user, but for one if it is named; says how many.';

create function auth.cut_off_tokens(p_user_id text) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- As in end_session, for the longest life that an access token can have.
  c_affected constant interval := interval '3600 seconds' + interval '190 seconds';
  v_cutoff bigint;
begin
  -- Taken after the rows are locked: a refresh that was under way has signed its token before,
  -- one that waits reads the cut-off and issues its token at that time or later.
  perform from auth.sessions t where t.user_id = p_user_id and t.revoked_at is null
    order by t.id for no key update;
  v_cutoff := floor(extract(epoch from auth.clock()))::bigint + 1;
  update auth.users u set token_cutoff = greatest(u.token_cutoff, v_cutoff) where u.id = p_user_id;
  insert into auth.revocations (kind, prefix, cutoff, created_at, expires_at)
  values ('user', auth.hash_prefix(p_user_id), v_cutoff, auth.clock(), auth.clock() + c_affected);
end $$;
comment on function auth.cut_off_tokens is
  'Has every access token issued so far refused while the sessions live on: the next refresh brings one with the new claims.';

create function auth.effective_status(p_user auth.users) returns text
  language sql volatile
  return case when (p_user).status = 'banned' and (p_user).status_until <= auth.clock() then 'active' else (p_user).status end;
comment on function auth.effective_status is 'The status with a ban that has run out taken as over.';

create function auth.session_standing(p_user_id text, p_session_id text) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- A sensitive act needs a credential shown within this time.
  c_fresh constant interval := interval '10 minutes';
  s auth.sessions;
begin
  select t.* into s from auth.sessions t where t.id = p_session_id and t.user_id = p_user_id for no key update;
  if not found or s.revoked_at is not null or s.expires_at <= auth.clock() then
    return 'ended';
  end if;
  -- Whoever acts in somebody's place has shown no credential of theirs.
  return case when s.impersonator_id is null and s.authenticated_at > auth.clock() - c_fresh then 'fresh' else 'stale' end;
end $$;
comment on function auth.session_standing is
  'fresh, stale (a sensitive act needs the credential again) or ended; locks the session, so that the answer holds until the transaction ends.';

create function auth.raise_credential_version() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.credential_version := old.credential_version + 1;
  return new;
end $$;
-- A rehash of the same password changes none of these.
create trigger users_credential_version before update on auth.users for each row
  when ((old.email, old.status, old.status_until, old.password_set_at, old.two_factor_enabled)
        is distinct from (new.email, new.status, new.status_until, new.password_set_at, new.two_factor_enabled))
  execute function auth.raise_credential_version();

-- Functions: accounts -----------------------------------------------------------------

create function auth.register_user(
  p_user_id text, p_email text, p_name text, p_password_hash text, p_locale text, p_request jsonb)
  returns timestamptz
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_now timestamptz;
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  v_now := auth.clock();
  insert into auth.users (id, email, name, password_hash, password_set_at, locale, created_at, updated_at)
  values (p_user_id, p_email, p_name, p_password_hash, v_now, p_locale, v_now, v_now)
  on conflict (email) where deleted_at is null do nothing;
  if not found then
    return null;
  end if;
  perform auth.record_event('registered', 'success', p_user_id, null, '{}', p_request);
  return v_now;
end $$;
comment on function auth.register_user is 'Creates the user and says when; null when the address is taken.';

create function auth.find_credentials(p_email text)
  returns table (user_id text, password_hash text, status text, two_factor_enabled boolean,
                 email_verified boolean, credential_version bigint)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query
    select u.id, u.password_hash, auth.effective_status(u), u.two_factor_enabled,
           u.email_verified_at is not null, u.credential_version
      from auth.users u where u.email = p_email and u.deleted_at is null;
end $$;
comment on function auth.find_credentials is 'What a sign-in is checked against; no row when nobody has this address.';

create function auth.load_user(p_user_id text, p_session_id text)
  returns table (id text, email text, name text, role text, email_verified boolean, created_at timestamptz)
  language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  perform auth.touch_session(p_user_id, p_session_id);
  return query
    select u.id, u.email, u.name, u.role, u.email_verified_at is not null, u.created_at
      from auth.users u
      join auth.sessions s on s.user_id = u.id
     where u.id = p_user_id and auth.effective_status(u) = 'active'
       and s.id = p_session_id and s.revoked_at is null and s.absolute_expires_at > auth.clock();
end $$;
comment on function auth.load_user is 'The signed-in user, read under row-level security; no row once the session has ended.';

create function auth.record_refused_login(p_user_id text, p_reason text, p_request jsonb) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform auth.record_event('login', 'refused', p_user_id, null, jsonb_build_object('reason', p_reason), p_request);
end $$;

-- Functions: sessions -----------------------------------------------------------------

create function auth.open_session(
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
  -- A device nobody has seen here before is told to the owner, unless it is the first of all.
  if exists (select from auth.sessions s where s.user_id = p_user_id)
     and not exists (select from auth.sessions s
                      where s.user_id = p_user_id
                        and (s.device_id = p_device_id
                             or (s.user_agent is not distinct from p_request ->> 'userAgent'
                                 and s.ip_address is not distinct from (p_request ->> 'ip')::inet))) then
    perform auth.enqueue_mail(p_user_id, 'new_device', p_session_id, jsonb_build_object('sessionId', p_session_id));
  end if;
  for v_old in
    select s.* from auth.sessions s
     where s.user_id = p_user_id and s.device_id = p_device_id
       and s.revoked_at is null and s.expires_at > v_now
       for no key update
  loop
    perform auth.end_session(v_old, 'replaced');
  end loop;
  for v_old in
    select s.* from auth.sessions s
     where s.user_id = p_user_id and s.revoked_at is null and s.expires_at > v_now
     order by s.last_used_at desc, s.id offset c_sessions_per_user - 1
       for no key update
  loop
    perform auth.end_session(v_old, 'session_limit');
    perform auth.record_event('session_revoked', 'success', p_user_id, v_old.id, '{"reason": "session_limit"}', p_request);
  end loop;
  insert into auth.sessions
    (id, user_id, device_id, device_name, user_agent, ip_address, methods, nonce_hash,
     created_at, authenticated_at, last_used_at, access_expires_at, expires_at, absolute_expires_at)
  values (p_session_id, p_user_id, p_device_id, p_device_name, p_request ->> 'userAgent', (p_request ->> 'ip')::inet,
     p_methods, p_nonce_hash, v_now, v_now, v_now,
     v_now + make_interval(secs => p_access_ttl_secs + 1),
     v_now + make_interval(secs => least(p_refresh_ttl_secs, p_absolute_ttl_secs)),
     v_now + make_interval(secs => p_absolute_ttl_secs));
  perform auth.record_event('login', 'success', p_user_id, p_session_id,
    jsonb_build_object('methods', p_methods), p_request);
  return query
    select v_user.email, v_user.name, v_user.role, v_user.email_verified_at is not null, v_user.created_at,
           v_user.token_cutoff, v_now + make_interval(secs => least(p_refresh_ttl_secs, p_absolute_ttl_secs));
end $$;
comment on function auth.open_session is
  'Opens a session if what was checked is still in force; no row otherwise. A live session of the same device is replaced.';

create function auth.refresh_session(
  p_session_id text, p_counter bigint, p_nonce_hash bytea,
  p_access_ttl_secs integer, p_refresh_ttl_secs integer, p_request jsonb)
  returns table (outcome text, counter bigint, user_id text, email text, email_verified boolean, role text, token_cutoff bigint)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- Tabs, retries and server-side rendering show one token several times within seconds.
  c_grace constant interval := interval '10 seconds';
  -- More rotations than this inside the grace are not one client's; the oldest are forgotten.
  c_recent constant integer := 32;
  s auth.sessions;
  v_now timestamptz;
  v_outcome text;
begin
  -- One conditional update serves almost every call.
  update auth.sessions t
     set counter = t.counter + 1,
         previous_counter = t.counter,
         rotated_at = auth.clock(),
         recent_counters = case when t.rotated_at > auth.clock() - c_grace
           then (t.recent_counters || t.previous_counter)[greatest(1, cardinality(t.recent_counters) + 2 - c_recent):] else '{}' end,
         recent_ended_at = case when t.rotated_at > auth.clock() - c_grace
           then (t.recent_ended_at || t.rotated_at)[greatest(1, cardinality(t.recent_ended_at) + 2 - c_recent):] else '{}' end,
         last_used_at = auth.clock(),
         access_expires_at = greatest(t.access_expires_at, auth.clock() + make_interval(secs => p_access_ttl_secs + 1)),
         expires_at = least(auth.clock() + make_interval(secs => p_refresh_ttl_secs), t.absolute_expires_at)
   where t.id = p_session_id and t.counter = p_counter and t.nonce_hash = p_nonce_hash
     and t.revoked_at is null and t.expires_at > auth.clock()
  returning t.* into s;
  if found then
    v_outcome := 'rotated';
  else
    -- Lost the race or shown late. A new statement sees the row as it is after the wait; in
    -- one statement the loser would judge by the stale counter and take a burst for theft.
    select t.* into s from auth.sessions t
     where t.id = p_session_id and t.nonce_hash = p_nonce_hash for no key update;
    if not found then
      return query select 'unknown', null::bigint, null, null, null::boolean, null, null::bigint;
      return;
    end if;
    v_now := auth.clock();
    v_outcome := case
      when s.revoked_at is not null or s.expires_at <= v_now then 'ended'
      when p_counter >= s.counter then 'ahead'
      when p_counter = s.previous_counter and s.rotated_at > v_now - c_grace then 'repeated'
      when p_counter = s.previous_counter then 'forked'
      when exists (select from unnest(s.recent_counters, s.recent_ended_at) r (recent, ended_at)
                    where r.recent = p_counter and r.ended_at > v_now - c_grace) then 'repeated'
      else 'reused' end;
    if v_outcome in ('ahead', 'forked') then
      -- ahead: the database is an older copy, the row moves to where the client is.
      -- forked: the answer with the successor was lost; another successor takes its place and
      -- the lost one is reuse from now on, which is how a thief who trails by one is found.
      update auth.sessions t
         set counter = greatest(t.counter, p_counter) + 1, previous_counter = p_counter, rotated_at = v_now,
             recent_counters = '{}', recent_ended_at = '{}', last_used_at = v_now,
             access_expires_at = greatest(t.access_expires_at, v_now + make_interval(secs => p_access_ttl_secs + 1)),
             expires_at = least(v_now + make_interval(secs => p_refresh_ttl_secs), t.absolute_expires_at)
       where t.id = p_session_id
      returning t.* into s;
      perform auth.record_event('refresh_' || v_outcome, 'success', s.user_id, s.id, '{}', p_request);
    elsif v_outcome = 'reused' then
      perform auth.end_session(s, 'reuse');
      perform auth.record_event('refresh_reused', 'refused', s.user_id, s.id, '{}', p_request);
      perform auth.enqueue_mail(s.user_id, 'refresh_token_reused', s.id, jsonb_build_object('sessionId', s.id));
    end if;
  end if;
  return query
    select case auth.effective_status(u) when 'active' then v_outcome else 'ended' end,
           s.counter, u.id, u.email, u.email_verified_at is not null, u.role, u.token_cutoff
      from auth.users u where u.id = s.user_id;
end $$;
comment on function auth.refresh_session is
  'The whole rule for a refresh token that is ours. outcome: rotated, repeated, forked, ahead (answer the counter given), ended, reused, unknown (refuse).';

create function auth.revoke_session(p_user_id text, p_session_id text, p_reason text, p_request jsonb) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  s auth.sessions;
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  select t.* into s from auth.sessions t
   where t.id = p_session_id and t.user_id = p_user_id and t.revoked_at is null and t.expires_at > auth.clock()
     for no key update;
  if not found then
    return false;
  end if;
  perform auth.end_session(s, p_reason);
  perform auth.record_event(case p_reason when 'logout' then 'logout' else 'session_revoked' end,
    'success', p_user_id, p_session_id, jsonb_build_object('reason', p_reason), p_request);
  return true;
end $$;
comment on function auth.revoke_session is 'Ends a live session of this user; false when there is none of that id.';

create function auth.revoke_session_by_token(p_session_id text, p_nonce_hash bytea, p_request jsonb) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_user_id text;
begin
  select t.user_id into v_user_id from auth.sessions t where t.id = p_session_id and t.nonce_hash = p_nonce_hash;
  if not found then
    return 'unknown';
  end if;
  if auth.revoke_session(v_user_id, p_session_id, 'logout', p_request) then
    return 'revoked';
  end if;
  return 'ended';
end $$;
comment on function auth.revoke_session_by_token is 'Logout with a refresh token in place of an access token.';

create function auth.list_sessions(p_user_id text, p_session_id text)
  returns table (id text, device_id text, device_name text, user_agent text, ip_address text,
                 created_at timestamptz, last_used_at timestamptz, expires_at timestamptz)
  language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
declare
  -- As many as one user can have.
  c_page constant integer := 500;
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  perform auth.touch_session(p_user_id, p_session_id);
  return query
    select s.id, s.device_id, s.device_name, s.user_agent, host(s.ip_address), s.created_at, s.last_used_at, s.expires_at
      from auth.sessions s
     where s.revoked_at is null and s.expires_at > auth.clock()
       and exists (select from auth.sessions own
                    where own.id = p_session_id and own.revoked_at is null and own.expires_at > auth.clock())
     order by s.last_used_at desc, s.id
     limit c_page;
end $$;
comment on function auth.list_sessions is
  'The live sessions of the user, read under row-level security; none once the asking session has ended.';

create function auth.sweep_sessions() returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- One short transaction each time; what is left waits for the next run.
  c_batch constant integer := 1000;
  -- An ended session stays this long, so that its refresh token is still answered as ended.
  c_keep constant interval := interval '30 days';
  v_swept bigint;
begin
  delete from auth.sessions where id in (
    select s.id from auth.sessions s where s.absolute_expires_at < auth.clock() - c_keep
     limit c_batch for update skip locked);
  get diagnostics v_swept = row_count;
  return v_swept;
end $$;

-- Ownership and rights of the functions -----------------------------------------------

alter function auth.refuse_change() owner to tollgate_definer;
alter function auth.record_event(text, text, text, text, jsonb, jsonb) owner to tollgate_definer;
alter function auth.enqueue_mail(text, text, text, jsonb) owner to tollgate_definer;
alter function auth.end_session(auth.sessions, text) owner to tollgate_definer;
alter function auth.end_user_sessions(text, text, text) owner to tollgate_definer;
alter function auth.cut_off_tokens(text) owner to tollgate_definer;
alter function auth.session_standing(text, text) owner to tollgate_definer;
alter function auth.register_user(text, text, text, text, text, jsonb) owner to tollgate_definer;
alter function auth.find_credentials(text) owner to tollgate_definer;
alter function auth.record_refused_login(text, text, jsonb) owner to tollgate_definer;
alter function auth.open_session(text, bigint, text, text, bytea, text, text, text[], integer, integer, integer, jsonb) owner to tollgate_definer;
alter function auth.refresh_session(text, bigint, bytea, integer, integer, jsonb) owner to tollgate_definer;
alter function auth.revoke_session(text, text, text, jsonb) owner to tollgate_definer;
alter function auth.revoke_session_by_token(text, bytea, jsonb) owner to tollgate_definer;
alter function auth.sweep_sessions() owner to tollgate_definer;

revoke execute on all functions in schema auth from public;
grant execute on function auth.clock(), auth.current_user_id(), auth.hash_prefix(text),
  auth.event_details_digest(bytea, inet, text, jsonb),
  auth.effective_status(auth.users) to tollgate_app, tollgate_definer;
grant execute on function
  auth.register_user(text, text, text, text, text, jsonb),
  auth.find_credentials(text),
  auth.record_refused_login(text, text, jsonb),
  auth.load_user(text, text),
  auth.open_session(text, bigint, text, text, bytea, text, text, text[], integer, integer, integer, jsonb),
  auth.refresh_session(text, bigint, bytea, integer, integer, jsonb),
  auth.revoke_session(text, text, text, jsonb),
  auth.revoke_session_by_token(text, bytea, jsonb),
  auth.list_sessions(text, text),
  auth.sweep_sessions()
  to tollgate_app;
revoke create on schema auth from tollgate_definer;

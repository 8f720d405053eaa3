-- Mail: what was asked for by mail, and sending what waits in the outbox.
--
-- Neither the outbox nor auth.mail_tokens holds a secret. Links and codes are derived from the
-- id of a token and MASTER_KEY when a mail is written, and again when they are shown.

grant create on schema auth to tollgate_definer; -- taken back at the end of this file

create table auth.mail_tokens (
  id                 text        not null,
  user_id            text        not null,
  purpose            text        not null,
  email              text        not null,
  credential_version bigint      not null,
  created_at         timestamptz not null,
  expires_at         timestamptz not null,
  used_at            timestamptz,
  attempts           integer     not null default 0,
  last_attempt_at    timestamptz,
  constraint mail_tokens_pkey primary key (id),
  constraint mail_tokens_user_fkey foreign key (user_id) references auth.users (id),
  constraint mail_tokens_id_form check (id ~ '^[A-Za-z0-9_-]{22}$'),
  constraint mail_tokens_purpose_known check (purpose in ('verify_email', 'reset_password', 'change_email')),
  constraint mail_tokens_email_form check (octet_length(email) <= 254 and email = lower(btrim(email))),
  constraint mail_tokens_attempts_bounded check (attempts between 0 and 5),
  constraint mail_tokens_expiry_order check (expires_at > created_at)
);
create index mail_tokens_user on auth.mail_tokens (user_id, created_at desc);
create index mail_tokens_expiry on auth.mail_tokens (expires_at);
comment on table auth.mail_tokens is
  'What a link in a mail is good for, once and for a while. The link itself is not stored: it carries an HMAC over the id.';
comment on column auth.mail_tokens.email is 'The address the mail went to; for change_email the new one.';
comment on column auth.mail_tokens.attempts is 'Codes tried against this mail.';

alter table auth.mail_tokens enable row level security;
alter table auth.mail_tokens force row level security;
create policy mail_tokens_definer on auth.mail_tokens to tollgate_definer using (true) with check (true);
grant select, insert, update, delete on auth.mail_tokens to tollgate_definer;
grant delete on auth.outbox to tollgate_definer;

-- Asking for mail -----------------------------------------------------------------------

create function auth.issue_mail_token(p_user auth.users, p_purpose text, p_email text, p_token_id text) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- Nobody needs more, and a stranger who asks in somebody's name must not fill their mailbox.
  c_mails_per_day constant integer := 10;
  -- Two clicks on one button are one mail.
  c_pause constant interval := interval '1 minute';
  v_now timestamptz;
begin
  -- One at a time for each user, so that the count below is exact.
  perform from auth.users u where u.id = p_user.id for no key update;
  v_now := auth.clock();
  if exists (select from auth.mail_tokens t
              where t.user_id = p_user.id and t.purpose = p_purpose and t.email = p_email
                and t.used_at is null and t.created_at > v_now - c_pause)
     or (select count(*) from auth.mail_tokens t
          where t.user_id = p_user.id and t.created_at > v_now - interval '24 hours') >= c_mails_per_day then
    return false;
  end if;
  insert into auth.mail_tokens (id, user_id, purpose, email, credential_version, created_at, expires_at)
  values (p_token_id, p_user.id, p_purpose, p_email, p_user.credential_version, v_now,
          v_now + case p_purpose when 'verify_email' then interval '24 hours' else interval '1 hour' end);
  perform auth.enqueue_mail(p_user.id, p_purpose, p_token_id, jsonb_build_object('tokenId', p_token_id));
  return true;
end $$;
comment on function auth.issue_mail_token is
  'Puts a mail with a link into the outbox, at most ten a day for each user; says whether it did.';

create function auth.request_mail(p_email text, p_purpose text, p_token_id text, p_request jsonb) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_user auth.users;
  v_sent boolean := false;
begin
  select u.* into v_user from auth.users u where u.email = p_email and u.deleted_at is null;
  perform set_config('tollgate.user_id', coalesce(v_user.id, ''), true);
  if v_user.id is not null and auth.effective_status(v_user) = 'active'
     and (p_purpose = 'reset_password' or v_user.email_verified_at is null) then
    v_sent := auth.issue_mail_token(v_user, p_purpose, p_email, p_token_id);
  end if;
  -- Written for an unknown address too: the same work, and farming shows.
  perform auth.record_event('mail_requested', case when v_sent then 'success' else 'refused' end, v_user.id, null,
    jsonb_build_object('purpose', p_purpose), p_request || '{"actorKind": "anonymous"}');
end $$;
comment on function auth.request_mail is
  'A stranger asks for a verification or reset mail to an address. Does and says the same whether or not somebody has it.';

create function auth.request_first_mail(p_user_id text, p_token_id text, p_request jsonb) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_user auth.users;
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  select u.* into v_user from auth.users u where u.id = p_user_id;
  perform auth.issue_mail_token(v_user, 'verify_email', v_user.email, p_token_id);
end $$;
comment on function auth.request_first_mail is 'The verification mail of a registration, in its transaction.';

create function auth.note_repeated_registration(p_email text, p_token_id text, p_request jsonb) returns timestamptz
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_user auth.users;
begin
  select u.* into v_user from auth.users u where u.email = p_email and u.deleted_at is null for no key update;
  perform set_config('tollgate.user_id', coalesce(v_user.id, ''), true);
  if v_user.id is not null and v_user.email_verified_at is null and auth.effective_status(v_user) = 'active' then
    -- Two people may have registered one address that neither has proven. Whoever reads its mail
    -- chooses the password: what strangers set before is dropped, unless the account is in use.
    if not exists (select from auth.sessions s where s.user_id = v_user.id) then
      update auth.users u set password_hash = null, password_set_at = auth.clock(), updated_at = auth.clock()
       where u.id = v_user.id returning u.* into v_user;
      update auth.mail_tokens t set used_at = auth.clock()
       where t.user_id = v_user.id and t.purpose = 'verify_email' and t.used_at is null;
    end if;
    perform auth.issue_mail_token(v_user, 'reset_password', v_user.email, p_token_id);
  elsif v_user.id is not null then
    perform auth.enqueue_mail(v_user.id, 'already_registered',
      v_user.id || ':' || to_char(auth.clock() at time zone 'UTC', 'YYYY-MM-DD"T"HH24'), '{}');
  end if;
  perform auth.record_event('registration_repeated', 'refused', v_user.id, null, '{}',
    p_request || '{"actorKind": "anonymous"}');
  return auth.clock();
end $$;
comment on function auth.note_repeated_registration is
  'Somebody registered an address that has an account: its owner is told, at most once an hour. Answers the time, as a registration does.';

create function auth.refuse_unverified_login(p_user_id text, p_token_id text, p_request jsonb) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_user auth.users;
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  select u.* into v_user from auth.users u where u.id = p_user_id;
  if v_user.email_verified_at is null and auth.effective_status(v_user) = 'active' then
    perform auth.issue_mail_token(v_user, 'verify_email', v_user.email, p_token_id);
  end if;
  perform auth.record_event('login', 'refused', p_user_id, null, '{"reason": "unverified"}', p_request);
end $$;
comment on function auth.refuse_unverified_login is
  'The password was right and the address is not verified: the mail goes out again, the answer says nothing of it.';

-- Showing a link or code ----------------------------------------------------------------

create function auth.try_mail_code(p_email text, p_request jsonb) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- Six digits: with fifty tries a day nobody guesses one in a lifetime.
  c_tries_per_day constant integer := 50;
  v_user auth.users;
  v_token auth.mail_tokens;
  v_now timestamptz;
begin
  select u.* into v_user from auth.users u where u.email = p_email and u.deleted_at is null for no key update;
  perform set_config('tollgate.user_id', coalesce(v_user.id, ''), true);
  v_now := auth.clock();
  if (select coalesce(sum(t.attempts), 0) from auth.mail_tokens t
       where t.user_id = v_user.id and t.last_attempt_at > v_now - interval '24 hours') < c_tries_per_day then
    -- The attempt is counted before the code is compared, so that parallel tries gain nothing.
    update auth.mail_tokens t set attempts = t.attempts + 1, last_attempt_at = v_now
     where t.id = (select n.id from auth.mail_tokens n
                    where n.user_id = v_user.id and n.purpose = 'verify_email' and n.email = v_user.email
                      and n.used_at is null and n.expires_at > v_now
                    order by n.created_at desc, n.id limit 1)
       and t.attempts < 5
    returning t.* into v_token;
  end if;
  perform auth.record_event('mail_code_tried', case when v_token.id is null then 'refused' else 'success' end,
    v_user.id, null, '{}', p_request || '{"actorKind": "anonymous"}');
  return v_token.id;
end $$;
comment on function auth.try_mail_code is
  'Takes one of five attempts of the newest verification mail of an address and names it; null when there is none left.';

create function auth.verify_email(p_token_id text, p_request jsonb)
  returns table (user_id text, email text, ended_sessions text[])
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_token auth.mail_tokens;
  v_user auth.users;
  v_ended text[] := '{}';
begin
  update auth.mail_tokens t set used_at = auth.clock()
   where t.id = p_token_id and t.purpose = 'verify_email' and t.used_at is null and t.expires_at > auth.clock()
  returning t.* into v_token;
  perform set_config('tollgate.user_id', coalesce(v_token.user_id, ''), true);
  select u.* into v_user from auth.users u
   where u.id = v_token.user_id and u.email = v_token.email and auth.effective_status(u) = 'active'
     for no key update;
  if not found then
    return;
  end if;
  if v_user.email_verified_at is null then
    v_ended := auth.mark_email_verified(v_user.id, p_request);
  end if;
  return query select v_user.id, v_user.email, v_ended;
end $$;
comment on function auth.verify_email is 'Uses a verification link; no row when it was used, has run out or belongs to another address.';

create function auth.live_session_ids(p_user_id text, p_except_session_id text) returns text[]
  language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  select coalesce(array_agg(s.id), '{}') from auth.sessions s
   where s.user_id = p_user_id and s.id is distinct from p_except_session_id
     and s.revoked_at is null and s.expires_at > auth.clock()
$$;
comment on function auth.live_session_ids is 'The sessions that are about to be ended, so that this issuer refuses their tokens at once.';

create function auth.mark_email_verified(p_user_id text, p_request jsonb) returns text[]
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_ended text[];
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  update auth.users u set email_verified_at = auth.clock(), updated_at = auth.clock() where u.id = p_user_id;
  -- Whoever was signed in before the address was proven need not be its owner.
  v_ended := auth.live_session_ids(p_user_id, null);
  perform auth.end_user_sessions(p_user_id, 'email_verified', null);
  perform auth.record_event('email_verified', 'success', p_user_id, null, '{}', p_request);
  return v_ended;
end $$;
comment on function auth.mark_email_verified is
  'The owner of the mailbox has spoken: the address counts as verified and sessions opened before end.';

create function auth.reset_password(p_token_id text, p_password_hash text, p_request jsonb)
  returns table (user_id text, email text, ended_sessions text[])
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_token auth.mail_tokens;
  v_user auth.users;
  v_ended text[];
begin
  update auth.mail_tokens t set used_at = auth.clock()
   where t.id = p_token_id and t.purpose = 'reset_password' and t.used_at is null and t.expires_at > auth.clock()
  returning t.* into v_token;
  perform set_config('tollgate.user_id', coalesce(v_token.user_id, ''), true);
  -- A password or address changed since the mail went out makes the link void.
  update auth.users u
     set password_hash = p_password_hash, password_set_at = auth.clock(), updated_at = auth.clock()
   where u.id = v_token.user_id and u.email = v_token.email and u.credential_version = v_token.credential_version
     and auth.effective_status(u) = 'active'
  returning u.* into v_user;
  if not found then
    return;
  end if;
  v_ended := auth.live_session_ids(v_user.id, null);
  perform auth.end_user_sessions(v_user.id, 'password_changed', null);
  perform auth.record_event('password_reset', 'success', v_user.id, null, '{}', p_request);
  -- The link came to the address, so using it proves the address.
  if v_user.email_verified_at is null then
    perform auth.mark_email_verified(v_user.id, p_request);
  end if;
  perform auth.enqueue_mail(v_user.id, 'password_changed', p_token_id, '{}');
  return query select v_user.id, v_user.email, v_ended;
end $$;
comment on function auth.reset_password is
  'Sets a password by a link, ends every session and tells the owner; no row when the link is not good any more.';

-- Sending -------------------------------------------------------------------------------

create function auth.claim_mail(p_limit integer, p_lease_secs integer, p_max_attempts integer)
  returns table (id bigint, template text, attempt integer, created_at timestamptz, recipient text, name text,
                 locale text, token_id text, new_email text, device_name text, user_agent text, ip_address text,
                 happened_at timestamptz, change text, wanted boolean)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  -- Claimed again and again and never finished: whatever kills the sender, it is not sent for ever.
  update auth.outbox o set dead_at = auth.clock(), last_error_code = 'abandoned'
   where o.topic = 'mail' and o.delivered_at is null and o.dead_at is null
     and o.available_at <= auth.clock() and o.attempts >= p_max_attempts;
  return query
    with claimed as (
      update auth.outbox o
         set attempts = o.attempts + 1, available_at = auth.clock() + make_interval(secs => p_lease_secs)
       where o.id in (select d.id from auth.outbox d
                       where d.topic = 'mail' and d.delivered_at is null and d.dead_at is null
                         and d.available_at <= auth.clock()
                       order by d.available_at, d.id limit p_limit for update skip locked)
      returning o.id, o.user_id, o.payload, o.attempts, o.created_at)
    select c.id, c.payload ->> 'template', c.attempts, c.created_at,
           coalesce(c.payload ->> 'to', t.email, u.email), u.name, u.locale,
           t.id, case when t.purpose = 'change_email' then t.email end,
           s.device_name, s.user_agent, host(s.ip_address), coalesce(s.created_at, c.created_at),
           c.payload ->> 'change',
           u.status in ('active', 'banned')
             and (c.payload ->> 'tokenId' is null or (t.used_at is null and t.expires_at > auth.clock()))
      from claimed c
      join auth.users u on u.id = c.user_id
      left join auth.mail_tokens t on t.id = c.payload ->> 'tokenId'
      left join auth.sessions s on s.id = c.payload ->> 'sessionId'
     order by c.id;
end $$;
comment on function auth.claim_mail is
  'Leases mail that is due to one issuer, so that no transaction is open while it is sent. wanted: false when the link in it is used or has run out.';

create function auth.finish_mail(p_id bigint, p_attempt integer, p_outcome text, p_code text, p_retry_secs integer)
  returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update auth.outbox o
     set delivered_at = case p_outcome when 'delivered' then auth.clock() end,
         dead_at = case p_outcome when 'dead' then auth.clock() end,
         last_error_code = p_code,
         available_at = case p_outcome when 'retry' then auth.clock() + make_interval(secs => p_retry_secs)
                                       else o.available_at end
   -- The attempt is the lease: whoever was overtaken changes nothing.
   where o.id = p_id and o.topic = 'mail' and o.attempts = p_attempt and o.delivered_at is null and o.dead_at is null;
  return found;
end $$;
comment on function auth.finish_mail is 'What became of one attempt: delivered, retry or dead.';

create function auth.mail_backlog(out n_waiting bigint, out oldest_secs bigint)
  language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  select count(*), coalesce(floor(extract(epoch from auth.clock() - min(o.created_at))), 0)::bigint
    from auth.outbox o where o.topic = 'mail' and o.delivered_at is null and o.dead_at is null
$$;
comment on function auth.mail_backlog is 'Mail that waits, and the age of the oldest.';

create function auth.sweep_mail() returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- One short transaction each time; what is left waits for the next run.
  c_batch constant integer := 1000;
  -- Long enough for the limits per day, and for somebody who looks into a mail that did not arrive.
  c_keep_tokens constant interval := interval '2 days';
  c_keep_mail constant interval := interval '30 days';
  v_tokens bigint;
  v_mail bigint;
begin
  delete from auth.mail_tokens where id in (
    select t.id from auth.mail_tokens t where t.expires_at < auth.clock() - c_keep_tokens
     limit c_batch for update skip locked);
  get diagnostics v_tokens = row_count;
  delete from auth.outbox where id in (
    select o.id from auth.outbox o
     where o.topic = 'mail' and coalesce(o.delivered_at, o.dead_at) < auth.clock() - c_keep_mail
     limit c_batch for update skip locked);
  get diagnostics v_mail = row_count;
  return v_tokens + v_mail;
end $$;
comment on function auth.sweep_mail is 'Forgets links that ran out and mail that was sent long ago.';

-- Ownership and rights ------------------------------------------------------------------

alter function auth.issue_mail_token(auth.users, text, text, text) owner to tollgate_definer;
alter function auth.request_mail(text, text, text, jsonb) owner to tollgate_definer;
alter function auth.request_first_mail(text, text, jsonb) owner to tollgate_definer;
alter function auth.note_repeated_registration(text, text, jsonb) owner to tollgate_definer;
alter function auth.refuse_unverified_login(text, text, jsonb) owner to tollgate_definer;
alter function auth.try_mail_code(text, jsonb) owner to tollgate_definer;
alter function auth.verify_email(text, jsonb) owner to tollgate_definer;
alter function auth.live_session_ids(text, text) owner to tollgate_definer;
alter function auth.mark_email_verified(text, jsonb) owner to tollgate_definer;
alter function auth.reset_password(text, text, jsonb) owner to tollgate_definer;
alter function auth.claim_mail(integer, integer, integer) owner to tollgate_definer;
alter function auth.finish_mail(bigint, integer, text, text, integer) owner to tollgate_definer;
alter function auth.mail_backlog() owner to tollgate_definer;
alter function auth.sweep_mail() owner to tollgate_definer;

revoke execute on function
  auth.issue_mail_token(auth.users, text, text, text),
  auth.request_mail(text, text, text, jsonb),
  auth.request_first_mail(text, text, jsonb),
  auth.note_repeated_registration(text, text, jsonb),
  auth.refuse_unverified_login(text, text, jsonb),
  auth.try_mail_code(text, jsonb),
  auth.verify_email(text, jsonb),
  auth.live_session_ids(text, text),
  auth.mark_email_verified(text, jsonb),
  auth.reset_password(text, text, jsonb),
  auth.claim_mail(integer, integer, integer),
  auth.finish_mail(bigint, integer, text, text, integer),
  auth.mail_backlog(),
  auth.sweep_mail()
  from public;
grant execute on function
  auth.request_mail(text, text, text, jsonb),
  auth.request_first_mail(text, text, jsonb),
  auth.note_repeated_registration(text, text, jsonb),
  auth.refuse_unverified_login(text, text, jsonb),
  auth.try_mail_code(text, jsonb),
  auth.verify_email(text, jsonb),
  auth.reset_password(text, text, jsonb),
  auth.claim_mail(integer, integer, integer),
  auth.finish_mail(bigint, integer, text, text, integer),
  auth.mail_backlog(),
  auth.sweep_mail()
  to tollgate_app;
-- With verification on, the bonus waits for the proof of the address.
grant execute on function credits.grant_signup_bonus(text, bigint, bytea) to tollgate_app;
revoke create on schema auth from tollgate_definer;

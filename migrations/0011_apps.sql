-- Apps and the credentials of their services.

grant create on schema auth to tollgate_definer; -- taken back at the end of this file
grant create on schema credits to tollgate_definer;

alter table auth.service_credentials
  add constraint service_credentials_id_form check (id ~ '^[A-Za-z0-9_-]{22}$'),
  add constraint service_credentials_name_length check (char_length(name) between 1 and 100),
  add constraint service_credentials_hash_length check (octet_length(secret_hash) = 32);
create index service_credentials_app on auth.service_credentials (app_id);
alter table auth.apps
  add constraint apps_name_length check (char_length(name) between 1 and 100),
  add constraint apps_lists_bounded check (cardinality(audiences) <= 20 and cardinality(return_origins) <= 20);
-- A service names a hold by its id alone.
create unique index holds_id on credits.holds (id);

revoke select on auth.service_credentials from tollgate_app;
grant select, insert, update on auth.apps, auth.service_credentials to tollgate_definer;

-- The acts ----------------------------------------------------------------------------
-- Each answers done, not_found or conflict, and records itself as an event of who acts.

create function auth.save_app(p_act text, p_app_id text, p_fields jsonb, p_sealed_secret bytea) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_audiences text[] := array(select jsonb_array_elements_text(coalesce(p_fields -> 'audiences', '[]')));
  v_origins text[] := array(select jsonb_array_elements_text(coalesce(p_fields -> 'returnOrigins', '[]')));
begin
  if p_act = 'create' then
    insert into auth.apps (id, name, audiences, return_origins, spend_limit_day, spend_limit_month,
                           webhook_url, sealed_webhook_secret, created_at, updated_at)
    values (p_app_id, p_fields ->> 'name', v_audiences, v_origins, (p_fields ->> 'spendLimitDay')::bigint,
            (p_fields ->> 'spendLimitMonth')::bigint, p_fields ->> 'webhookUrl', p_sealed_secret, auth.clock(), auth.clock())
    on conflict on constraint apps_pkey do nothing;
    return case when found then 'done' else 'conflict' end;
  end if;
  update auth.apps a
     set name = case p_act when 'update' then p_fields ->> 'name' else a.name end,
         audiences = case p_act when 'update' then v_audiences else a.audiences end,
         return_origins = case p_act when 'update' then v_origins else a.return_origins end,
         spend_limit_day = case p_act when 'update' then (p_fields ->> 'spendLimitDay')::bigint else a.spend_limit_day end,
         spend_limit_month = case p_act when 'update' then (p_fields ->> 'spendLimitMonth')::bigint else a.spend_limit_month end,
         webhook_url = case p_act when 'update' then p_fields ->> 'webhookUrl' else a.webhook_url end,
         sealed_webhook_secret = coalesce(p_sealed_secret, a.sealed_webhook_secret),
         disabled_at = case p_act when 'disable' then coalesce(a.disabled_at, auth.clock())
                                  when 'enable' then null else a.disabled_at end,
         updated_at = auth.clock()
   where a.id = p_app_id;
  return case when found then 'done' else 'not_found' end;
end $$;

create function auth.create_service_credential(p_id text, p_fields jsonb, p_secret_hash bytea) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into auth.service_credentials (id, name, app_id, scopes, secret_hash, created_at, expires_at)
  select p_id, p_fields ->> 'name', a.id, array(select jsonb_array_elements_text(p_fields -> 'scopes')),
         p_secret_hash, auth.clock(), (p_fields ->> 'expiresAt')::timestamptz
    from auth.apps a where a.id = p_fields ->> 'appId' and a.disabled_at is null;
  return case when found then 'done' else 'not_found' end;
end $$;

create function auth.revoke_service_credential(p_id text) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update auth.service_credentials c set revoked_at = auth.clock() where c.id = p_id and c.revoked_at is null;
  return case when found then 'done' else 'not_found' end;
end $$;

create function auth.apply_to_apps(p_act text, p_id text, p_fields jsonb, p_secret bytea, p_user_id text, p_request jsonb)
  returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_outcome text := case p_act
    when 'create_service' then auth.create_service_credential(p_id, p_fields, p_secret)
    when 'revoke_service' then auth.revoke_service_credential(p_id)
    else auth.save_app(p_act, p_id, p_fields, p_secret) end;
begin
  if v_outcome = 'done' then
    perform auth.record_event(
      case p_act when 'create_service' then 'service_credential_created'
                 when 'revoke_service' then 'service_credential_revoked'
                 when 'create' then 'app_created' when 'update' then 'app_updated'
                 when 'disable' then 'app_disabled' when 'enable' then 'app_enabled'
                 else 'app_webhook_secret_rotated' end,
      'success', p_user_id, null, jsonb_build_object('id', p_id) || p_fields, p_request);
  end if;
  return v_outcome;
end $$;

-- The doors: an admin over HTTP, the operator on the command line -----------------------

create function auth.act_on_apps(
  p_admin_id text, p_session_id text, p_act text, p_id text, p_fields jsonb, p_secret bytea, p_request jsonb) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_standing text;
begin
  perform set_config('tollgate.user_id', p_admin_id, true);
  v_standing := auth.admin_standing(p_admin_id, p_session_id);
  if v_standing <> 'fresh' then
    return v_standing;
  end if;
  return auth.apply_to_apps(p_act, p_id, p_fields, p_secret, p_admin_id,
    p_request || jsonb_build_object('actorKind', 'admin', 'actorId', p_admin_id));
end $$;
comment on function auth.act_on_apps is
  'An act of an admin on an app or a service credential. outcome: done, not_found, conflict, or why not: stale, ended, forbidden.';

create function auth.operate_on_apps(p_act text, p_id text, p_fields jsonb, p_secret bytea) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', '', true);
  return auth.apply_to_apps(p_act, p_id, p_fields, p_secret, null, '{"actorKind": "system", "actorId": "operator"}');
end $$;
comment on function auth.operate_on_apps is 'The same act from the command line. For tollgate_owner only.';

create function auth.admin_role_standing(p_admin_id text, p_session_id text) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_admin_id, true);
  return auth.admin_standing(p_admin_id, p_session_id);
end $$;
comment on function auth.admin_role_standing is 'Whether a session may read what only admins see.';

create function auth.list_service_credentials(p_admin_id text, p_session_id text, p_limit integer)
  returns table (standing text, id text, name text, app_id text, scopes text[], created_at timestamptz,
                 last_used_at timestamptz, expires_at timestamptz, revoked_at timestamptz)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_admin_id, true);
  standing := auth.admin_standing(p_admin_id, p_session_id);
  return next; -- the first row says only whether the rest may be seen
  if standing not in ('fresh', 'stale') then
    return;
  end if;
  return query
    select null::text, c.id, c.name, c.app_id, c.scopes, c.created_at, c.last_used_at, c.expires_at, c.revoked_at
      from auth.service_credentials c order by c.created_at desc, c.id limit p_limit;
end $$;
comment on function auth.list_service_credentials is
  'Service credentials, newest first, for an admin. The first row holds only the standing of who asks.';

-- Services ----------------------------------------------------------------------------

create function auth.authenticate_service(p_secret_hash bytea)
  returns table (id text, app_id text, scopes text[])
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- Enough to see what is in use, and no row changes with every request.
  c_note_every constant interval := interval '1 minute';
  c auth.service_credentials;
begin
  select t.* into c from auth.service_credentials t
    join auth.apps a on a.id = t.app_id and a.disabled_at is null
   where t.secret_hash = p_secret_hash and t.revoked_at is null
     and (t.expires_at is null or t.expires_at > auth.clock());
  if not found then
    return;
  end if;
  if c.last_used_at is null or c.last_used_at <= auth.clock() - c_note_every then
    update auth.service_credentials t set last_used_at = auth.clock()
     where t.id = c.id and t.last_used_at is not distinct from c.last_used_at;
  end if;
  return query select c.id, c.app_id, c.scopes;
end $$;
comment on function auth.authenticate_service is
  'The service behind a secret; no row when it is unknown, revoked or expired, or its app is disabled.';

create function credits.find_hold_user(p_service_id text, p_hold_id text) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  return (select a.user_id from credits.holds h
            join credits.accounts a on a.id = h.account_id
            join auth.service_credentials c on c.id = p_service_id and c.revoked_at is null
           where h.id = p_hold_id
             and (h.placed_by = 'service:' || c.id or (h.app_id = c.app_id and 'credits:holds' = any (c.scopes))));
end $$;
comment on function credits.find_hold_user is
  'Whose credits a hold has set aside, for a service of the hold''s app; null for everybody else''s.';

-- Ownership and rights ----------------------------------------------------------------

do $$
declare
  f regprocedure;
begin
  for f in
    select p.oid::regprocedure from pg_proc p
     where (p.pronamespace = 'auth'::regnamespace and p.proname in (
       'save_app', 'create_service_credential', 'revoke_service_credential', 'apply_to_apps', 'act_on_apps',
       'operate_on_apps', 'admin_role_standing', 'list_service_credentials', 'authenticate_service'))
        or (p.pronamespace = 'credits'::regnamespace and p.proname = 'find_hold_user')
  loop
    execute format('revoke execute on function %s from public', f);
    execute format('alter function %s owner to tollgate_definer', f);
  end loop;
end $$;
grant execute on function
  auth.act_on_apps(text, text, text, text, jsonb, bytea, jsonb),
  auth.admin_role_standing(text, text),
  auth.list_service_credentials(text, text, integer),
  auth.authenticate_service(bytea),
  credits.find_hold_user(text, text)
  to tollgate_app;
grant execute on function auth.operate_on_apps(text, text, jsonb, bytea) to tollgate_owner;
revoke create on schema credits from tollgate_definer;
revoke create on schema auth from tollgate_definer;

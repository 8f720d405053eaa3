-- What users have set: one object for everywhere and one for each app.

grant create on schema auth to tollgate_definer; -- taken back at the end of this file

create table auth.user_settings (
  user_id    text        not null,
  version    bigint      not null,
  global     jsonb       not null,
  apps       jsonb       not null,
  updated_at timestamptz not null,
  constraint user_settings_pkey primary key (user_id),
  constraint user_settings_user_fkey foreign key (user_id) references auth.users (id),
  constraint user_settings_objects check (jsonb_typeof(global) = 'object' and jsonb_typeof(apps) = 'object'),
  constraint user_settings_size check (octet_length(global::text) + octet_length(apps::text) <= 16384)
);
comment on table auth.user_settings is
  'One row a user, so that their size is bounded as a whole and one version tells whether anything changed.';
comment on column auth.user_settings.apps is 'One object for each app, by its id; an app without settings is not there.';
comment on column auth.user_settings.version is 'Raised by every change; 0 before the first.';

alter table auth.user_settings enable row level security;
alter table auth.user_settings force row level security;
create policy user_settings_own on auth.user_settings for select to tollgate_app
  using (user_id = (select auth.current_user_id()));
create policy user_settings_definer on auth.user_settings to tollgate_definer using (true) with check (true);
grant select on auth.user_settings to tollgate_app;
grant select, insert, update, delete on auth.user_settings to tollgate_definer;

create function auth.load_settings(p_user_id text, p_session_id text)
  returns table (version bigint, global jsonb, apps jsonb)
  language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  return query
    select coalesce(t.version, 0), coalesce(t.global, '{}'), coalesce(t.apps, '{}')
      from auth.sessions s left join auth.user_settings t on t.user_id = s.user_id
     where s.id = p_session_id and s.user_id = p_user_id and s.revoked_at is null and s.expires_at > auth.clock();
end $$;
comment on function auth.load_settings is 'Read under row-level security; no row once the session has ended.';

create function auth.merge_settings(p_old jsonb, p_patch jsonb) returns jsonb
  language sql immutable
  return (p_old || p_patch) - array(select e.key from jsonb_each(p_patch) e where e.value = 'null'::jsonb);
comment on function auth.merge_settings is
  'JSON Merge Patch (RFC 7396) at the top level: a member replaces the one of its name as a whole, null removes it.';

create function auth.change_settings(
  p_user_id text, p_session_id text, p_app_id text, p_patch jsonb, p_versions bigint[])
  returns table (outcome text, version bigint, global jsonb, apps jsonb)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- As the table's own check says: settings are small, programs keep their data themselves.
  c_max_bytes constant integer := 16384;
  s auth.user_settings;
  v_app jsonb;
  v_global jsonb;
  v_apps jsonb;
  v_outcome text := 'saved';
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  if auth.session_standing(p_user_id, p_session_id) = 'ended' then
    return query select 'ended', null::bigint, null::jsonb, null::jsonb;
    return;
  end if;
  insert into auth.user_settings (user_id, version, global, apps, updated_at)
  values (p_user_id, 0, '{}', '{}', auth.clock()) on conflict (user_id) do nothing;
  select t.* into s from auth.user_settings t where t.user_id = p_user_id for no key update;
  v_global := s.global;
  v_apps := s.apps;
  if p_app_id is null then
    v_global := auth.merge_settings(s.global, p_patch);
  else
    v_app := auth.merge_settings(coalesce(s.apps -> p_app_id, '{}'), p_patch);
    v_apps := case when p_patch is null or v_app = '{}' then s.apps - p_app_id
                   else s.apps || jsonb_build_object(p_app_id, v_app) end;
  end if;
  if p_versions is not null and s.version <> all (p_versions) then
    v_outcome := 'changed';
  elsif octet_length(v_global::text) + octet_length(v_apps::text) > c_max_bytes then
    v_outcome := 'too_large';
  elsif (v_global, v_apps) is distinct from (s.global, s.apps) then
    update auth.user_settings t
       set version = t.version + 1, global = v_global, apps = v_apps, updated_at = auth.clock()
     where t.user_id = p_user_id and t.version = s.version
    returning t.* into s;
  end if;
  return query select v_outcome, s.version, s.global, s.apps;
end $$;
comment on function auth.change_settings is
  'Merges a patch into the settings for everywhere (no app id) or for one app; without a patch the app''s go. outcome: saved, changed (none of the versions asked for is the present one), too_large, ended (the session).';

alter function auth.merge_settings(jsonb, jsonb) owner to tollgate_definer;
alter function auth.change_settings(text, text, text, jsonb, bigint[]) owner to tollgate_definer;

revoke execute on function
  auth.load_settings(text, text),
  auth.merge_settings(jsonb, jsonb),
  auth.change_settings(text, text, text, jsonb, bigint[])
  from public;
grant execute on function
  auth.load_settings(text, text),
  auth.change_settings(text, text, text, jsonb, bigint[])
  to tollgate_app;
revoke create on schema auth from tollgate_definer;

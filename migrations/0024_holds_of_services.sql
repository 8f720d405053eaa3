-- Services place holds and charge: for users who show their token to them, and in their own app.

grant create on schema credits to tollgate_definer; -- taken back at the end of this file

-- The scope says in the singular what a service may do: place, capture and release a hold, and charge.
update auth.service_credentials c
   set scopes = array_replace(c.scopes, 'credits:holds', 'credits:hold')
 where 'credits:holds' = any (c.scopes);

create function credits.service_may_spend(p_principal text, p_app_id text) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  return exists (
    select from auth.service_credentials c
      join auth.apps a on a.id = c.app_id and a.disabled_at is null
     where c.id = substr(p_principal, length('service:') + 1) and c.app_id = p_app_id
       and 'credits:hold' = any (c.scopes) and c.revoked_at is null
       and (c.expires_at is null or c.expires_at > auth.clock()));
end $$;
comment on function credits.service_may_spend is
  'Whether a principal is a service that may spend in this app at this moment.';

-- Whoever writes a hold or a charge in a service's name, a service must stand behind it: revoked
-- between its authentication and the charge, or never there, it spends nothing.

create function credits.refuse_hold_without_service() returns trigger
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not credits.service_may_spend(new.placed_by, new.app_id) then
    perform credits.refuse_row('holds', 'holds_service_may_spend');
  end if;
  return new;
end $$;
create trigger holds_service_may_spend before insert on credits.holds
  for each row when (new.placed_by like 'service:%')
  execute function credits.refuse_hold_without_service();

create function credits.refuse_charge_without_service() returns trigger
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not credits.service_may_spend(new.key_scope, new.app_id) then
    perform credits.refuse_row('entries', 'entries_service_may_spend');
  end if;
  return new;
end $$;
-- A capture is paid from a hold that was placed rightly, and must not fail any more. Whether the
-- service may end that hold is checked where it is.
create trigger entries_service_may_spend before insert on credits.entries
  for each row when (new.key_scope like 'service:%' and new.kind = 'usage' and new.hold_id is null)
  execute function credits.refuse_charge_without_service();

-- A service ends what it has placed, and what users have placed in its app; never what another
-- service has placed, be it of the same app.

create or replace function credits.load_open_hold(
  p_account_id bigint, p_hold_id text, p_principal text, out outcome text, out hold credits.holds)
  language plpgsql volatile as $$
begin
  select t.* into hold from credits.holds t
   where t.account_id = p_account_id and t.id = p_hold_id
     and (t.placed_by = p_principal
          or (t.placed_by like 'user:%' and p_principal like 'service:%'
              and credits.service_may_spend(p_principal, t.app_id)));
  outcome := case when not found then 'no_hold' when hold.status <> 'open' then 'not_open' end;
end $$;
comment on function credits.load_open_hold is
  'The hold, if it is open and was placed by this principal, or by a user in the app whose service asks; otherwise the outcome that says why not.';

create or replace function credits.find_hold_user(p_service_id text, p_hold_id text) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  return (select a.user_id from credits.holds h
            join credits.accounts a on a.id = h.account_id
           where h.id = p_hold_id
             and (h.placed_by = 'service:' || p_service_id
                  or (h.placed_by like 'user:%' and credits.service_may_spend('service:' || p_service_id, h.app_id))));
end $$;
comment on function credits.find_hold_user is
  'Whose credits a hold has set aside, for the service that placed it, or a service of its app when the user did; null for everybody else''s.';

-- Ownership and rights ----------------------------------------------------------------

do $$
declare
  f regprocedure;
begin
  for f in
    select p.oid::regprocedure from pg_proc p
     where p.pronamespace = 'credits'::regnamespace
       and p.proname in ('service_may_spend', 'refuse_hold_without_service', 'refuse_charge_without_service')
  loop
    execute format('revoke execute on function %s from public', f);
    execute format('alter function %s owner to tollgate_definer', f);
  end loop;
end $$;
revoke create on schema credits from tollgate_definer;

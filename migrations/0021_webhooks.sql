-- Webhooks: what happened, told to apps.
--
-- An event becomes one delivery for each app that listens, in the transaction of the act. Triggers do
-- it, so that no act can forget to. There is none on credits.entries: a charge waits for nobody.

grant create on schema auth to tollgate_definer; -- taken back at the end of this file
grant create on schema credits to tollgate_definer;

alter table auth.apps
  add column previous_webhook_secret bytea,
  add column previous_webhook_secret_until timestamptz,
  add constraint apps_previous_secret_dated
    check ((previous_webhook_secret is null) = (previous_webhook_secret_until is null));
comment on column auth.apps.previous_webhook_secret is
  'The secret before the present one, sealed likewise: both sign until previous_webhook_secret_until.';

create table auth.webhook_deliveries (
  id              bigint generated always as identity,
  app_id          text        not null,
  event_id        text        not null,
  type            text        not null,
  body            text        not null,
  state           text        not null default 'pending',
  attempts        integer     not null default 0,
  created_at      timestamptz not null,
  due_at          timestamptz not null,
  leased_until    timestamptz,
  last_attempt_at timestamptz,
  last_status     integer,
  last_error      text,
  ended_at        timestamptz,
  constraint webhook_deliveries_pkey primary key (id),
  constraint webhook_deliveries_app_fkey foreign key (app_id) references auth.apps (id),
  constraint webhook_deliveries_event_form check (event_id ~ '^msg_[0-9a-f]{32}$'),
  constraint webhook_deliveries_type_form check (type ~ '^[a-z]+([.][a-z_]+)?$' and char_length(type) <= 64),
  -- The specification asks for less than 20 KB; ours are some hundred bytes.
  constraint webhook_deliveries_body_bounded check (octet_length(body) <= 16384),
  constraint webhook_deliveries_state_known check (state in ('pending', 'delivered', 'dead')),
  constraint webhook_deliveries_end_dated check ((state = 'pending') = (ended_at is null)),
  constraint webhook_deliveries_lease_pending check (leased_until is null or state = 'pending'),
  constraint webhook_deliveries_status_range check (last_status between 100 and 999),
  constraint webhook_deliveries_error_known check (last_error in (
    'status', 'redirected', 'gone', 'timeout', 'unreachable', 'address', 'secret', 'no_receiver', 'abandoned', 'overflow'))
);
create index webhook_deliveries_due on auth.webhook_deliveries (app_id, due_at, id) where state = 'pending';
create index webhook_deliveries_waiting on auth.webhook_deliveries (app_id, id) where state = 'pending';
create index webhook_deliveries_dead on auth.webhook_deliveries (app_id, id) where state = 'dead';
create index webhook_deliveries_leased on auth.webhook_deliveries (app_id, leased_until) where leased_until is not null;
create index webhook_deliveries_app on auth.webhook_deliveries (app_id, id desc);
create index webhook_deliveries_ended on auth.webhook_deliveries (ended_at) where ended_at is not null;
comment on table auth.webhook_deliveries is
  'What apps are told, committed with the act and delivered afterwards. A body holds ids and amounts, nothing personal.';
comment on column auth.webhook_deliveries.event_id is
  'webhook-id: the same at every attempt and at every app that is told, so that a receiver knows a repetition.';
comment on column auth.webhook_deliveries.body is 'The very bytes that are signed and sent.';
comment on column auth.webhook_deliveries.last_error is 'A word of ours; nothing that a receiver said is kept.';

alter table auth.webhook_deliveries enable row level security;
alter table auth.webhook_deliveries force row level security;
create policy webhook_deliveries_definer on auth.webhook_deliveries to tollgate_definer using (true) with check (true);
grant select, insert, update, delete on auth.webhook_deliveries to tollgate_definer;

-- Enqueueing --------------------------------------------------------------------------

create function auth.utc_text(p_at timestamptz) returns text
  language sql immutable parallel safe
  return to_char(p_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
comment on function auth.utc_text is 'RFC 3339, whatever the time zone of the session.';

create function auth.enqueue_webhook(p_type text, p_data jsonb, p_app_id text) returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_now constant timestamptz := auth.clock();
  v_event_id constant text := 'msg_' || encode(uuid_send(gen_random_uuid()), 'hex');
  v_last bigint;
begin
  with added as (
    insert into auth.webhook_deliveries (app_id, event_id, type, body, created_at, due_at)
    select a.id, v_event_id, p_type,
           format('{"type":%s,"timestamp":%s,"data":%s}', to_json(p_type), to_json(auth.utc_text(v_now)), p_data), v_now, v_now
      from auth.apps a
     where (p_app_id is null or a.id = p_app_id) and auth.listens(a)
    returning id)
  select max(a.id) into v_last from added a;
  return v_last;
end $$;
comment on function auth.enqueue_webhook is
  'Tells every app that listens, or the one named; answers the delivery, of several the last.';

create function auth.listens(p_app auth.apps) returns boolean
  language sql stable parallel safe
  return (p_app).disabled_at is null and (p_app).webhook_url is not null and (p_app).sealed_webhook_secret is not null;
comment on function auth.listens is 'Whether an app is told of events.';

create function auth.announce_user() returns trigger
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform auth.enqueue_webhook(
    case new.status when 'banned' then 'user.banned' when 'deleted' then 'user.deleted' when 'erased' then 'user.erased'
      else case old.status when 'banned' then 'user.unbanned' else 'user.restored' end end,
    jsonb_build_object('userId', new.id)
      || case new.status when 'banned' then jsonb_build_object('until', auth.utc_text(new.status_until)) else '{}' end,
    null);
  return null;
end $$;
create trigger users_told after update of status, status_until on auth.users
  for each row
  when (old.status is distinct from new.status
        or (new.status = 'banned' and old.status_until is distinct from new.status_until))
  execute function auth.announce_user();

create function credits.account_owner(p_account_id bigint) returns jsonb
  language sql stable security definer set search_path = pg_catalog, pg_temp
  return (select jsonb_strip_nulls(jsonb_build_object('userId', a.user_id, 'organizationId', a.organization_id))
            from credits.accounts a where a.id = p_account_id);
comment on function credits.account_owner is 'Whose account it is, as events name them.';

create function credits.announce_purchase() returns trigger
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- What has happened to the money, and not how the row says it: a refund that failed later makes
  -- a purchase paid again, and nobody must add its credits twice.
  v_type constant text := case
    when old.paid_at is null and new.paid_at is not null then 'purchase.paid'
    when new.refunded_cents > old.refunded_cents then 'purchase.refunded'
    when new.refunded_cents < old.refunded_cents then 'purchase.refund_failed'
    when new.status = 'failed' and old.status <> 'failed' then 'purchase.failed' end;
begin
  if v_type is not null then
    perform auth.enqueue_webhook(v_type,
      credits.account_owner(new.account_id) || jsonb_build_object(
        'purchaseId', new.id, 'packageId', new.package_id, 'status', new.status, 'credits', new.credits,
        'priceCents', new.price_cents, 'refundedCents', new.refunded_cents, 'currency', new.currency),
      null);
  end if;
  return null;
end $$;
create trigger purchases_told after update of status, paid_at, refunded_cents on credits.purchases
  for each row execute function credits.announce_purchase();

create function credits.announce_freeze() returns trigger
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_was constant boolean := case tg_op when 'UPDATE' then old.lifted_at is null else false end;
  v_is constant boolean := new.lifted_at is null;
  v_n_freezes integer;
begin
  if v_was = v_is then
    return null;
  end if;
  select a.n_freezes into strict v_n_freezes from credits.accounts a where a.id = new.account_id;
  -- The first freeze and the lifting of the last are told: those between change nothing for anybody.
  if (v_is and v_n_freezes = 1) or (v_was and v_n_freezes = 0) then
    perform auth.enqueue_webhook(case when v_is then 'credits.frozen' else 'credits.unfrozen' end,
      credits.account_owner(new.account_id) || jsonb_build_object('reason', new.reason), null);
  end if;
  return null;
end $$;
-- Triggers fire in the order of their names: freezes_count has counted before.
create trigger freezes_told after insert or update of lifted_at on credits.freezes
  for each row execute function credits.announce_freeze();

-- Sending -------------------------------------------------------------------------------

create function auth.claim_webhooks(p_limit integer, p_per_app integer, p_lease_secs integer, p_max_attempts integer)
  returns table (id bigint, app_id text, event_id text, body text, attempt integer, url text, secret bytea, previous_secret bytea)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_now constant timestamptz := auth.clock();
begin
  -- Claimed again and again and never finished: whatever kills the sender, it is not sent for ever.
  update auth.webhook_deliveries d set state = 'dead', ended_at = v_now, leased_until = null, last_error = 'abandoned'
   where d.leased_until <= v_now and d.attempts >= p_max_attempts;
  return query
    with chosen as materialized (
      select c.id
        from auth.apps a
        cross join lateral (
          select t.id, t.due_at from auth.webhook_deliveries t
           where t.app_id = a.id and t.state = 'pending' and t.due_at <= v_now
           order by t.due_at, t.id
           -- A receiver that hangs keeps so many attempts busy and no more.
           limit greatest(0, p_per_app - (select count(*) from auth.webhook_deliveries l
                                           where l.app_id = a.id and l.leased_until > v_now))
             for update skip locked) c
       order by c.due_at, c.id limit p_limit),
    claimed as (
      update auth.webhook_deliveries d
         set attempts = d.attempts + 1, last_attempt_at = v_now,
             due_at = v_now + make_interval(secs => p_lease_secs), leased_until = v_now + make_interval(secs => p_lease_secs)
        from chosen c where d.id = c.id
      returning d.id, d.app_id, d.event_id, d.body, d.attempts)
    select c.id, c.app_id, c.event_id, c.body, c.attempts, case when auth.listens(a) then a.webhook_url end,
           a.sealed_webhook_secret,
           case when a.previous_webhook_secret_until > v_now then a.previous_webhook_secret end
      from claimed c join auth.apps a on a.id = c.app_id
     order by c.id;
end $$;
comment on function auth.claim_webhooks is
  'Leases deliveries that are due to one issuer, so that no transaction is open while they are sent. url is null when the app does not listen any more.';

create function auth.finish_webhook(
  p_id bigint, p_attempt integer, p_outcome text, p_status integer, p_error text, p_retry_secs integer) returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_now constant timestamptz := auth.clock();
  v_app_id text;
  v_gone bigint := 0;
begin
  update auth.webhook_deliveries d
     set state = case p_outcome when 'retry' then 'pending' else p_outcome end,
         ended_at = case when p_outcome <> 'retry' then v_now end,
         due_at = case p_outcome when 'retry' then v_now + make_interval(secs => p_retry_secs) else d.due_at end,
         leased_until = null, last_status = p_status, last_error = p_error
   -- The attempt is the lease: whoever was overtaken changes nothing.
   where d.id = p_id and d.attempts = p_attempt and d.leased_until is not null
  returning d.app_id into v_app_id;
  if found and p_error = 'gone' then
    update auth.webhook_deliveries d set state = 'dead', ended_at = v_now, last_error = 'gone'
     where d.app_id = v_app_id and d.state = 'pending' and d.leased_until is null;
    get diagnostics v_gone = row_count;
  end if;
  return v_gone;
end $$;
comment on function auth.finish_webhook is
  'What became of one attempt: delivered, retry or dead. When the receiver is gone, so is what waits for it; says how many.';

create function auth.webhook_backlog(out n_waiting bigint, out n_dead bigint, out oldest_secs bigint)
  language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  select count(*), (select count(*) from auth.webhook_deliveries g where g.state = 'dead'),
         coalesce(floor(extract(epoch from auth.clock() - min(d.created_at))), 0)::bigint
    from auth.webhook_deliveries d where d.state = 'pending'
$$;
comment on function auth.webhook_backlog is 'Deliveries that wait or were given up, and the age of the oldest that waits.';

create function auth.sweep_webhooks(p_max_waiting integer, out n_overflowed bigint, out n_forgotten bigint)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- One short transaction each time; what is left waits for the next run.
  c_batch constant integer := 10000;
  -- Long enough to look into a delivery that went wrong, and for a replay of what is dead.
  c_keep_delivered constant interval := interval '7 days';
  c_keep_dead constant interval := interval '30 days';
  v_now constant timestamptz := auth.clock();
begin
  update auth.webhook_deliveries d set state = 'dead', ended_at = v_now, last_error = 'overflow'
   where d.id in (select o.id from auth.apps a
                   cross join lateral (
                     select t.id from auth.webhook_deliveries t
                      where t.app_id = a.id and t.state = 'pending'
                      order by t.id desc offset p_max_waiting limit c_batch) o)
     and d.state = 'pending' and d.leased_until is null;
  get diagnostics n_overflowed = row_count;
  delete from auth.webhook_deliveries where id in (
    select d.id from auth.webhook_deliveries d
     where d.ended_at < v_now - c_keep_delivered
       and (d.state = 'delivered' or d.ended_at < v_now - c_keep_dead)
     limit c_batch for update skip locked);
  get diagnostics n_forgotten = row_count;
end $$;
comment on function auth.sweep_webhooks is
  'Gives up the oldest of what waits beyond the limit of an app, and forgets what ended long ago.';

-- Secrets -------------------------------------------------------------------------------

create or replace function auth.save_app(p_act text, p_app_id text, p_fields jsonb, p_sealed_secret bytea) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- Time to give the new secret to every receiver without losing a message.
  c_both_sign constant interval := interval '24 hours';
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
  if p_act = 'rotate_webhook_secret' then
    update auth.apps a
       set previous_webhook_secret = a.sealed_webhook_secret,
           previous_webhook_secret_until = case when a.sealed_webhook_secret is not null then auth.clock() + c_both_sign end,
           sealed_webhook_secret = p_sealed_secret, updated_at = auth.clock()
     where a.id = p_app_id;
    return case when found then 'done' else 'not_found' end;
  end if;
  update auth.apps a
     set name = case p_act when 'update' then p_fields ->> 'name' else a.name end,
         audiences = case p_act when 'update' then v_audiences else a.audiences end,
         return_origins = case p_act when 'update' then v_origins else a.return_origins end,
         spend_limit_day = case p_act when 'update' then (p_fields ->> 'spendLimitDay')::bigint else a.spend_limit_day end,
         spend_limit_month = case p_act when 'update' then (p_fields ->> 'spendLimitMonth')::bigint else a.spend_limit_month end,
         webhook_url = case p_act when 'update' then p_fields ->> 'webhookUrl' else a.webhook_url end,
         disabled_at = case p_act when 'disable' then coalesce(a.disabled_at, auth.clock())
                                  when 'enable' then null else a.disabled_at end,
         updated_at = auth.clock()
   where a.id = p_app_id;
  return case when found then 'done' else 'not_found' end;
end $$;

create function auth.reseal_webhook_secret(p_app_id text, p_old bytea, p_new bytea) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update auth.apps a
     set sealed_webhook_secret = case when a.sealed_webhook_secret = p_old then p_new else a.sealed_webhook_secret end,
         previous_webhook_secret = case when a.previous_webhook_secret = p_old then p_new else a.previous_webhook_secret end
   where a.id = p_app_id and (a.sealed_webhook_secret = p_old or a.previous_webhook_secret = p_old);
  return found;
end $$;
comment on function auth.reseal_webhook_secret is 'The same secret, sealed under another master key.';

-- Looking and replaying -----------------------------------------------------------------

create function auth.find_webhooks(
  p_id bigint, p_app_id text, p_state text, p_type text, p_before bigint, p_limit integer)
  returns setof auth.webhook_deliveries
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query
    select d.* from auth.webhook_deliveries d
     where (p_id is null or d.id = p_id) and (p_app_id is null or d.app_id = p_app_id)
       and (p_state is null or d.state = p_state) and (p_type is null or d.type = p_type)
       and d.id < p_before
     order by d.id desc limit p_limit;
end $$;
comment on function auth.find_webhooks is 'Deliveries that fit, newest first. For tollgate_owner and the function below.';

create function auth.list_webhooks(
  p_admin_id text, p_session_id text, p_id bigint, p_app_id text, p_state text, p_type text, p_before bigint, p_limit integer)
  returns table (standing text, id bigint, app_id text, event_id text, type text, body text, state text, attempts integer,
                 created_at timestamptz, due_at timestamptz, leased_until timestamptz, last_attempt_at timestamptz,
                 last_status integer, last_error text, ended_at timestamptz)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_admin_id, true);
  standing := auth.admin_standing(p_admin_id, p_session_id);
  return next; -- the first row says only whether the rest may be seen
  if standing not in ('fresh', 'stale') then
    return;
  end if;
  return query
    select null::text, d.* from auth.find_webhooks(p_id, p_app_id, p_state, p_type, p_before, p_limit) d;
end $$;
comment on function auth.list_webhooks is
  'Deliveries that fit, newest first, for an admin. The first row holds only the standing of who asks.';

create function auth.replay_webhook(p_id bigint) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  d auth.webhook_deliveries;
begin
  select t.* into d from auth.webhook_deliveries t where t.id = p_id for no key update;
  if not found then
    return 'not_found';
  end if;
  if d.leased_until > auth.clock() or not exists (select from auth.apps a where a.id = d.app_id and auth.listens(a)) then
    return 'conflict';
  end if;
  update auth.webhook_deliveries t
     set state = 'pending', attempts = 0, due_at = auth.clock(), leased_until = null, ended_at = null
   where t.id = p_id;
  return 'done';
end $$;

create function auth.apply_to_webhooks(
  p_act text, p_app_id text, p_id bigint, p_max_waiting integer, p_user_id text, p_request jsonb,
  out outcome text, out n_replayed bigint, out delivery_id bigint)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  if p_act = 'replay' then
    outcome := auth.replay_webhook(p_id);
    n_replayed := case outcome when 'done' then 1 else 0 end;
    delivery_id := p_id;
  else
    outcome := coalesce((select case when auth.listens(a) then 'done' else 'conflict' end
                           from auth.apps a where a.id = p_app_id), 'not_found');
  end if;
  if outcome = 'done' and p_act = 'replay_dead' then
    update auth.webhook_deliveries d
       set state = 'pending', attempts = 0, due_at = auth.clock(), ended_at = null
     where d.id in (select t.id from auth.webhook_deliveries t
                     where t.app_id = p_app_id and t.state = 'dead'
                     -- As many as may wait: more would be given up again at once.
                     order by t.id desc
                     limit greatest(0, p_max_waiting - (select count(*) from auth.webhook_deliveries w
                                                         where w.app_id = p_app_id and w.state = 'pending')));
    get diagnostics n_replayed = row_count;
  elsif outcome = 'done' and p_act = 'ping' then
    delivery_id := auth.enqueue_webhook('ping', jsonb_build_object('appId', p_app_id), p_app_id);
  end if;
  if outcome = 'done' then
    perform auth.record_event(case p_act when 'ping' then 'webhook_pinged' else 'webhook_replayed' end, 'success',
      p_user_id, null,
      jsonb_strip_nulls(jsonb_build_object('appId', p_app_id, 'deliveryId', delivery_id, 'replayed', n_replayed)), p_request);
  end if;
end $$;

create function auth.act_on_webhooks(
  p_admin_id text, p_session_id text, p_act text, p_app_id text, p_id bigint, p_max_waiting integer, p_request jsonb,
  out outcome text, out n_replayed bigint, out delivery_id bigint)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_admin_id, true);
  outcome := auth.admin_standing(p_admin_id, p_session_id);
  if outcome = 'fresh' then
    select t.outcome, t.n_replayed, t.delivery_id into outcome, n_replayed, delivery_id
      from auth.apply_to_webhooks(p_act, p_app_id, p_id, p_max_waiting, p_admin_id,
        p_request || jsonb_build_object('actorKind', 'admin', 'actorId', p_admin_id)) t;
  end if;
end $$;
comment on function auth.act_on_webhooks is
  'replay (one), replay_dead (all of an app) or ping, by an admin. outcome: done, not_found, conflict (nobody listens, or it is being sent), or why not: stale, ended, forbidden.';

create function auth.operate_on_webhooks(
  p_act text, p_app_id text, p_id bigint, p_max_waiting integer,
  out outcome text, out n_replayed bigint, out delivery_id bigint)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', '', true);
  select t.outcome, t.n_replayed, t.delivery_id into outcome, n_replayed, delivery_id
    from auth.apply_to_webhooks(p_act, p_app_id, p_id, p_max_waiting, null,
      '{"actorKind": "system", "actorId": "operator"}') t;
end $$;
comment on function auth.operate_on_webhooks is 'The same acts from the command line. For tollgate_owner only.';

-- Ownership and rights ------------------------------------------------------------------

do $$
declare
  f regprocedure;
begin
  for f in
    select p.oid::regprocedure from pg_proc p
     where (p.pronamespace = 'auth'::regnamespace and p.proname in (
       'utc_text', 'listens', 'enqueue_webhook', 'announce_user', 'claim_webhooks', 'finish_webhook', 'webhook_backlog',
       'sweep_webhooks', 'reseal_webhook_secret', 'find_webhooks', 'list_webhooks', 'replay_webhook', 'apply_to_webhooks',
       'act_on_webhooks', 'operate_on_webhooks'))
        or (p.pronamespace = 'credits'::regnamespace and p.proname in ('account_owner', 'announce_purchase', 'announce_freeze'))
  loop
    execute format('revoke execute on function %s from public', f);
    execute format('alter function %s owner to tollgate_definer', f);
  end loop;
end $$;
grant execute on function
  auth.claim_webhooks(integer, integer, integer, integer),
  auth.finish_webhook(bigint, integer, text, integer, text, integer),
  auth.webhook_backlog(),
  auth.sweep_webhooks(integer),
  auth.reseal_webhook_secret(text, bytea, bytea),
  auth.list_webhooks(text, text, bigint, text, text, text, bigint, integer),
  auth.act_on_webhooks(text, text, text, text, bigint, integer, jsonb)
  to tollgate_app;
grant execute on function
  auth.find_webhooks(bigint, text, text, text, bigint, integer),
  auth.operate_on_webhooks(text, text, bigint, integer)
  to tollgate_owner;
revoke create on schema credits from tollgate_definer;
revoke create on schema auth from tollgate_definer;

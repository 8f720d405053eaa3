-- The chain over the audit trail, its checkpoints, and reading one's own events.

grant create on schema auth to tollgate_definer; -- taken back at the end of this file

-- Tables ------------------------------------------------------------------------------

alter table auth.security_event_seals
  add column master_key_version integer not null,
  add constraint security_event_seals_master_key_fkey
    foreign key (master_key_version) references auth.master_key_checks (version);
comment on column auth.security_event_seals.master_key_version is 'The MASTER_KEY that the mac was made with.';
create trigger security_event_seals_no_truncate before truncate on auth.security_event_seals
  execute function auth.refuse_change();

create table auth.audit_progress (
  singleton bigint      not null default 1,
  low_id    bigint      not null default 0,
  mark_id   bigint      not null default 0,
  marked_at timestamptz not null default '-infinity',
  mark_xid  xid8,
  constraint audit_progress_pkey primary key (singleton),
  constraint audit_progress_single check (singleton = 1)
);
insert into auth.audit_progress default values;
comment on table auth.audit_progress is
  'Where the sealer begins to look. Only saves work: what is below low_id and not sealed is still found by verification.';
comment on column auth.audit_progress.low_id is
  'Every event up to this id has been sealed, or will never be: its transaction has ended without it.';

create table auth.audit_checkpoints (
  seq                bigint      not null,
  mac                bytea       not null,
  master_key_version integer     not null,
  signed_at          timestamptz not null,
  signature          bytea       not null,
  constraint audit_checkpoints_pkey primary key (seq),
  constraint audit_checkpoints_mac_length check (octet_length(mac) = 32),
  constraint audit_checkpoints_signature_length check (octet_length(signature) = 32),
  constraint audit_checkpoints_master_key_fkey
    foreign key (master_key_version) references auth.master_key_checks (version)
);
comment on table auth.audit_checkpoints is
  'How far the chain had come, signed: whoever keeps a copy elsewhere finds out when the end of the chain was cut off.';
create trigger audit_checkpoints_append_only before update or delete on auth.audit_checkpoints
  for each row execute function auth.refuse_change();
create trigger audit_checkpoints_no_truncate before truncate on auth.audit_checkpoints
  execute function auth.refuse_change();

-- Ranges of time are narrowed by it; it costs an event next to nothing.
create index security_events_time on auth.security_events using brin (occurred_at);

alter table auth.security_event_seals enable row level security;
alter table auth.security_event_seals force row level security;
alter table auth.audit_checkpoints enable row level security;
alter table auth.audit_checkpoints force row level security;
create policy security_event_seals_definer on auth.security_event_seals to tollgate_definer using (true) with check (true);
create policy audit_checkpoints_definer on auth.audit_checkpoints to tollgate_definer using (true) with check (true);
grant select, insert on auth.security_event_seals, auth.audit_checkpoints to tollgate_definer;
grant select, update on auth.audit_progress to tollgate_definer;

-- Sealing -----------------------------------------------------------------------------

create function auth.audit_head(out seq bigint, out mac bytea, out checkpoint_seq bigint, out checkpoint_at timestamptz)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  select s.seq, s.mac into seq, mac from auth.security_event_seals s order by s.seq desc limit 1;
  select c.seq, c.signed_at into checkpoint_seq, checkpoint_at from auth.audit_checkpoints c order by c.seq desc limit 1;
end $$;
comment on function auth.audit_head is 'The end of the chain and the last checkpoint; nulls before the first.';

create function auth.list_unsealed_events(p_limit integer)
  returns table (id bigint, occurred_at timestamptz, kind text, outcome text, actor_kind text, actor_id text,
                 target_kind text, target_id text, user_id text, session_id text, request_id text, details_digest bytea)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query
    select e.id, e.occurred_at, e.kind, e.outcome, e.actor_kind, e.actor_id,
           e.target_kind, e.target_id, e.user_id, e.session_id, e.request_id, e.details_digest
      from auth.security_events e
     where e.id > (select p.low_id from auth.audit_progress p)
       and not exists (select from auth.security_event_seals s where s.event_id = e.id)
     order by e.id
     limit p_limit;
end $$;
comment on function auth.list_unsealed_events is
  'Committed events that are not in the chain yet. Ids are drawn before commit, so a smaller one may appear later.';

create function auth.append_seals(p_after_seq bigint, p_event_ids bigint[], p_macs bytea[], p_master_key_version integer)
  returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into auth.security_event_seals (seq, event_id, mac, sealed_at, master_key_version)
  select p_after_seq + t.n, t.event_id, t.mac, auth.clock(), p_master_key_version
    from unnest(p_event_ids, p_macs) with ordinality t (event_id, mac, n);
end $$;
comment on function auth.append_seals is 'Continues the chain. The macs are made outside: the database does not know the key.';

create function auth.advance_audit_progress() returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- A transaction draws its event's id an instant before it gets its own number.
  c_pause constant interval := interval '10 seconds';
  p auth.audit_progress;
begin
  select t.* into p from auth.audit_progress t for update;
  if p.mark_id <= p.low_id then
    update auth.audit_progress t
       set mark_id = newest.id, marked_at = auth.clock(), mark_xid = null
      from (select max(e.id) as id from auth.security_events e) newest
     where newest.id > t.low_id;
  elsif p.mark_xid is null then
    if p.marked_at <= auth.clock() - c_pause then
      update auth.audit_progress set mark_xid = pg_snapshot_xmax(pg_current_snapshot());
    end if;
  elsif pg_snapshot_xmin(pg_current_snapshot()) >= p.mark_xid then
    -- Everyone who could still add an event up to the mark has ended; what they left is sealed first.
    if not exists (
      select from auth.security_events e
       where e.id > p.low_id and e.id <= p.mark_id
         and not exists (select from auth.security_event_seals s where s.event_id = e.id)) then
      update auth.audit_progress set low_id = p.mark_id, mark_xid = null;
    end if;
  end if;
end $$;
comment on function auth.advance_audit_progress is
  'Raises low_id in three steps: mark the highest id, note the transactions that run some time later, wait until they have ended.';

create function auth.save_audit_checkpoint(
  p_seq bigint, p_mac bytea, p_master_key_version integer, p_signed_at timestamptz, p_signature bytea) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into auth.audit_checkpoints (seq, mac, master_key_version, signed_at, signature)
  values (p_seq, p_mac, p_master_key_version, p_signed_at, p_signature);
end $$;

-- Verifying ---------------------------------------------------------------------------

create function auth.list_seals(p_after_seq bigint, p_limit integer)
  returns table (seq bigint, event_id bigint, mac bytea, master_key_version integer, found_event boolean,
                 occurred_at timestamptz, kind text, outcome text, actor_kind text, actor_id text,
                 target_kind text, target_id text, user_id text, session_id text, request_id text,
                 details_digest bytea, details_intact boolean)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query
    select s.seq, s.event_id, s.mac, s.master_key_version, e.id is not null,
           e.occurred_at, e.kind, e.outcome, e.actor_kind, e.actor_id,
           e.target_kind, e.target_id, e.user_id, e.session_id, e.request_id, e.details_digest,
           case when d.event_id is null then null
                else e.details_digest = auth.event_details_digest(d.salt, d.ip_address, d.user_agent, d.data) end
      from auth.security_event_seals s
      left join auth.security_events e on e.id = s.event_id
      left join auth.security_event_details d on d.event_id = s.event_id
     where s.seq > p_after_seq
     order by s.seq
     limit p_limit;
end $$;
comment on function auth.list_seals is
  'The chain with what it covers. details_intact is null when the details have been erased; they themselves stay here.';

create function auth.list_audit_checkpoints(p_after_seq bigint, p_limit integer)
  returns table (seq bigint, mac bytea, master_key_version integer, signed_at timestamptz, signature bytea)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query
    select c.seq, c.mac, c.master_key_version, c.signed_at, c.signature
      from auth.audit_checkpoints c where c.seq > p_after_seq order by c.seq limit p_limit;
end $$;

create function auth.count_unsealed_events(out unsealed bigint, out overlooked bigint)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  select count(*), count(*) filter (where e.id <= p.low_id) into unsealed, overlooked
    from auth.security_events e, auth.audit_progress p
   where not exists (select from auth.security_event_seals s where s.event_id = e.id);
end $$;
comment on function auth.count_unsealed_events is
  'Events outside the chain: those of the last second, and those that the sealer will never look at, which somebody put there.';

-- Reading -----------------------------------------------------------------------------

create function auth.list_events(p_user_id text, p_session_id text, p_before_id bigint, p_limit integer)
  returns table (id bigint, kind text, outcome text, occurred_at timestamptz, ip_address text, user_agent text,
                 session_id text, request_id text, details jsonb)
  language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('tollgate.user_id', p_user_id, true);
  perform from auth.sessions own
    where own.id = p_session_id and own.revoked_at is null and own.expires_at > auth.clock();
  if not found then
    return query select null::bigint, null, null, null::timestamptz, null, null, null, null, null::jsonb;
    return;
  end if;
  return query
    select e.id, e.kind, e.outcome, e.occurred_at,
           case when e.actor_kind in ('user', 'anonymous') then host(d.ip_address) end,
           case when e.actor_kind in ('user', 'anonymous') then d.user_agent end,
           e.session_id, e.request_id, coalesce(d.data, '{}')
      from auth.security_events e
      left join auth.security_event_details d on d.event_id = e.id
     where e.user_id = p_user_id and e.id < p_before_id
     order by e.id desc
     limit p_limit;
end $$;
comment on function auth.list_events is
  'The user''s own events, newest first, read under row-level security; a single row of nulls once the asking session has ended. Where an admin called from stays with the admins.';

-- Ownership and rights ----------------------------------------------------------------

alter function auth.audit_head() owner to tollgate_definer;
alter function auth.list_unsealed_events(integer) owner to tollgate_definer;
alter function auth.append_seals(bigint, bigint[], bytea[], integer) owner to tollgate_definer;
alter function auth.advance_audit_progress() owner to tollgate_definer;
alter function auth.save_audit_checkpoint(bigint, bytea, integer, timestamptz, bytea) owner to tollgate_definer;
alter function auth.list_seals(bigint, integer) owner to tollgate_definer;
alter function auth.list_audit_checkpoints(bigint, integer) owner to tollgate_definer;
alter function auth.count_unsealed_events() owner to tollgate_definer;

revoke execute on function
  auth.audit_head(), auth.list_unsealed_events(integer),
  auth.append_seals(bigint, bigint[], bytea[], integer), auth.advance_audit_progress(),
  auth.save_audit_checkpoint(bigint, bytea, integer, timestamptz, bytea),
  auth.list_seals(bigint, integer), auth.list_audit_checkpoints(bigint, integer), auth.count_unsealed_events(),
  auth.list_events(text, text, bigint, integer)
  from public;
grant execute on function
  auth.audit_head(), auth.list_unsealed_events(integer),
  auth.append_seals(bigint, bigint[], bytea[], integer), auth.advance_audit_progress(),
  auth.save_audit_checkpoint(bigint, bytea, integer, timestamptz, bytea),
  auth.list_seals(bigint, integer), auth.list_audit_checkpoints(bigint, integer), auth.count_unsealed_events(),
  auth.list_events(text, text, bigint, integer)
  to tollgate_app;
revoke create on schema auth from tollgate_definer;

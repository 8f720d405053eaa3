-- What one's own data had left out: lots, holds, spend limits, and what was paid and refunded of a
-- purchase. Lists come in one order, so that two exports can be compared.

create or replace function auth.export_own_data(p_user_id text, p_session_id text) returns jsonb
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
        'revokedAt', s.revoked_at, 'revokedReason', s.revoked_reason) order by s.created_at desc, s.id), '[]')
      from (select * from auth.sessions order by created_at desc, id limit c_rows) s),
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
        'credits', p.credits, 'priceCents', p.price_cents, 'currency', p.currency, 'status', p.status,
        'refundedCents', p.refunded_cents, 'createdAt', p.created_at, 'paidAt', p.paid_at)
        order by p.created_at desc, p.id), '[]')
      from (select * from credits.purchases order by created_at desc, id limit c_rows) p),
    'creditGrants', (select coalesce(jsonb_agg(jsonb_build_object('id', g.id, 'kind', g.kind, 'remaining', g.remaining,
        'held', g.held, 'expiresAt', g.expires_at, 'createdAt', g.created_at) order by g.id desc), '[]')
      from (select * from credits.credit_grants order by id desc limit c_rows) g),
    'holds', (select coalesce(jsonb_agg(jsonb_build_object('id', h.id, 'status', h.status, 'amount', h.amount,
        'captured', h.captured, 'appId', h.app_id, 'description', h.description, 'createdAt', h.created_at,
        'expiresAt', h.expires_at, 'endedAt', h.ended_at) order by h.created_at desc, h.id), '[]')
      from (select * from credits.holds order by created_at desc, id limit c_rows) h),
    'spendLimits', (select coalesce(jsonb_agg(jsonb_build_object('appId', l.app_id, 'period', l.period, 'cap', l.cap,
        'setBy', l.set_by, 'updatedAt', l.updated_at) order by l.app_id, l.period, l.set_by), '[]')
      from credits.spend_limits l));
end $$;

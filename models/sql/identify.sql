-- Who presented a secret, and which policies apply? One round trip, planned once per connection.
--
-- by     'prefix': the keys whose index is `wanted`, live ones and tombstones
--        'credential': the live key with this companion; 'user': this user, without a key
-- Returns at least one row; every row carries the settings. A tombstone has a credential and no key,
-- and is only looked for where no key lives.
--
-- copied: the key was made in another database than this one, or this one bears another name than the one that
-- an administrator has confirmed. predecessor_id: the key that this one replaces, until it has done so.
--
-- A function rather than a query: planning the same joins costs five times as much as running them.
CREATE FUNCTION api_guard_identify(by text, wanted text) RETURNS TABLE (
    settings jsonb,
    known jsonb,
    uid integer,
    active boolean,
    login varchar,
    user_policy_id integer,
    key_id integer,
    name varchar,
    hash varchar,
    scope varchar,
    create_date timestamp,
    expiration_date timestamp,
    credential_id integer,
    state varchar,
    last_used_at timestamp,
    retires_at timestamp,
    rotate_by timestamp,
    lineage_id integer,
    predecessor_id integer,
    copied boolean,
    secret_check varchar,
    policy_ids integer[],
    inactive_ancestor boolean,
    expired boolean
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    only_key integer;
    found_key record;
    ancestor record;
    parent integer;
    depth integer;
    is_live boolean := FALSE;
BEGIN
    settings := COALESCE((
        SELECT jsonb_object_agg(p.key, p.value)
          FROM ir_config_parameter p
         WHERE p.key IN ('api_guard.baseline_policy_id', 'api_guard.trusted_proxies',
                         'api_guard.refuse_rpc_passwords', 'api_guard.debug_errors',
                         'api_guard.lockout_failures', 'api_guard.lockout_network_failures',
                         'api_guard.lockout_minutes', 'api_guard.lockout_hours', 'api_guard.lockout_trusted',
                         'api_guard.store_url', 'api_guard.x_ratelimit', 'api_guard.durability',
                         'api_guard.database_name', 'database.uuid')
    ), '{}');

    IF by = 'user' THEN
        SELECT u.id, u.active, u.login, u.api_policy_id
          INTO uid, active, login, user_policy_id
          FROM res_users u WHERE u.id = wanted::integer;
        known := api_guard_fingerprints(settings, user_policy_id, ARRAY[]::integer[]);
        RETURN NEXT;
        RETURN;
    END IF;

    IF by = 'credential' THEN
        SELECT c.apikey_id, k.index INTO only_key, wanted
          FROM api_credential c JOIN res_users_apikeys k ON k.id = c.apikey_id
         WHERE c.id = wanted::integer;
    END IF;

    FOR found_key IN
        SELECT k.id, k.name, k.key, k.scope, k.create_date, k.expiration_date,
               u.id AS uid, u.active, u.login, u.api_policy_id,
               c.id AS credential_id, c.state, c.last_used_at, c.secret_check, c.policy_id, c.parent_id,
               c.bound_policy_id, c.resumed_at, c.retires_at, c.rotate_by, c.database_uuid, c.lineage_id,
               (SELECT p.id FROM api_credential p WHERE p.id = c.predecessor_id AND p.succeeded_at IS NULL)
               AS predecessor_id
          FROM res_users_apikeys k
          JOIN res_users u ON u.id = k.user_id
          LEFT JOIN api_credential c ON c.apikey_id = k.id
         WHERE k.index = wanted
    LOOP
        CONTINUE WHEN only_key IS NOT NULL AND found_key.id != only_key;
        is_live := TRUE;
        uid := found_key.uid;
        active := found_key.active;
        login := found_key.login;
        user_policy_id := found_key.api_policy_id;
        key_id := found_key.id;
        name := found_key.name;
        hash := found_key.key;
        scope := found_key.scope;
        create_date := found_key.create_date;
        expiration_date := found_key.expiration_date;
        credential_id := found_key.credential_id;
        state := found_key.state;
        last_used_at := GREATEST(found_key.last_used_at, found_key.resumed_at);
        retires_at := found_key.retires_at;
        rotate_by := found_key.rotate_by;
        lineage_id := COALESCE(found_key.lineage_id, found_key.credential_id);
        predecessor_id := found_key.predecessor_id;
        copied := found_key.database_uuid IS DISTINCT FROM settings->>'database.uuid'
                  OR settings->>'api_guard.database_name' IS DISTINCT FROM current_database()::text;
        secret_check := found_key.secret_check;
        policy_ids := array_remove(ARRAY[found_key.policy_id, found_key.bound_policy_id], NULL);
        inactive_ancestor := FALSE;
        parent := found_key.parent_id;
        depth := 0;
        WHILE parent IS NOT NULL LOOP
            SELECT a.parent_id, a.policy_id, a.bound_policy_id,
                   a.state != 'active' OR k.id IS NULL
                   OR COALESCE(a.retires_at < now() AT TIME ZONE 'utc', FALSE)
                   OR COALESCE(k.expiration_date < now() AT TIME ZONE 'utc', FALSE) AS inactive
              INTO ancestor
              FROM api_credential a LEFT JOIN res_users_apikeys k ON k.id = a.apikey_id
             WHERE a.id = parent;
            depth := depth + 1;
            inactive_ancestor := inactive_ancestor OR COALESCE(ancestor.inactive, TRUE) OR depth > 32;
            EXIT WHEN inactive_ancestor;
            policy_ids := array_remove(policy_ids || ancestor.policy_id || ancestor.bound_policy_id, NULL);
            parent := ancestor.parent_id;
        END LOOP;
        known := api_guard_fingerprints(settings, user_policy_id, policy_ids);
        RETURN NEXT;
    END LOOP;
    IF is_live THEN
        RETURN;
    END IF;

    IF by = 'prefix' THEN
        FOR credential_id, name, uid, login, hash, secret_check, expired IN
            SELECT c.id, c.name, c.user_id, c.login, c.secret_hash, c.secret_check, COALESCE(c.expired, FALSE)
              FROM api_credential c
             WHERE c.key_index = wanted AND c.apikey_id IS NULL
             ORDER BY c.id DESC LIMIT 3
        LOOP
            RETURN NEXT;
        END LOOP;
    END IF;

    -- nobody's: the settings all the same
    credential_id := NULL;
    uid := NULL;
    hash := NULL;
    RETURN NEXT;
END $$;

CREATE FUNCTION api_guard_fingerprints(settings jsonb, user_policy_id integer, policy_ids integer[])
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT jsonb_object_agg(p.id, jsonb_build_array(p.fingerprint, p.name))
          FROM api_policy p
         WHERE p.id = ANY(policy_ids || user_policy_id
               || CASE WHEN settings->>'api_guard.baseline_policy_id' ~ '^[0-9]{1,9}$'
                       THEN (settings->>'api_guard.baseline_policy_id')::integer END)
    );
END $$;

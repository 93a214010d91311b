-- The audit log's partitions: by class of outcome (what retention tells apart), then by time. Idempotent.
--
-- A partition of its own for each class and month (or day), so that what has to go goes by a DROP.
-- Each class has one for the rest: an entry whose partition is missing is never lost.

-- Does a legal hold keep an entry of this time, key and user?
CREATE OR REPLACE FUNCTION api_guard_is_held(occurred_at timestamp, credential_id integer, user_id integer)
RETURNS boolean LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_variable
BEGIN
    RETURN EXISTS (
        SELECT FROM api_audit_hold h
         WHERE h.released_at IS NULL
           AND (h.credential_id IS NULL OR h.credential_id = api_guard_is_held.credential_id)
           AND (COALESCE(h.user_number, 0) = 0 OR h.user_number = api_guard_is_held.user_id)
           AND (h.starts IS NULL OR h.starts <= api_guard_is_held.occurred_at)
           AND (h.ends IS NULL OR api_guard_is_held.occurred_at < h.ends));
END $$;

-- An entry goes only by a row of api_audit_drop of the same transaction that names it, past its time, and not held.
CREATE OR REPLACE FUNCTION api_guard_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND TG_LEVEL = 'ROW' AND TG_TABLE_NAME LIKE 'api\_audit\_entry%'
       AND current_setting('api_guard.drop', true) <> '' THEN
        IF EXISTS (
            SELECT FROM api_audit_drop d JOIN api_audit_retention r ON r.kind = d.kind
             WHERE d.id = current_setting('api_guard.drop')::integer AND d.xid = pg_current_xact_id()
               AND d.kind = OLD.kind AND OLD.id BETWEEN d.first_id AND d.last_id
               AND r.days > 0 AND OLD.occurred_at < now() AT TIME ZONE 'utc' - r.days * interval '1 day'
        ) AND NOT api_guard_is_held(OLD.occurred_at, OLD.credential_id, OLD.user_id) THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'The API audit log is append-only: % is refused.', TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;

-- Rows are guarded by the trigger of the partitioned table, which PostgreSQL copies; TRUNCATE is not.
CREATE OR REPLACE FUNCTION api_guard_seal_off(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('DROP TRIGGER IF EXISTS api_guard_append_only_truncate ON %I', name);
    EXECUTE format('CREATE TRIGGER api_guard_append_only_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT'
                   ' EXECUTE FUNCTION api_guard_append_only()', name);
    EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER api_guard_append_only_truncate', name);
    EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER api_guard_append_only', name);
END $$;

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger
                   WHERE tgrelid = 'api_audit_entry'::regclass AND tgname = 'api_guard_append_only') THEN
        CREATE TRIGGER api_guard_append_only BEFORE UPDATE OR DELETE ON api_audit_entry
            FOR EACH ROW EXECUTE FUNCTION api_guard_append_only();
        PERFORM api_guard_seal_off('api_audit_entry');
    END IF;
END $$;

CREATE OR REPLACE FUNCTION api_guard_add_kind(kind text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    parent text := 'api_audit_entry_' || kind;
BEGIN
    IF to_regclass(parent) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE %I PARTITION OF api_audit_entry FOR VALUES IN (%L) PARTITION BY RANGE (occurred_at)',
                   parent, kind);
    EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', parent || '_rest', parent);
    PERFORM api_guard_seal_off(parent);
    PERFORM api_guard_seal_off(parent || '_rest');
END $$;

-- Month or day, as the retention of `kind` says.
CREATE OR REPLACE FUNCTION api_guard_length(kind text) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN COALESCE((SELECT r.period FROM api_audit_retention r WHERE r.kind = api_guard_length.kind), 'month');
END $$;

-- The bounds and the name of the partition of `kind` for `moment`. Where the length was changed, what is left
-- between its neighbours. Null bounds: there is one.
CREATE OR REPLACE FUNCTION api_guard_place_partition(
    kind text, moment timestamp, OUT starts timestamp, OUT ends timestamp, OUT table_name text
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    length text := api_guard_length(kind);
    first timestamp := date_trunc(length, moment);
    last timestamp := first + ('1 ' || length)::interval;
BEGIN
    IF EXISTS (SELECT FROM api_audit_partition p
               WHERE p.kind = api_guard_place_partition.kind AND p.starts <= moment AND moment < p.ends) THEN
        RETURN;
    END IF;
    SELECT greatest(first, max(p.ends)) INTO starts FROM api_audit_partition p
    WHERE p.kind = api_guard_place_partition.kind AND p.ends <= moment;
    SELECT least(last, min(p.starts)) INTO ends FROM api_audit_partition p
    WHERE p.kind = api_guard_place_partition.kind AND p.starts > moment;
    -- a day has its day in its name, and so has what begins or ends within a month
    table_name := 'api_audit_entry_' || kind || to_char(starts, CASE
        WHEN length = 'month' AND starts = first AND ends = last THEN '"_"YYYY"_"MM' ELSE '"_"YYYY"_"MM"_"DD' END);
END $$;

-- The partition of `kind` in which `moment` falls is made if there is none. True: it was made. Made beside and
-- attached, for which no writer waits; CREATE … PARTITION OF would lock them out. Without a lock in time it raises,
-- and the entry goes to the rest. What lies in the rest is moved by `api.audit.partition`: to attach beside it means
-- to read it all, under a lock.
CREATE OR REPLACE FUNCTION api_guard_add_partition(kind text, moment timestamp) RETURNS boolean
LANGUAGE plpgsql SET lock_timeout = '30ms' AS $$
DECLARE
    parent text := 'api_audit_entry_' || kind;
    place record;
    is_empty boolean;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('api_audit_partition'), hashtext(parent));
    place := api_guard_place_partition(kind, moment);
    IF place.starts IS NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('SELECT NOT EXISTS (SELECT FROM %I)', parent || '_rest') INTO is_empty;
    IF NOT is_empty THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', place.table_name, parent);
    PERFORM api_guard_attach_partition(kind, place.starts, place.ends, place.table_name);
    RETURN true;
END $$;

CREATE OR REPLACE FUNCTION api_guard_attach_partition(kind text, starts timestamp, ends timestamp, name text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                   'api_audit_entry_' || kind, name, starts, ends);
    PERFORM api_guard_seal_off(name);
    INSERT INTO api_audit_partition (kind, starts, ends, table_name) VALUES (kind, starts, ends, name);
END $$;

-- The audit log's partitions: by class of outcome (what retention tells apart), then by time. Idempotent.
--
-- A partition of its own for each class and month (or day), so that what has to go goes by a DROP.
-- Each class has one for the rest: an entry whose partition is missing is never lost.

CREATE OR REPLACE FUNCTION api_guard_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
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

-- The partition of `kind` in which `moment` falls is made if there is none; `length`: month or day.
-- True: it was made. Made beside and attached, for which no writer waits; CREATE … PARTITION OF would lock them
-- out. Without a lock in time it raises, and the entry goes to the rest.
CREATE OR REPLACE FUNCTION api_guard_add_partition(kind text, moment timestamp, length text) RETURNS boolean
LANGUAGE plpgsql SET lock_timeout = '100ms' AS $$
DECLARE
    parent text := 'api_audit_entry_' || kind;
    first timestamp := date_trunc(length, moment);
    last timestamp := first + ('1 ' || length)::interval;
    name text := parent || to_char(first, CASE length WHEN 'day' THEN '"_"YYYY"_"MM"_"DD' ELSE '"_"YYYY"_"MM' END);
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('api_audit_partition'), hashtext(parent));
    IF EXISTS (SELECT FROM api_audit_partition p
               WHERE p.kind = api_guard_add_partition.kind AND p.starts <= moment AND moment < p.ends) THEN
        RETURN false;
    END IF;
    -- the length was changed: what is left between its neighbours
    SELECT greatest(first, max(p.ends)) INTO first FROM api_audit_partition p
    WHERE p.kind = api_guard_add_partition.kind AND p.ends <= moment;
    SELECT least(last, min(p.starts)) INTO last FROM api_audit_partition p
    WHERE p.kind = api_guard_add_partition.kind AND p.starts > moment;
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', name, parent);
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, name, first, last);
    PERFORM api_guard_seal_off(name);
    INSERT INTO api_audit_partition (kind, starts, ends, table_name) VALUES (kind, first, last, name);
    RETURN true;
END $$;

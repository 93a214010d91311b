-- What retention took, one row for each partition or batch, written in the transaction that takes it. Idempotent.

CREATE TABLE IF NOT EXISTS api_audit_drop (
    id serial PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    dropped_at timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'utc'),
    kind varchar NOT NULL,
    way varchar NOT NULL,
    rule varchar NOT NULL,
    table_name varchar NOT NULL,
    starts timestamp NOT NULL,
    ends timestamp NOT NULL,
    entry_count bigint NOT NULL,
    first_id bigint NOT NULL,
    last_id bigint NOT NULL,
    first_leaf bigint,
    last_leaf bigint,
    leaf_map bytea,
    leaves_hash varchar,
    checkpoint integer,
    size bigint,
    root varchar,
    archive varchar,
    archive_hash varchar
);
CREATE INDEX IF NOT EXISTS api_audit_drop_leaf_idx ON api_audit_drop (first_leaf, last_leaf);

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'api_audit_drop'::regclass
                   AND tgname = 'api_guard_append_only') THEN
        CREATE TRIGGER api_guard_append_only BEFORE UPDATE OR DELETE ON api_audit_drop
            FOR EACH ROW EXECUTE FUNCTION api_guard_append_only();
        CREATE TRIGGER api_guard_append_only_truncate BEFORE TRUNCATE ON api_audit_drop
            FOR EACH STATEMENT EXECUTE FUNCTION api_guard_append_only();
        ALTER TABLE api_audit_drop ENABLE ALWAYS TRIGGER api_guard_append_only;
        ALTER TABLE api_audit_drop ENABLE ALWAYS TRIGGER api_guard_append_only_truncate;
    END IF;
END $$;

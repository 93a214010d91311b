-- What seals the audit log: a tree of hashes in tiles, whose leaves are which entries, and checkpoints. Idempotent.

-- How far the log is sealed. Everything up to (xid, entry_id) is; of what lies between that and
-- (reached_xid, reached_id), some. After a move to another cluster (models/api_audit_seal.py)
-- resume_xid is set until the log was gone through once, and restored_id is the last entry that came along.
CREATE TABLE IF NOT EXISTS api_audit_seal (
    id integer PRIMARY KEY CHECK (id = 1),
    origin uuid NOT NULL DEFAULT gen_random_uuid(),
    size bigint NOT NULL DEFAULT 0,
    xid xid8 NOT NULL DEFAULT '0',
    entry_id bigint NOT NULL DEFAULT 0,
    reached_xid xid8 NOT NULL DEFAULT '0',
    reached_id bigint NOT NULL DEFAULT 0,
    system_identifier bigint,
    resume_xid xid8,
    restored_id bigint NOT NULL DEFAULT 0,
    note varchar,
    sealed_at timestamp
);
INSERT INTO api_audit_seal (id) VALUES (1) ON CONFLICT DO NOTHING;

-- 256 hashes of 32 bytes; level 0: of leaves, above: of the full tiles below. The last of a level may be partial.
CREATE TABLE IF NOT EXISTS api_audit_tile (
    level smallint, number bigint, hashes bytea NOT NULL, PRIMARY KEY (level, number)
);
ALTER TABLE api_audit_tile ALTER hashes SET STORAGE EXTERNAL; -- hashes do not compress

-- Whose hashes those of the tile (0, number) are. `span` holds all of entry_ids.
CREATE TABLE IF NOT EXISTS api_audit_leaf_block (
    number bigint PRIMARY KEY, entry_ids bigint[] NOT NULL, span int8range NOT NULL
);
CREATE INDEX IF NOT EXISTS api_audit_leaf_block_span_idx ON api_audit_leaf_block USING gist (span);

CREATE TABLE IF NOT EXISTS api_audit_checkpoint (
    id bigint PRIMARY KEY CHECK (id = number),
    number bigint NOT NULL,
    size bigint NOT NULL,
    root varchar NOT NULL,
    made_at timestamp NOT NULL,
    previous varchar,
    key_id varchar NOT NULL,
    next_key varchar,
    note varchar,
    body text NOT NULL,
    signature varchar NOT NULL
);
CREATE INDEX IF NOT EXISTS api_audit_checkpoint_size_idx ON api_audit_checkpoint (size);

-- What grows and never shrinks or changes.
CREATE OR REPLACE FUNCTION api_guard_grows_only() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    grows boolean;
BEGIN
    IF TG_TABLE_NAME = 'api_audit_tile' THEN
        grows := (NEW.level, NEW.number) = (OLD.level, OLD.number)
             AND substr(NEW.hashes, 1, length(OLD.hashes)) = OLD.hashes;
    ELSIF TG_TABLE_NAME = 'api_audit_leaf_block' THEN
        grows := NEW.number = OLD.number AND NEW.entry_ids[1:cardinality(OLD.entry_ids)] = OLD.entry_ids
             AND NEW.span @> OLD.span;
    ELSIF TG_TABLE_NAME = 'api_audit_key' THEN -- its secret may be sealed anew
        grows := (NEW.key_id, NEW.public) = (OLD.key_id, OLD.public)
             AND (OLD.retired_at IS NULL OR NEW.retired_at = OLD.retired_at);
    ELSE
        grows := NEW.origin = OLD.origin AND NEW.size >= OLD.size;
    END IF;
    IF NOT grows THEN
        RAISE EXCEPTION 'The API audit log is append-only: % of % is refused.', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['api_audit_seal', 'api_audit_tile', 'api_audit_leaf_block', 'api_audit_key'] LOOP
        EXECUTE format('DROP TRIGGER IF EXISTS api_guard_grows_only ON %I', name);
        EXECUTE format('DROP TRIGGER IF EXISTS api_guard_append_only ON %I', name);
        EXECUTE format('CREATE TRIGGER api_guard_grows_only BEFORE UPDATE ON %I FOR EACH ROW'
                       ' EXECUTE FUNCTION api_guard_grows_only()', name);
        EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER api_guard_grows_only', name);
        EXECUTE format('CREATE TRIGGER api_guard_append_only BEFORE DELETE OR TRUNCATE ON %I'
                       ' FOR EACH STATEMENT EXECUTE FUNCTION api_guard_append_only()', name);
        EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER api_guard_append_only', name);
    END LOOP;
    DROP TRIGGER IF EXISTS api_guard_append_only ON api_audit_checkpoint;
    CREATE TRIGGER api_guard_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON api_audit_checkpoint
        FOR EACH STATEMENT EXECUTE FUNCTION api_guard_append_only();
    ALTER TABLE api_audit_checkpoint ENABLE ALWAYS TRIGGER api_guard_append_only;
END $$;

"""The log gets partitions: the table of the version before steps aside, to become one of them as it is.

Nothing is copied: `init` makes the partitioned table, post-migrate attaches this one to it. All of it is one
transaction; run again after whatever stopped it, each step asks what is done already.
"""


def migrate(cr, version):
    cr.execute("SELECT relkind::text FROM pg_class WHERE oid = to_regclass('api_audit_entry')")
    if cr.fetchone() != ("r",):
        return
    # ids go on after the last: of the table, or of those that were drawn and never committed
    cr.execute("SELECT pg_get_serial_sequence('api_audit_entry', 'id')")
    [sequence] = cr.fetchone()
    cr.execute(f"SELECT greatest(last_value, (SELECT max(id) FROM api_audit_entry)) FROM {sequence}")  # noqa: S608
    [last] = cr.fetchone()
    cr.execute("""
        ALTER TABLE api_audit_entry ALTER id DROP IDENTITY;
        ALTER TABLE api_audit_entry RENAME TO api_audit_entry_before;
        DROP INDEX IF EXISTS api_audit_entry_trouble_idx, api_audit_entry_occurred_idx,
            api_audit_entry_credential_idx, api_audit_entry_user_idx;
        ALTER INDEX IF EXISTS api_audit_entry_pkey RENAME TO api_audit_entry_before_id_pkey;
        ALTER INDEX IF EXISTS api_audit_entry_request_id_idx RENAME TO api_audit_entry_before_request_id_idx;
        CREATE SEQUENCE IF NOT EXISTS api_audit_entry_id_seq AS bigint;
    """)
    cr.execute("SELECT setval('api_audit_entry_id_seq', %s)", [last])

"""The pause after wrong secrets became lockouts: whoever had switched it off has them switched off."""


def migrate(cr, version):
    cr.execute("""
        INSERT INTO ir_config_parameter (key, value, create_date, write_date)
        SELECT new.key, '0', now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc'
          FROM ir_config_parameter old
          CROSS JOIN (VALUES ('api_guard.lockout_failures'), ('api_guard.lockout_network_failures')) new (key)
         WHERE old.key = 'api_guard.cooldown_failures' AND old.value = '0'
            ON CONFLICT (key) DO NOTHING;
        DELETE FROM ir_config_parameter WHERE key IN ('api_guard.cooldown_failures', 'api_guard.cooldown_seconds');
    """)

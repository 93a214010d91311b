-- In a copy for tests, no key of the original works, and nobody is mailed about them. New keys do.
UPDATE api_credential SET database_uuid = 'neutralized';
UPDATE ir_cron SET active = false WHERE id IN (
    SELECT res_id FROM ir_model_data WHERE module = 'api_guard' AND name = 'cron_life'
);
-- Nor is any witness of the original told of the copy's log: they would see the original's forked.
UPDATE api_audit_witness SET active = false, sealed_secret = NULL;

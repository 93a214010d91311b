"""What is archived before it goes: complete, proven, read by the verifier, and nothing goes without it."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from test_retention import ago, log, template  # noqa: F401  fixtures

VERIFIER = Path(__file__).parents[2] / "offline" / "verify_log.py"


@pytest.fixture
def old(log):  # noqa: F811
    """300 sealed reads that are past their time, beside as many writes that are not."""
    for kind in ("read", "write"):
        log.add(kind, ago(log, 200))
    for _turn in range(3):
        log.enter("read", ago(log, 200), 100)
        log.enter("write", ago(log, 200), 100)
    log.seal()
    log.run("env['api.audit.retention'].search([('kind', '=', 'read')]).is_archived = True")
    return log


def archive_to(log, folder, place="folder"):  # noqa: F811
    log.run(f"p = env['ir.config_parameter']; p.set_param('api_guard.archive_place', '{place}');"
            f" p.set_param('api_guard.archive_folder', '{folder}')")


def verify(log, *paths):  # noqa: F811
    key = log.value("SELECT public FROM api_audit_key ORDER BY id LIMIT 1")
    done = subprocess.run(  # noqa: S603
        [sys.executable, VERIFIER, "log", *map(str, paths), "--key", key, "--json"], capture_output=True, text=True)
    return done.returncode, done.stdout


def entries(path):
    with gzip.open(path) as lines:
        return [line["entry"] for line in map(json.loads, lines) if line["type"] == "entry"]


def test_what_goes_is_in_an_archive_that_the_verifier_reads(old, tmp_path):
    archive_to(old, tmp_path)
    ids = {row["id"] for row in old.rows("SELECT id FROM api_audit_entry WHERE kind = 'read'")}
    old.retain()
    assert old.count() == 0
    [path] = tmp_path.iterdir()
    assert {entry["id"] for entry in entries(path)} == ids
    code, told = verify(old, path)
    assert code == 0, told
    [drop] = old.rows("SELECT * FROM api_audit_drop")
    [archive] = old.rows("SELECT * FROM api_audit_archive")
    assert (drop["archive"], drop["archive_hash"]) == (path.name, archive["digest"])
    assert (archive["entry_count"], archive["is_dropped"]) == (300, True)
    assert oct(path.stat().st_mode & 0o777) == "0o600"


def test_an_archive_that_was_changed_is_found_out(old, tmp_path):
    archive_to(old, tmp_path)
    old.retain()
    [path] = tmp_path.iterdir()
    with gzip.open(path) as file:
        content = file.read()
    with gzip.open(path, "wb") as file:
        file.write(content.replace(b'"door":"json2"', b'"door":"jsonX"', 1))
    assert verify(old, path)[0] == 1


def test_nothing_goes_where_it_cannot_be_archived(old, tmp_path):
    for wrong in ("", "/nowhere", "relative"):
        archive_to(old, wrong)
        old.retain()
        assert old.count() == 300
    assert "archive folder" in old.value("SELECT problem FROM api_audit_retention WHERE kind = 'read'")
    assert "drops nothing" in old.said("env['res.config.settings']._api_guard_checks()")
    archive_to(old, tmp_path)
    old.retain()
    assert old.count() == 0
    assert old.value("SELECT problem FROM api_audit_retention WHERE kind = 'read'") is None


def test_a_disk_that_is_full_leaves_the_entries_and_no_file(old, tmp_path):
    archive_to(old, tmp_path)
    old.run("import os\nfrom unittest.mock import patch\n"
            "with patch('os.fsync', side_effect=OSError(28, 'No space left on device')):\n"
            "    env['api.audit.retention']._cron_retention()\n")
    assert old.count() == 300
    assert not list(tmp_path.iterdir())
    assert "No space" in old.value("SELECT problem FROM api_audit_retention WHERE kind = 'read'")


def test_an_entry_that_was_changed_is_evidence_and_stays(old, tmp_path):
    archive_to(old, tmp_path)
    old.rows("ALTER TABLE api_audit_entry_read DISABLE TRIGGER USER")
    table = old.value("SELECT table_name FROM api_audit_partition WHERE kind = 'read' ORDER BY starts LIMIT 1")
    old.rows(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    old.rows(f"UPDATE {table} SET login = 'mallory' WHERE id = (SELECT min(id) FROM {table})")  # noqa: S608
    old.retain()
    assert old.count() == 300
    assert not list(tmp_path.iterdir())
    assert "not what was sealed" in old.value("SELECT problem FROM api_audit_retention WHERE kind = 'read'")


def test_attachments_hold_archives_too(old, tmp_path):
    archive_to(old, "", "attachment")
    old.retain()
    assert old.count() == 0
    path = tmp_path / "archive.jsonl.gz"
    code = ("a = env['api.audit.archive'].search([]).attachment_id;"
            f" open('{path}', 'wb').write(a.raw)")
    old.run(code)
    assert len(entries(path)) == 300
    assert verify(old, path)[0] == 0


def test_what_goes_one_by_one_is_archived_as_well(old, tmp_path):
    archive_to(old, tmp_path)
    held = old.value("SELECT min(id) FROM api_audit_entry WHERE kind = 'read'")
    moment = old.value("SELECT occurred_at FROM api_audit_entry WHERE id = %s", held)
    values = {"name": "x", "starts": f"{moment}", "ends": f"{moment.replace(second=59)}"}
    old.run(f"env['api.audit.hold'].create({values})")
    kept = old.count() - old.value(
        "SELECT count(*) FROM api_audit_entry WHERE kind = 'read' AND (occurred_at < %s OR occurred_at >= %s)",
        moment, moment.replace(second=59))
    old.retain()
    assert old.count() == kept
    [path] = tmp_path.iterdir()
    assert len(entries(path)) == 300 - kept
    assert verify(old, path)[0] == 0


def test_a_part_that_was_written_before_a_kill_is_not_written_again(old, tmp_path):
    archive_to(old, tmp_path)
    old.run("from unittest.mock import patch\nfrom odoo.addons.api_guard.models import api_audit_archive as module\n"
            "with patch.object(module, 'BLOCKS', 1), patch.object(type(env['api.audit.drop']), '_take_table',"
            " return_value=False):\n    env['api.audit.retention']._cron_retention()\n")
    parts = sorted(path.name for path in tmp_path.iterdir())
    assert len(parts) > 1
    assert old.count() == 300
    old.retain()
    assert old.count() == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == parts
    assert old.value("SELECT archive FROM api_audit_drop") == ", ".join(parts)
    assert verify(old, *tmp_path.iterdir())[0] == 0
    assert sum(len(entries(path)) for path in tmp_path.iterdir()) == 300

#!/usr/bin/env python3
"""Replace the API key in a file by its successor: for cron, as often as the policy asks.

    ODOO_URL=https://odoo.example.com ODOO_DB=production ODOO_KEY_FILE=/etc/shop/odoo.key rotate.py

The old key goes on working until the new one is used, and for its grace; if this is interrupted, run it again.
Ends with 1 if there is a successor already whose secret is not told any more: somebody else has rotated the key.
"""

import json
import os
import shutil
import sys
import urllib.request
from pathlib import Path

key_file = Path(os.environ["ODOO_KEY_FILE"])
headers = {"Authorization": f"Bearer {key_file.read_text().strip()}", "X-Odoo-Database": os.environ["ODOO_DB"]}
url = os.environ["ODOO_URL"].rstrip("/") + "/api_guard/v1/key/rotate"
with urllib.request.urlopen(urllib.request.Request(url, b"", headers), timeout=30) as answer:
    successor = json.load(answer)
if not successor["secret"]:  # told until the successor is used for the first time
    sys.exit(f"{successor['name']}: rotated elsewhere; this key ends on {successor['predecessor']['retires'] or '?'}")
draft = key_file.with_suffix(".new")
with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
    file.write(successor["secret"] + "\n")
shutil.copymode(key_file, draft)
shutil.chown(draft, key_file.stat().st_uid, key_file.stat().st_gid)
draft.replace(key_file)  # at once: whoever reads the file finds the old key or the new one
print(f"{successor['name']}: good until {successor['expires'] or 'it is revoked'}")

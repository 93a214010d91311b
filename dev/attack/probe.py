"""How many wrong secrets were compared with a real one, and how many hashes were computed for nothing?

A server-wide addon, for the time of a measurement: `variants.py` puts a copy of this file into a
folder of its own. Each comparison adds a byte to a file, named by what it was compared with:

    password, key, master    a slow hash that is stored in this database or in odoo.conf
    fast                     the guard's second, fast check of a key
    code                     the time-based code of somebody
    burnt                    any other slow hash: time is spent, nothing is compared

A right secret is not counted, nor is Odoo's own question whether the master password is "admin"
(which is "burnt": it computes the same hash).
"""

import json
import os
import sys
from pathlib import Path

from odoo.addons.auth_totp.models.totp import TOTP
from passlib.context import CryptContext

_FOLDER = Path(os.environ["API_GUARD_ATTACK_FOLDER"])
_REAL = json.loads((_FOLDER / "hashes.json").read_text())
# Opened before the workers are forked: all of them add to the same files.
_FILES = {
    kind: os.open(_FOLDER / f"{kind}.count", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    for kind in ("password", "key", "master", "fast", "code", "burnt")
}


def _count(kind):
    os.write(_FILES[kind], b".")


def _count_hash(secret, stored):
    kind = _REAL.get(stored.decode() if isinstance(stored, bytes) else stored, "burnt")
    is_asked_by_odoo = kind == "master" and secret == "admin"  # noqa: S105  Odoo's default
    _count("burnt" if is_asked_by_odoo else kind)


def _counted(original, is_right):
    def verify(self, secret, hash, *args, **kwargs):  # passlib's names
        result = original(self, secret, hash, *args, **kwargs)
        if not is_right(result):
            _count_hash(secret, hash)
        return result

    return verify


def _counted_hash(original):
    def hash_(self, *args, **kwargs):
        _count("burnt")
        return original(self, *args, **kwargs)

    return hash_


def _counted_match(original):
    def match(self, *args, **kwargs):
        found = original(self, *args, **kwargs)
        if found is None:
            _count("code")
        return found

    return match


def _counted_check(original):
    def read_check(*args, **kwargs):
        known = original(*args, **kwargs)
        if known is False:
            _count("fast")
        return known

    return read_check


def _replace_everywhere(original, counted):
    """Functions are imported by name: wherever this one is called, it is another attribute."""
    for name, module in list(sys.modules.items()):
        if name.startswith("odoo.addons.api_guard"):
            for attribute, value in list(vars(module).items()):
                if value is original:
                    setattr(module, attribute, counted)


CryptContext.verify = _counted(CryptContext.verify, bool)
CryptContext.verify_and_update = _counted(CryptContext.verify_and_update, lambda result: result[0])
CryptContext.hash = _counted_hash(CryptContext.hash)
TOTP.match = _counted_match(TOTP.match)
_check = getattr(sys.modules.get("odoo.addons.api_guard.core.secret"), "read_check", None)
if _check is not None:
    _replace_everywhere(_check, _counted_check(_check))

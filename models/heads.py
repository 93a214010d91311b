"""What did a log's last checkpoint look like when this server saw it? Kept outside of the database.

A database that was restored from an older backup knows nothing of what came after; the file beside
the vault's key does. One file for each log and name of a database, so that a copy under another name
does not speak for its original.
"""

import contextlib
import json
import os
import re
import secrets
from base64 import b64decode, b64encode
from hashlib import sha256
from pathlib import Path

from odoo.tools import config

_FILE_MODE, _FOLDER_MODE = 0o600, 0o700
_PLAIN = re.compile(r"[0-9a-zA-Z-]{1,64}")


def path(origin, database):
    """The file, on this server."""
    name = origin if _PLAIN.fullmatch(origin) else sha256(origin.encode()).hexdigest()[:32]
    return Path(config["data_dir"], "api_guard", "heads", f"{name}.{sha256(database.encode()).hexdigest()[:12]}.json")


def read(origin, database):
    """(number, digest) of the last checkpoint that was noted; None: none was. Raises OSError, ValueError."""
    try:
        said = json.loads(path(origin, database).read_bytes())
    except FileNotFoundError:
        return None
    if not isinstance(said, dict) or type(said.get("number")) is not int or not isinstance(said.get("digest"), str):
        raise ValueError("not a head")
    return said["number"], b64decode(said["digest"], validate=True)


def write(origin, database, checkpoint):
    """Note this checkpoint, whole or not at all. Raises OSError."""
    name = path(origin, database)
    name.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    body = checkpoint.document()
    said = {"database": database, "digest": b64encode(checkpoint.digest()).decode()}
    said |= {key: body[key] for key in ("origin", "number", "size", "root", "time")}
    draft = name.with_name(f".{name.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _FILE_MODE)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(json.dumps(said) + "\n")
            file.flush()
            os.fsync(descriptor)
        draft.replace(name)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)
    folder = os.open(name.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

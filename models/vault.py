"""Where is the key that secrets of the database are sealed with? Outside of the database.

In this order: `api_guard_vault_key` in odoo.conf, the environment's API_GUARD_VAULT_KEY, and
the file `<data_dir>/api_guard/vault.key`, which is made when something is sealed for the
first time. Several keys: the first seals, all of them open. What is there and cannot be used
is refused, never passed over for the next place.

    sealed = vault.seal("signing", "7", text)       raises VaultUnreadable
    text = vault.open_sealed("signing", "7", sealed)

The key is read anew each time: it is a small file, and whoever replaces it wants that to hold.
"""

import contextlib
import os
import secrets
from enum import Enum
from pathlib import Path

from odoo.tools import config

from ..core import sealing

OPTION = "api_guard_vault_key"
VARIABLE = "API_GUARD_VAULT_KEY"

_FILE_MODE, _FOLDER_MODE, _OTHERS = 0o600, 0o700, 0o077


class Problem(str, Enum):
    """Why can nothing be sealed or opened?"""

    MISSING = "missing"  # there is no key
    MALFORMED = "malformed"  # what is there is no key
    EXPOSED = "exposed"  # others may read the file
    UNREACHABLE = "unreachable"  # the file cannot be read or made
    CLOSED = "closed"  # sealed with another key, or changed


class VaultUnreadable(Exception):
    """Nothing can be sealed or opened. Its text tells no key."""

    def __init__(self, problem):
        super().__init__(problem.value)
        self.problem = problem


def path():
    """Where the file is, on this server."""
    return Path(config["data_dir"], "api_guard", "vault.key")


def source():
    """Where the key comes from: "option", "environment" or "file"."""
    if config.get(OPTION) is not None:
        return "option"
    return "environment" if VARIABLE in os.environ else "file"


def keys(create=False):
    """The keys of the vault, the one that seals first. `create`: make the file if there is none.

    Raises VaultUnreadable.
    """
    place = source()
    text = config[OPTION] if place == "option" else os.environ[VARIABLE] if place == "environment" else _read(create)
    try:
        return sealing.parse_keys(text)
    except ValueError:
        raise VaultUnreadable(Problem.MALFORMED) from None


def seal(purpose, context, plaintext, create=False):
    """`plaintext` sealed for this purpose and context. `create`: nothing was ever sealed here, so a key may be made.

    Raises VaultUnreadable.
    """
    nonce = secrets.token_bytes(sealing.NONCE_SIZE)
    return sealing.seal(keys(create)[0], nonce, purpose, context, plaintext)


def open_sealed(purpose, context, sealed):
    """What was sealed for this purpose and context. Raises VaultUnreadable."""
    try:
        return sealing.open_sealed(keys(), purpose, context, sealed)
    except sealing.Unsealable:
        raise VaultUnreadable(Problem.CLOSED) from None


def _read(create):
    try:
        return _read_file(path())
    except FileNotFoundError:
        if not create:
            raise VaultUnreadable(Problem.MISSING) from None
    except (OSError, UnicodeDecodeError):
        raise VaultUnreadable(Problem.UNREACHABLE) from None
    try:
        _make(path())
        return _read_file(path())
    except (OSError, UnicodeDecodeError):
        raise VaultUnreadable(Problem.UNREACHABLE) from None


def _read_file(name):
    descriptor = os.open(name, os.O_RDONLY)
    with os.fdopen(descriptor, encoding="ascii") as file:
        if os.fstat(descriptor).st_mode & _OTHERS:
            raise VaultUnreadable(Problem.EXPOSED)
        return file.read()


def _make(name):
    """Make the file, whole or not at all. Of several workers that try, one wins; the others find its file."""
    name.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    draft = name.with_name(f".{name.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _FILE_MODE)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(sealing.KEY_SIZE) + "\n")
            file.flush()
            os.fsync(descriptor)
        with contextlib.suppress(FileExistsError):
            os.link(draft, name)
    finally:
        os.unlink(draft)
    _sync_folder(name.parent)


def _sync_folder(name):
    descriptor = os.open(name, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

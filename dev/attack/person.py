"""Does somebody who is attacked still get in with the right secret, from a place of their own, and how soon?"""

import asyncio
import base64
import hmac
import struct
import time
from dataclasses import dataclass

from . import doors, wire

ADDRESS = "127.9.9.9"
PATIENCE = 60  # seconds


@dataclass(frozen=True)
class Entry:
    """`is_in` None: the server gave no answer."""

    way: str
    is_in: object
    seconds: float


def log_in(door, job, victim):
    """Try every way in that the attacked secret, or its owner, has; one after another."""
    return asyncio.run(_all(_ways(door, job, victim)))


async def _all(ways):
    return [await _enter(way, entering) for way, entering in ways.items()]


async def _enter(way, entering):
    began = time.monotonic()
    try:
        is_in = bool(await asyncio.wait_for(entering, PATIENCE))
    except wire.Thrown:
        is_in = False
    except (OSError, asyncio.TimeoutError, TimeoutError):
        is_in = None
    return Entry(way, is_in, round(time.monotonic() - began, 2))


def _ways(door, job, victim):
    port, password = job["port"], job["password"]
    if door.victims == "master":
        data = doors.right_backup(job["master"]) if "backup" in door.title else doors.right_master(job["master"])
        return {"master": _opens(port, data, doors.is_master)}
    if door.victims == "second":
        return {"code": _with_code(port, victim, password)}
    ways = {
        "web": _opens(port, doors.right_web_session(job, victim["login"], password), doors.DOORS["web_session"].opened),
        "RPC": _opens(port, doors.right_rpc(job, victim["login"], password), doors.DOORS["xmlrpc_login"].opened),
    }
    if door.key:
        ways["key"] = _opens(port, doors.right_key(job, victim["key"]), doors.DOORS["json2_prefix"].opened)
    return ways


async def _opens(port, data, opened):
    return opened(await wire.ask(port, ADDRESS, data))


async def _with_code(port, victim, password):
    page = await wire.open_second_step(port, ADDRESS, victim["login"], password)
    data = doors.right_code(page, _code(victim["secret"]))
    return doors.DOORS["web_code"].opened(await wire.ask(port, ADDRESS, data))


def _code(secret, period=30):
    """The code of this moment, by RFC 6238."""
    mac = hmac.new(base64.b32decode(secret), struct.pack(">Q", int(time.time()) // period), "sha1").digest()
    start = mac[-1] & 0xF
    return f"{(struct.unpack_from('>I', mac, start)[0] & 0x7FFFFFFF) % 10**6:06}"

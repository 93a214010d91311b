"""Databases and servers that the tests of this folder share; each is made once, when first asked for.

Three deployments: `one` serves one database; `several` serves several and loads the addon with a
database, maybe in the middle of a worker's first call; `wide` has it in server_wide_modules.
"""

import contextlib
import os

import pytest
import world as worlds
from doors import Caller

from dev import setup
from dev.harness import Server
from dev.layout import RUN
from dev.redis import RedisServer

WIDE = ("base", "rpc", "web", "api_guard")
EVERY_DATABASE = f"^{worlds.PREFIX}_"


@pytest.fixture(scope="session", autouse=True)
def _environment():
    setup.ensure()
    worlds.drop_left_behind()
    # who is locked out is answered soon: what that wait is for has a test of its own
    config = RUN / f"{worlds.PREFIX}.conf"
    setup.write_config(config, api_guard_detain_seconds=0.05, api_guard_witness_networks="127.0.0.1")
    os.environ["API_GUARD_ODOO_CONF"] = str(config)
    yield
    del os.environ["API_GUARD_ODOO_CONF"]
    config.unlink()
    worlds.drop_left_behind()


@pytest.fixture(scope="session")
def _guarded(_environment):
    world = worlds.make_world("guarded")
    yield world
    world.drop()


@pytest.fixture(scope="session")
def plain(_environment):
    """A database without the guard."""
    database = worlds.make_plain("plain")
    yield database
    database.drop()


@pytest.fixture(scope="session")
def one(_guarded):
    """Deployment A: one database, two workers."""
    with Server(_guarded.name) as server:
        yield server


@pytest.fixture(scope="session")
def world(_guarded, one):
    """The guarded database, its administrator sitting at `one`."""
    _guarded.open(one.url)
    return _guarded


@pytest.fixture(scope="session")
def several(_guarded, plain):
    """Deployment B: several databases, the addon not server-wide."""
    with Server(dbfilter=EVERY_DATABASE) as server:
        yield server


@pytest.fixture(scope="session")
def wide(_guarded, plain):
    """Deployment C: several databases, the addon server-wide."""
    with Server(dbfilter=EVERY_DATABASE, load=WIDE) as server:
        yield server


@pytest.fixture(scope="session")
def call(world, one):
    """A caller with a key at deployment A: `call(key)`."""
    return lambda key, url=one.url: Caller(url, world.name, key.secret, key.uid)


@pytest.fixture(scope="session")
def redis_servers():
    """A maker of Redis servers that live as long as the session: `redis_servers(tls=True)`."""
    with contextlib.ExitStack() as stack:
        yield lambda **options: stack.enter_context(RedisServer(**options))


@pytest.fixture
def redis_server():
    """A Redis of the test's own, to be stopped, paused or killed at will."""
    with RedisServer() as server:
        yield server

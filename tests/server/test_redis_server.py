"""Are the Redis and the fail2ban that other tests count on real, and do they fail when told to?"""

import os
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import pytest
import redis

from dev import fail2ban
from dev.redis import RedisFailed, RedisServer


@pytest.fixture(scope="session", autouse=True)
def _environment():
    """Neither needs Odoo or a database: this file's tests run without waiting for them."""


def connect(server, **options):
    return redis.from_url(server.url, **{"retry": None, "socket_timeout": 0.2, **server.client_options, **options})


def awaited(condition, seconds=5):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_started_redis_answers(redis_server):
    assert connect(redis_server).ping() is True


def test_paused_redis_hangs_until_resumed(redis_server):
    client = connect(redis_server)
    client.set("kept", "yes")
    redis_server.pause()
    with pytest.raises(redis.exceptions.TimeoutError):
        client.ping()
    with pytest.raises(redis.exceptions.TimeoutError):
        connect(redis_server).ping()  # the kernel accepts a new connection, too
    redis_server.resume()
    assert connect(redis_server).get("kept") == b"yes"


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_ended_redis_refuses_until_started_again_empty(redis_server, end):
    url, client = redis_server.url, connect(redis_server)
    client.set("lost", "yes")
    getattr(redis_server, end)()
    with pytest.raises(redis.exceptions.ConnectionError):
        client.ping()
    redis_server.start()
    assert redis_server.url == url
    assert client.get("lost") is None


def test_paused_redis_can_be_stopped(redis_server):
    pid = redis_server.pid
    redis_server.pause()
    redis_server.stop()
    assert not Path("/proc", str(pid)).exists()


def test_redis_started_by_a_thread_outlives_it(redis_server):
    redis_server.kill()
    thread = Thread(target=redis_server.start)
    thread.start()
    thread.join()
    assert connect(redis_server, socket_timeout=5).ping() is True
    time.sleep(0.1)  # the kernel's signal would be there by now
    assert connect(redis_server).ping() is True


def test_password_is_asked_for(redis_servers):
    server = redis_servers(password='p@ss/"w\\ord')
    assert connect(server).ping() is True
    with pytest.raises(redis.exceptions.AuthenticationError):
        redis.Redis(port=server.port, retry=None).ping()


def test_tls_is_spoken_to_who_trusts_the_certificate(redis_servers):
    server = redis_servers(tls=True, password="secret")
    assert server.url.startswith("rediss://")
    assert connect(server, socket_timeout=5).ping() is True
    with pytest.raises(redis.exceptions.ConnectionError, match="certificate"):
        redis.from_url(server.url, retry=None).ping()


def test_wrong_setting_is_told():
    server = RedisServer(settings={"no-such-setting": "1"})
    with pytest.raises(RedisFailed, match="no-such-setting"):
        server.start()
    server.close()
    assert server.pid is None
    assert not server.folder.exists()


def test_redis_ends_with_a_killed_test_process_and_its_folder_with_the_next():
    script = "from dev.redis import RedisServer as R; s = R().start(); print(s.pid, s.folder, flush=True); input()"
    process = subprocess.Popen(  # noqa: S603  our own script
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ,
    )
    pid, folder = process.stdout.readline().split(maxsplit=1)
    assert Path("/proc", pid).exists()
    process.kill()
    process.communicate()
    assert awaited(lambda: not is_alive(pid))
    with RedisServer():
        assert not Path(folder.strip()).exists()


def is_alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # an orphan's corpse waits for init, which a container may not have


FILTER = r"""
[INCLUDES]
before = common.conf

[Definition]
_daemon = odoo
failregex = ^\s*%(_daemon)s: refused from <HOST>$
"""
LOG = """\
2026-01-02 03:04:05 odoo: refused from 192.0.2.7
2026-01-02 03:04:06 odoo: accepted from 192.0.2.8
2026-01-02 03:04:07 odoo: refused from 2001:db8::1
"""


@pytest.fixture
def filter_file(tmp_path):
    path = tmp_path / "refused.conf"
    path.write_text(FILTER)
    return path


def test_fail2ban_finds_the_hosts_of_a_log(filter_file, tmp_path):
    log = tmp_path / "odoo.log"
    log.write_text(LOG)
    assert fail2ban.hosts(log, filter_file) == ["192.0.2.7", "2001:db8::1"]
    assert "2 matched, 1 missed" in fail2ban.regex(log, filter_file).stdout


def test_fail2ban_takes_a_line_and_is_silent_about_a_harmless_one(filter_file):
    refused, accepted, _refused = LOG.splitlines()
    assert fail2ban.hosts(refused, filter_file) == ["192.0.2.7"]
    assert fail2ban.hosts(accepted, filter_file) == []


def test_fail2ban_tells_of_a_broken_filter(filter_file):
    filter_file.write_text(FILTER.replace("<HOST>", "somewhere"))
    with pytest.raises(fail2ban.Fail2banFailed, match="failure-id"):
        fail2ban.hosts("a line", filter_file)

"""How does a test start a real Redis, stop it in mid-load, and start it again?

    from dev.redis import RedisServer

    with RedisServer() as server:      # password="…", tls=True, settings={"maxmemory": "2mb"}
        redis.from_url(server.url, **server.client_options).ping()
        server.pause()                 # connects still, answers nothing
        server.resume()
        server.kill()                  # or stop(): refuses connections
        server.start()                 # empty, on the same port

The program is the machine's own redis-server or valkey-server, else Debian's, unpacked into the
cache. It ends no process but the one that it started, and that one ends with the test process.
"""

import contextlib
import ctypes
import datetime
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from urllib.parse import quote

from . import debian
from .layout import RUN

PROGRAMS = ("redis-server", "valkey-server")
# After the first two: the libraries they need that a small Debian may lack.
PACKAGES = ("redis-server", "redis-tools", "libatomic1", "libjemalloc2", "liblzf1", "libssl3")
RECIPE = 1  # raise it when the packages change
OTHERWISE = "Install redis-server or valkey-server and run again."
READY = "Ready to accept connections"

PR_SET_PDEATHSIG = 1  # linux/prctl.h
_libc = ctypes.CDLL(None)
_numbers = itertools.count(1)
# The kernel ends Redis with the *thread* that started it, so a thread that lives as long as we do.
_starter = ThreadPoolExecutor(1, thread_name_prefix="redis-starter")


class RedisFailed(Exception):
    """Redis did not come up; the message ends with the last lines of its log."""


def ensure():
    """Return the program and the variables that it needs, fetching it once per user."""
    if own := next(filter(None, map(shutil.which, PROGRAMS)), None):
        return own, {}
    root = debian.unpacked("redis", PACKAGES, title="Redis", recipe=RECIPE, otherwise=OTHERWISE)
    return str(root / "usr/bin/redis-server"), {"LD_LIBRARY_PATH": debian.libraries(root)}


class RedisServer:
    """A Redis on a loopback port of its own that keeps nothing on disk.

    `settings` are further lines of redis.conf. With `tls` it speaks nothing else; its certificate
    is self-signed, so a client has to be told to trust `certificate` (see `client_options`).
    """

    def __init__(self, *, password=None, tls=False, settings=None):
        self.port = _free_port()
        self.password = password
        self.folder = RUN / f"redis-{os.getpid()}-{next(_numbers)}"
        self.certificate = self.folder / "certificate.pem" if tls else None
        self.settings = settings or {}
        self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_exception):
        self.close()

    @property
    def url(self):
        """The address, with the password in it when there is one."""
        scheme = "rediss" if self.certificate else "redis"
        secret = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"{scheme}://{secret}127.0.0.1:{self.port}/0"

    @property
    def client_options(self):
        """What `redis.from_url` needs besides the address."""
        return {"ssl_ca_certs": str(self.certificate)} if self.certificate else {}

    @property
    def pid(self):
        """The process id, None while it is stopped."""
        return self.process and self.process.pid

    def start(self, timeout=10):
        """Start Redis, empty, and return when it takes connections; nothing when it runs."""
        if self.process is not None and self.process.poll() is None:
            return self
        program, environment = ensure()
        self._write_files()
        command = [program, str(self.folder / "redis.conf")]
        with self._log_path.open("w") as log:  # what is wrong with its settings Redis tells stderr
            self.process = _starter.submit(
                subprocess.Popen, command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, env={**os.environ, **environment},
                preexec_fn=_end_with_parent,
            ).result()
        try:
            self._wait(timeout)
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self, timeout=5):
        """End Redis politely, its connections closed and its data gone; fine when it has ended."""
        if self.process is None:
            return
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)  # or a paused one would not hear of it
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout)
        self.kill()

    def kill(self):
        """End Redis at once, as a crash or the kernel would."""
        if self.process is None:
            return
        self._signal(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def pause(self):
        """Let Redis hang: the kernel still accepts connections, nobody answers."""
        self._signal(signal.SIGSTOP)

    def resume(self):
        """Let Redis go on, with what has arrived meanwhile."""
        self._signal(signal.SIGCONT)

    def close(self):
        """Stop Redis for good and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self):
        """Return what Redis has logged since its start."""
        return self._log_path.read_text(errors="replace") if self._log_path.exists() else ""

    @property
    def _log_path(self):
        return self.folder / "redis.log"

    def _signal(self, number):
        # Popen's own method looks whether the process is still ours before it sends.
        self.process.send_signal(number)

    def _wait(self, timeout):
        deadline = time.monotonic() + timeout
        while READY not in self.log():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RedisFailed(f"Redis is not up:\n{self.log()[-3000:]}")
            time.sleep(0.01)

    def _write_files(self):
        _drop_left_behind()
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.certificate and not self.certificate.exists():
            _write_certificate(self.certificate, self._key_path)
        lines = (f"{name} {_quoted(value)}\n" for name, value in self._configuration().items())
        (self.folder / "redis.conf").write_text("".join(lines))

    @property
    def _key_path(self):
        return self.folder / "key.pem"

    def _configuration(self):
        listen = {"port": self.port} if not self.certificate else {
            "port": 0, "tls-port": self.port, "tls-auth-clients": "no",
            "tls-cert-file": self.certificate, "tls-key-file": self._key_path,
        }
        return {
            **listen, "bind": "127.0.0.1", "dir": self.folder, "logfile": self._log_path,
            "save": "", "appendonly": "no", "daemonize": "no",
            **({"requirepass": self.password} if self.password else {}), **self.settings,
        }


def _quoted(value):
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _end_with_parent():
    """Ask the kernel, in the new process, to end it with the thread that made it."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _free_port():
    """Return a loopback port that nobody listens on, from below those that the kernel hands out.

    One of those a client's connection may take while Redis is down, even one that tries to reach
    Redis: it then talks to itself.
    """
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _attempt in range(100):
        port = random.randrange(10000, max(lowest, 20000))  # noqa: S311
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RedisFailed("No free port on the loopback interface.")


def _drop_left_behind():
    """Remove the folders of test processes that were killed; their Redis ended with them."""
    for folder in RUN.glob("redis-*-*"):
        if not Path("/proc", folder.name.split("-")[1]).exists():
            shutil.rmtree(folder, ignore_errors=True)


def _write_certificate(certificate, key_path):
    """Write a self-signed certificate for the loopback interface, and its key."""
    key, signed = _certificate()
    key_path.touch(mode=0o600)
    key_path.write_bytes(key)
    certificate.write_bytes(signed)


@cache
def _certificate():
    # Here, because the system's Python that runs `make` has no such package.
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now, day = datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(days=1)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    signed = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name)
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - day).not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, signed.public_bytes(pem)

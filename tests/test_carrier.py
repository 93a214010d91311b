"""How does a checkpoint leave the database, and where may it not go?"""

import http.server
import os
import socket
import ssl
import stat
import tempfile
import threading
import time
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path
from unittest.mock import patch

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from odoo.tests.common import BaseCase, tagged

from ..models import carrier
from ..models.carrier import NETWORKS, Problem, Undelivered


class Outside:
    """A data folder of the test's own; `options`: what odoo.conf says."""

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.data = Path(folder.name, "data")
        self.data.mkdir()
        self.options = {"data_dir": str(self.data)}
        patcher = patch.object(carrier, "config", self.options)
        patcher.start()
        self.addCleanup(patcher.stop)
        self.witness = self.data / "api_guard" / "witness"

    def problem(self, function, *args):
        with self.assertRaises(Undelivered) as refusal:
            function(*args)
        return refusal.exception.problem


@tagged("standard")
class TestFile(Outside, BaseCase):
    def test_lines_are_appended_below_our_folder(self):
        for line in (b"one", b"two"):
            carrier.append_line("log.jsonl", line)
        carrier.append_line("sub/log.jsonl", b"three")
        self.assertEqual((self.witness / "log.jsonl").read_bytes(), b"one\ntwo\n")
        self.assertEqual((self.witness / "sub" / "log.jsonl").read_bytes(), b"three\n")
        self.assertEqual(stat.S_IMODE((self.witness / "log.jsonl").stat().st_mode) & 0o137, 0)

    def test_a_torn_line_does_not_spoil_the_next(self):
        carrier.append_line("log.jsonl", b"one")
        with (self.witness / "log.jsonl").open("ab") as file:
            file.write(b'{"half')
        carrier.append_line("log.jsonl", b"two")
        self.assertEqual((self.witness / "log.jsonl").read_bytes(), b'one\n{"half\ntwo\n')

    def test_no_other_file_is_reached(self):
        elsewhere = self.data / "elsewhere"
        elsewhere.mkdir()
        (self.data / "api_guard").mkdir()
        (self.data / "api_guard" / "vault.key").write_text("secret")
        self.witness.mkdir()
        (elsewhere / "there.jsonl").touch()
        (self.witness / "link.jsonl").symlink_to(elsewhere / "there.jsonl")
        (self.witness / "folder").symlink_to(elsewhere)
        os.link(elsewhere / "there.jsonl", self.witness / "hard.jsonl")
        os.mkfifo(self.witness / "pipe.jsonl")
        for name in (
            "../vault.key", "../vault.jsonl", "../../x.jsonl", "/etc/x.jsonl", str(elsewhere / "x.jsonl"), "x.py",
            "x", "", ".jsonl", "folder/x.jsonl", "folder/../../x.jsonl", "nul\0.jsonl", "new\nline.jsonl",
            "link.jsonl", "hard.jsonl", "pipe.jsonl",
        ):  # fmt: skip
            with self.subTest(name):
                self.assertIn(self.problem(carrier.append_line, name, b"x"), (Problem.PLACE, Problem.FILE))
        self.assertEqual((elsewhere / "there.jsonl").read_bytes(), b"")
        self.assertEqual((self.data / "api_guard" / "vault.key").read_text(), "secret")
        self.assertEqual(list(elsewhere.iterdir()), [elsewhere / "there.jsonl"])

    def test_folders_of_odoo_conf_are_allowed(self):
        worm = self.data / "worm"
        worm.mkdir()
        self.options[carrier.FOLDERS] = f" {worm} , relative"
        carrier.append_line(str(worm / "log.jsonl"), b"one")
        self.assertEqual((worm / "log.jsonl").read_bytes(), b"one\n")
        self.assertIs(self.problem(carrier.append_line, str(worm / "missing" / "log.jsonl"), b"x"), Problem.FILE)
        self.assertIs(self.problem(carrier.append_line, str(worm / ".." / "log.jsonl"), b"x"), Problem.PLACE)

    def test_a_full_disk_is_told(self):
        with patch.object(carrier.os, "write", lambda _descriptor, content: len(content) - 1):
            self.assertIs(self.problem(carrier.append_line, "log.jsonl", b"one"), Problem.FILE)


class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.asked.append((self.path, dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
        self.server.answer(self)

    def log_message(self, *args):
        pass


class Http:
    """A server of the test's own that notes what it is asked."""

    def serve(self, answer, certificate=None):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
        server.asked, server.answer = [], answer
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server, f"http://127.0.0.1:{server.server_port}"


def ok(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "2")
    handler.end_headers()
    handler.wfile.write(b"ok")


@tagged("standard")
class TestHttp(Outside, Http, BaseCase):
    def setUp(self):
        super().setUp()
        self.options[NETWORKS] = "127.0.0.0/8"

    def test_what_is_posted_comes_whole(self):
        server, url = self.serve(ok)
        self.assertEqual(carrier.post(f"{url}/a?b=c", b"{}", {"X-Test": "1"}), (200, b"ok"))
        [(path, headers, body)] = server.asked
        self.assertEqual((path, headers["X-Test"], body), ("/a?b=c", "1", b"{}"))
        self.assertEqual(headers["Host"], url.removeprefix("http://"))

    def test_what_is_no_header_is_not_delivered(self):
        server, url = self.serve(ok)
        for value in ("shop☃", "a\r\nb"):
            with self.subTest(value):
                self.assertIs(self.problem(carrier.post, url, b"", {"X-Odoo-Database": value}), Problem.ADDRESS)
        self.assertEqual(server.asked, [])

    def test_private_hosts_need_leave_of_odoo_conf(self):
        server, _url = self.serve(ok)
        del self.options[NETWORKS]
        for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1", "169.254.169.254", "[::]"):
            with self.subTest(host):
                url = f"https://{host}:{server.server_port}/"
                self.assertIs(self.problem(carrier.post, url, b"", {}), Problem.HOST)
        self.assertIs(self.problem(carrier.send_syslog, "udp", "127.0.0.1", 514, b"x"), Problem.HOST)
        self.assertEqual(server.asked, [])

    def test_one_private_address_of_a_name_is_enough_to_refuse(self):
        found = [(socket.AF_INET, 1, 6, "", (text, 443)) for text in ("9.9.9.9", "10.0.0.1")]
        with patch.object(carrier.socket, "getaddrinfo", lambda *_args, **_kwargs: found):
            self.assertIs(self.problem(carrier.post, "https://two.example/", b"", {}), Problem.HOST)

    def test_over_the_internet_it_is_encrypted(self):
        found = [(socket.AF_INET, 1, 6, "", ("9.9.9.9", 80))]
        with patch.object(carrier.socket, "getaddrinfo", lambda *_args, **_kwargs: found):
            self.assertIs(self.problem(carrier.post, "http://plain.example/", b"", {}), Problem.PLAIN)

    def test_a_certificate_of_nobodys_is_not_taken(self):
        server, url = self.serve(ok, self._certificate())
        self.assertIs(self.problem(carrier.post, url.replace("http:", "https:"), b"", {}), Problem.UNREACHABLE)
        self.assertEqual(server.asked, [])

    def test_whoever_proves_who_they_are_is_told(self):
        server, url = self.serve(ok, file := self._certificate())
        trusting = ssl.create_default_context(cafile=file)
        with patch.object(carrier.ssl, "create_default_context", lambda: trusting):
            self.assertEqual(carrier.post(url.replace("http:", "https:"), b"{}", {}), (200, b"ok"))
        self.assertEqual(server.asked[0][2], b"{}")

    def _certificate(self):
        """Of this host, vouched for by nobody but itself."""
        key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
        now = datetime.now(timezone.utc)
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
            .sign(key, hashes.SHA256())
        )
        file = self.data / "certificate.pem"
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file.write_bytes(secret + certificate.public_bytes(Encoding.PEM))
        return file

    def test_what_is_no_url(self):
        for url in ("", "x", "ftp://example.com/", "https://", "https://user:word@example.com/", "https://a b.c/",
                    "https://example.com:99999/", "https://exa\nmple.com/", "https://[::1/", "file:///etc/passwd"):
            with self.subTest(url):
                self.assertIs(self.problem(carrier.check_url, url), Problem.ADDRESS)

    def test_no_redirect_is_followed(self):
        def elsewhere(handler):
            handler.send_response(302)
            handler.send_header("Location", "/elsewhere")
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        server, url = self.serve(elsewhere)
        self.assertEqual(carrier.post(url, b"", {})[0], 302)
        self.assertEqual(len(server.asked), 1)

    def test_a_long_answer_is_cut_and_a_slow_one_hung_up_on(self):
        def long(handler):
            handler.send_response(200)
            handler.end_headers()
            handler.wfile.write(b"x" * (carrier.MAX_ANSWER + 5))

        def slow(handler):
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
            for _second in range(100):
                handler.wfile.write(b"X: y\r\n")
                time.sleep(0.05)

        _server, url = self.serve(long)
        self.assertEqual(len(carrier.post(url, b"", {})[1]), carrier.MAX_ANSWER)
        _server, url = self.serve(slow)
        with patch.object(carrier, "DEADLINE", 0.3):
            began = time.monotonic()
            self.assertIs(self.problem(carrier.post, url, b"", {}), Problem.UNREACHABLE)
            self.assertLess(time.monotonic() - began, 3)

    def test_nobody_there(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            self.assertIs(self.problem(carrier.post, f"http://127.0.0.1:{port}/", b"", {}), Problem.UNREACHABLE)
            self.assertIs(self.problem(carrier.send_syslog, "tcp", "127.0.0.1", port, b"x"), Problem.UNREACHABLE)


@tagged("standard")
class TestSyslog(Outside, BaseCase):
    def setUp(self):
        super().setUp()
        self.options[NETWORKS] = "127.0.0.1"

    def test_to_the_local_socket(self):
        path = str(self.data / "log")
        self.options[carrier.SOCKET] = path
        self.assertIs(self.problem(carrier.send_syslog, "local", None, 0, b"<13>1 x"), Problem.UNREACHABLE)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
            server.bind(path)
            carrier.send_syslog("local", None, 0, b"<13>1 x")
            self.assertEqual(server.recv(99), b"<13>1 x")

    def test_over_udp_and_tcp(self):
        for kind, transport, expected in (
            (socket.SOCK_DGRAM, "udp", b"<13>1 x"),
            (socket.SOCK_STREAM, "tcp", b"7 <13>1 x"),
        ):
            with self.subTest(transport), socket.socket(socket.AF_INET, kind) as server:
                server.bind(("127.0.0.1", 0))
                if transport == "tcp":
                    server.listen()
                carrier.send_syslog(transport, "127.0.0.1", server.getsockname()[1], b"<13>1 x")
                receiver = server.accept()[0] if transport == "tcp" else server
                self.assertEqual(receiver.recv(99), expected)
                receiver.close()

    def test_what_is_no_address(self):
        for host, port in (("", 514), (None, 514), ("127.0.0.1", 0), ("127.0.0.1", 70000)):
            with self.subTest(host=host, port=port):
                self.assertIs(self.problem(carrier.send_syslog, "udp", host, port, b"x"), Problem.ADDRESS)

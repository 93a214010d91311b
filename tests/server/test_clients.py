"""Clients that none of us wrote: they log in with a key, read, write, and understand a refusal."""

import json
import subprocess
from urllib.parse import urlsplit

import odoolib
import odooly
import odoorpc
import pytest
from world import USER

from dev import setup
from dev.layout import NODE

OUT_OF_SCOPE = "The scope of this credential does not cover this call."
REJECTED = "The credential was not accepted."


def only(created):
    """JSON-2 answers `create` with a list."""
    return created[0] if isinstance(created, list) else created


class OdooRpc:
    """odoorpc speaks JSON-RPC. Each class here: log in, read names, create, and what a refusal is."""

    refusal = odoorpc.error.RPCError

    def __init__(self, url, db, secret):
        parts = urlsplit(url)
        self.odoo = odoorpc.ODOO(parts.hostname, protocol="jsonrpc", port=parts.port)
        self.odoo.login(db, USER, secret)

    def read(self, ids):
        return [row["name"] for row in self.odoo.env["res.partner"].read(ids, ["name"])]

    def create(self, name):
        return only(self.odoo.env["res.partner"].create({"name": name}))

    def rename(self, ids, name):
        self.odoo.env["res.partner"].write(ids, {"name": name})


class Odooly:
    """odooly over JSON-RPC."""

    refusal = (odooly.ServerError, odooly.Error)
    protocol = "jsonrpc"

    def __init__(self, url, db, secret):
        odooly.Env._cache.clear()  # it would go on with the key of the user's former login in this process
        self.client = self.connect(url, db, secret)
        self.partners = self.client.env["res.partner"]

    def connect(self, url, db, secret):
        return odooly.Client(f"{url}/{self.protocol}", db, USER, secret)

    def read(self, ids):
        return self.partners.read(ids, "name")

    def create(self, name):
        return only(self.partners.create({"name": name}).id)

    def rename(self, ids, name):
        self.partners.browse(ids).write({"name": name})


class OdoolyJson2(Odooly):
    """odooly over JSON-2."""

    def connect(self, url, db, secret):
        return odooly.Client(url, db, USER, api_key=secret)


class OdooLib:
    """Odoo's own odoo-client-lib over JSON-RPC."""

    refusal = Exception  # it has one class per protocol
    protocol = "jsonrpc"

    def __init__(self, url, db, secret):
        parts = urlsplit(url)
        connection = odoolib.get_connection(
            parts.hostname, self.protocol, parts.port, database=db, login=USER, password=secret)
        self.partners = connection.get_model("res.partner")

    def read(self, ids):
        return [row["name"] for row in self.partners.search_read([("id", "in", ids)], ["name"])]

    def create(self, name):
        return only(self.partners.create({"name": name}))

    def rename(self, ids, name):
        self.partners.write(ids, {"name": name})


class OdooLibXmlrpc(OdooLib):
    """odoo-client-lib over XML-RPC, its version 1."""

    protocol = "xmlrpc"


class OdooLibJson2(OdooLib):
    """odoo-client-lib over JSON-2; it learns from the documentation what methods there are."""

    protocol = "json2"


_SCRIPT = """
const Odoo = require('odoo-await');
const [task, ...given] = JSON.parse(process.argv[1]);
const [baseUrl, db, username, password] = given.splice(0, 4);
const odoo = new Odoo({baseUrl, db, username, password});
const tasks = {
  connect: () => odoo.connect(),
  read: async (ids) => (await odoo.read('res.partner', ids, ['name'])).map((row) => row.name),
  create: (name) => odoo.create('res.partner', {name}),
  rename: (ids, name) => odoo.update('res.partner', ids[0], {name}),
};
(async () => {
  try {
    await odoo.connect();
    console.log(JSON.stringify({value: await tasks[task](...given)}));
  } catch (error) {
    console.log(JSON.stringify({error: String(error.faultString || error.message || error)}));
  }
})();
"""


class OdooAwaitError(Exception):
    """What odoo-await rejected its promise with."""


class OdooAwait:
    """odoo-await, JavaScript, speaks XML-RPC."""

    refusal = OdooAwaitError

    def __init__(self, *target):
        url, db, secret = target
        self.target = [url, db, USER, secret]
        self.run("connect")

    def run(self, task, *arguments):
        words = ["node", "-e", _SCRIPT, json.dumps([task, *self.target, *arguments])]
        ran = subprocess.run(  # noqa: S603 - our own script
            words, capture_output=True, text=True, timeout=60, check=True, cwd=NODE, env=setup.odoo_environment())
        answer = json.loads(ran.stdout)
        if "error" in answer:
            raise OdooAwaitError(answer["error"])
        return answer["value"]

    def read(self, ids):
        return self.run("read", ids)

    def create(self, name):
        return self.run("create", name)

    def rename(self, ids, name):
        self.run("rename", ids, name)


CLIENTS = {
    client.__name__: (client, door) for client, door in [
        (OdooRpc, "jsonrpc"), (Odooly, "jsonrpc"), (OdoolyJson2, "json2"), (OdooLib, "jsonrpc"),
        (OdooLibXmlrpc, "xmlrpc_v1"), (OdooLibJson2, "json2"), (OdooAwait, "xmlrpc"),
    ]
}
every_client = pytest.mark.parametrize("name", CLIENTS)


@every_client
def test_client_logs_in_reads_and_writes_with_a_key(name, world, one):
    client_class, door = CLIENTS[name]
    key = world.key(argument_detail="none")
    client = client_class(one.url, world.name, key.secret)
    partner = client.create(f"by {name}")
    assert client.read([partner]) == [f"by {name}"]
    client.rename([partner], f"renamed by {name}")
    assert world.value("SELECT name FROM res_partner WHERE id = %s", partner) == f"renamed by {name}"
    entries = world.rows(
        "SELECT * FROM api_audit_entry WHERE key_id = %s AND model = 'res.partner' AND method != 'docs'"
        " AND operation != 'read' ORDER BY id", key.id)
    assert [(row["method"], row["outcome"], row["committed"], row["door"]) for row in entries] == [
        ("create", "allowed", True, door), ("write", "allowed", True, door)]


@every_client
def test_client_is_told_cleanly_that_a_policy_refuses_it(name, world, one):
    client_class, _door = CLIENTS[name]
    key = world.key(scope={
        "res.users": "read context_get", "res.partner": "read",
        "ir.model": "read get_available_models",  # odooly asks which models there are
    })
    client = client_class(one.url, world.name, key.secret)
    assert client.read([1])
    with pytest.raises(client.refusal) as refused:
        client.create(f"refused by {name}")
    told = str(refused.value)
    assert OUT_OF_SCOPE in told
    assert "Traceback" not in told
    assert not world.partners(f"refused by {name}")


@every_client
def test_client_with_a_revoked_key_is_not_let_in(name, world, one):
    client_class, _door = CLIENTS[name]
    key = world.key()
    world.revoke(key)
    with pytest.raises(client_class.refusal) as refused:
        client_class(one.url, world.name, key.secret).create(f"revoked {name}")
    assert "Traceback" not in str(refused.value)
    assert not world.partners(f"revoked {name}")

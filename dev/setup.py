"""What does it take to run Odoo 19 with this addon here? Each step does nothing once it is done."""

from . import node, odoo_tree, postgres, python_env
from .layout import DATA, LOG, ODOO_CONF, RUN, make_folders, ADDONS
from .steps import alone


def ensure():
    """Set up all that Odoo needs to start, and start PostgreSQL."""
    make_folders()
    with alone("setup"):
        python_env.ensure()
        node.ensure()
        odoo_tree.ensure()
    postgres.ensure()
    write_config(ODOO_CONF)


def write_config(path, **more):
    """Write an Odoo configuration for this environment; `more` are further options of it."""
    options = {
        "addons_path": ",".join(map(str, (*odoo_tree.addons_paths(), ADDONS))),
        "data_dir": DATA,
        "http_interface": "127.0.0.1",
        **_database(),
        **more,
    }
    lines = "".join(f"{key} = {value}\n" for key, value in options.items())
    fresh = path.with_name(f".{path.name}")
    fresh.write_text(f"[options]\n{lines}")
    fresh.replace(path)


def _database():
    if postgres.is_external():
        return {}  # Odoo reads the PG* variables itself
    return {"db_host": postgres.SOCKET, "db_user": postgres.ROLE}

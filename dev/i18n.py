"""Which words of the addon are there to translate? `make i18n`.

New words have no French yet afterwards; tests/test_i18n.py names them.
"""

from . import databases, postgres, setup
from .layout import ROOT
from .steps import say, step

DB = "i18n"


def run():
    """Write i18n/api_guard.pot anew and bring i18n/fr.po to its terms."""
    setup.ensure()
    try:
        with step("A fresh database with the addon"):
            databases.create_db(DB)
        with step("Its terms"):
            # the package of the tests, which knows what a term is, takes servers from `dev`
            paths = f"import sys; sys.path.append({str(ROOT)!r})\n"
            printed = databases.shell(DB, paths + (ROOT / "dev" / "i18n_terms.py").read_text())
        databases.drop_db(DB)
    finally:
        postgres.stop_unless_used()
    say(printed.strip().splitlines()[-1])
    return 0

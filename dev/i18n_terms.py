"""Code for `odoo shell`: which terms does Odoo's own export find? Writes them into `i18n`, and prints how many."""

import io
from unittest.mock import patch

import polib
from odoo.addons.api_guard.tests.test_i18n import FOLDER, walk_addon
from odoo.tools.translate import trans_export

with patch("odoo.tools.translate.os.walk", walk_addon), io.BytesIO() as export:
    trans_export(None, ["api_guard"], export, "po", env)
    exported = export.getvalue().decode()

template, french = FOLDER / "api_guard.pot", FOLDER / "fr.po"
translated = {entry.msgid: entry.msgstr for entry in polib.pofile(str(french)) if not entry.obsolete}
terms = polib.pofile(exported)
for entry in terms:
    entry.msgstr = translated.get(entry.msgid, "")

# The heads stay: those of an export hold the time of day.
for path, text in ((template, exported), (french, str(terms))):
    head = path.read_text(encoding="utf-8").split("\n\n")[0]
    path.write_text("\n\n".join([head, *text.strip().split("\n\n")[1:]]) + "\n", encoding="utf-8")
print(f"✔ {len(terms)} terms, {len(terms.untranslated_entries())} of them without French")

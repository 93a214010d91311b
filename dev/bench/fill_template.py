"""Code for `odoo shell`: what all databases of the benchmark have in common. Fictitious throughout."""
# ruff: noqa: F821  what the shell and `variants.py` provide

from odoo import Command

countries = env["res.country"].search([], limit=50)
env["res.partner"].create([
    {
        "name": f"Bench Partner {number:04}",
        "email": f"partner{number}@example.com",
        "phone": f"+1 555 01{number:04}",
        "street": f"{number} Example Street",
        "city": f"City {number % 97}",
        "zip": f"{number:05}",
        "is_company": number % 5 == 0,
        "country_id": countries[number % len(countries)].id,
        "ref": "bench",
    }
    for number in range(2000)
])
env["res.users"].create({
    "name": "Bench",
    "login": "bench",
    "password": "bench-password",
    "group_ids": [Command.set((env.ref("base.group_user") | env.ref("base.group_partner_manager")).ids)],
})
env["ir.qweb"]._pregenerate_assets_bundles()
env.cr.commit()

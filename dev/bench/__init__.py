"""How fast is Odoo with the addon, next to Odoo without it and next to OCA's audit log? `make bench`.

    variants.py   three databases, three servers with two workers each: stock, api_guard, auditlog
    fill_*.py     code for `odoo shell`: what their databases hold
    cases.py      what is asked of them, which answer is plausible, and what it may cost
    client.py     HTTP, nothing that retries, hides or waits
    load.py       asks all variants the same in turn, one call after another
    servers.py    what a call cost the server: CPU, SQL statements, memory
    summary.py    distributions and ratios
    timing.py     can a wrong secret be told from another by the time its refusal takes?
    report.py     the terminal, `.dev/bench.json`, `dev/bench/RESULTS.md`

`dev/profile.py` uses the same variants and cases to find where the milliseconds go.
"""

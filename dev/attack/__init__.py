"""What does guessing cost an attacker, and everybody else, with the addon and without it? `make attack`.

    variants.py   two databases, stock and guarded; a server with two workers for each attack, afresh
    fill.py       code for `odoo shell`: who is attacked
    probe.py      a server-wide addon of the measurement's own: counts the secrets that were really compared
    doors.py      how a wrong secret is presented at each door, and what its answer says
    manners.py    who is tried, and from where
    wire.py       raw HTTP on asyncio, from any address of this machine; no client that retries or hides
    attacker.py   a process: so many connections that try as fast as they are answered
    program.py    a process: somebody's program with a valid key, at a fixed pace
    person.py     somebody who is attacked, and logs in with the right password
    child.py      how the two processes are told to start
    main.py       the measurement from its first database to its last line
    report.py     the terminal, `.dev/attack.json`, `.dev/attack.md`

Knows the addon by its name alone: what is in it shows from outside, in answers, in time, and in
which hashes Odoo computes.
"""

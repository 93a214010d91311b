"""A call that may change nothing, whatever its method does, `sudo()` or not: PostgreSQL sees to it.

`SET TRANSACTION READ ONLY` holds until the transaction ends and cannot be taken
back within it. So it is said again for each transaction that the method begins,
by a commit or rollback of its own, and on each cursor that it opens.
"""

import contextlib

_SET = "SET TRANSACTION READ ONLY"


@contextlib.contextmanager
def read_only(cr):
    """Within, `cr` writes nothing. What the ORM has postponed is tried before the end."""
    hold(cr)
    plain = {name: vars(cr).get(name) for name in ("commit", "rollback")}
    for name in plain:
        _hold_after(cr, name)
    try:
        yield
        cr.flush()
    finally:
        for name, before in plain.items():
            vars(cr).pop(name, None)
            if before is not None:
                setattr(cr, name, before)


def hold(cr):
    """The current transaction of `cr` writes nothing more."""
    cr.execute(_SET)


def hold_always(cr):
    """No transaction of `cr` writes anything, as long as it lives."""
    hold(cr)
    for name in ("commit", "rollback"):
        _hold_after(cr, name)


def _hold_after(cr, name):
    end = getattr(cr, name)

    def ended():
        end()
        hold(cr)
        setattr(cr, name, ended)  # the recorder's commit removes itself when it has done its work

    setattr(cr, name, ended)

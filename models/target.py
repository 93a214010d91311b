"""What does a call name: which target, which records, which arguments by which names?

Read from the registry as it is, whether there are such models and methods or not. Used by the guard,
the screens and the OpenAPI document; decides nothing.
"""

import contextlib
import functools
import inspect

from ..core.call import Operation, Target
from ..core.operation import OWN, OWN_METHODS, operations_of
from ..core.steered import is_steered


def target_of(registry, model, method):
    """What a call reaches that names this model and method, whether there are such or not."""
    if (model, method) in OWN_METHODS:
        return Target(model, method, OWN)
    operations = operations_of(method)
    needs_name = renders(registry, model) or (Operation.EXECUTE in operations and steers(registry, model, method))
    return Target(model, method, operations, needs_name)


def steers(registry, model, method):
    """Does a parameter of the method name what it works on? Asked of all that define it: one may be `**kwargs`."""
    if method.startswith("_"):
        return False
    defined = (vars(cls).get(method) for cls in getattr(registry.get(model), "__mro__", ()))
    try:
        names = [name for function in defined if callable(function) for name in _parameters(function)]
    except TypeError:  # an unhashable callable
        return True
    return is_steered(model, method, names)


def renders(registry, model):
    """Does this model evaluate templates? Those that addons bring along are known by what they inherit."""
    mixin, cls = registry.get("mail.render.mixin"), registry.get(model)
    return mixin is not None and cls is not None and issubclass(cls, mixin)


def named_arguments(registry, model, method, args, ids):
    """The positional arguments of an RPC call by their parameters' names, which tell what is a secret."""
    function = getattr(registry.get(model), method, None) if not method.startswith("_") else None
    if not isinstance(args, (list, tuple)) or not callable(function):
        return {"args": args}
    values = list(args) if ids is None else list(args[1:])
    names = [] if ids is None else ["ids"]
    with contextlib.suppress(TypeError):  # an unhashable callable
        names += _told_parameters(registry, model, method, function)
    values = values if ids is None else [ids, *values]
    named = dict(zip(names, values, strict=False))
    return named | ({"args": values[len(names) :]} if len(values) > len(names) else {})


def _told_parameters(registry, model, method, function):
    """The parameters' names of a method; where an override takes `*args`, those of what it overrides."""
    if not _takes_any(function):
        return _parameters(function)
    defined = [vars(cls).get(method) for cls in registry[model].__mro__]
    told = (_parameters(one) for one in filter(callable, defined) if not _takes_any(one))
    return next(told, _parameters(function))


@functools.lru_cache(maxsize=1024)
def _takes_any(function):
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return True
    return any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters)


@functools.lru_cache(maxsize=1024)
def _parameters(function):
    """The names of a method's parameters, without `self`."""
    try:
        return tuple(inspect.signature(function).parameters)[1:]
    except (TypeError, ValueError):  # what is callable need not have a signature
        return ()


def positional_ids(registry, model, method, args):
    """The record ids of an RPC call: its first argument, unless the method belongs to the model as a whole."""
    function = getattr(registry.get(model), method, None) if not method.startswith("_") else None
    if function is None or getattr(function, "_api_model", False) or not isinstance(args, (list, tuple)) or not args:
        return None
    return args[0]


def ids_of(value):
    """All record ids of a call, as far as they are numbers; what is not, Odoo itself will not take."""
    values = value if isinstance(value, (list, tuple)) else [value]
    return tuple({number for number in values if isinstance(number, int) and not isinstance(number, bool)})

from . import test_credential
from . import test_policy_document
from .core import test_decide

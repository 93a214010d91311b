from . import api_policy_test
from . import api_scope_preview

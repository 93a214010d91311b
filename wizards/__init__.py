from . import api_policy_test
from . import api_scope_preview
from . import api_second_factor_enroll

from . import api_audit_consistency
from . import api_breach_report
from . import api_key_bulk
from . import api_key_provision
from . import api_key_rotate
from . import api_policy_test
from . import api_scope_preview
from . import api_second_factor_enroll

from . import api_policy_test

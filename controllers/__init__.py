from . import key, leak, me, openapi, receipt

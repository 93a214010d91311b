from . import leak, me, openapi

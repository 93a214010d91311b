from . import me, openapi

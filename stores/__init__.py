"""Where limits and lockouts are counted: PostgreSQL, Redis or Valkey, or this process alone.

Each is a storage of the `limits` library, over which the library's own strategies run
(tests/server/test_stores.py), and a `Store`: it takes from several counters at once, all or
none, in one round trip. Used by `models/api_limiter.py` and `models/api_lockout.py`.
"""

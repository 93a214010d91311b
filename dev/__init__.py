"""What a developer of this addon runs: setup, odoo, psql, tests, demo. Left out of the archive.

Pure standard library, so that it runs before anything is installed.
"""

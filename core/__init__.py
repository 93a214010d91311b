"""Decisions, and nothing else: no Odoo, no clock, no I/O, no globals that change.

Start at `decide`.
"""

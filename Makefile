# Everything runs below .dev/, which git ignores. Downloads stay in ~/.cache/api_guard.
.DEFAULT_GOAL := help
export PYTHON

.PHONY: help setup stop
help: ## say what can be made
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

setup: ## Python, Odoo 19, PostgreSQL and a browser, each once
	@dev/run setup

stop: ## stop PostgreSQL
	@dev/run stop

# Everything runs below .dev/, which git ignores. Downloads stay in ~/.cache/api_guard.
.DEFAULT_GOAL := help
export PYTHON

.PHONY: help setup stop lock test nightly faults lint i18n test-odoo zip demo bench bench-scale attack profile
help: ## say what can be made
	@sed -n 's/^\([a-z0-9-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

setup: ## Python, Odoo 19, PostgreSQL, and for the tests a browser, Redis and fail2ban, each once
	@dev/run setup

stop: ## stop PostgreSQL
	@dev/run stop

test: ## the whole suite; T=tests/test_x.py or T='a -k expression' for a part
	@dev/run test $(if $(T),"$(T)")

nightly: ## the property tests with EXAMPLES=5000 of each, other ones each time (about 25 minutes)
	@for part in test_data_property test_data_writes test_openapi; do \
		EXAMPLES=$${EXAMPLES:-5000} dev/run test "tests/server/$$part.py" || exit 1; done

faults: ## kill workers and PostgreSQL under load, KILLS=50 times in each durability (about 20 minutes)
	@KILLS=$${KILLS:-50} dev/run test tests/server/test_durability.py

lock: ## newest releases of the Python and npm packages into the lock files
	@dev/run lock

lint: ## ruff, pylint-odoo, XML, prettier and eslint
	@dev/run lint

i18n: ## the addon's words into i18n/api_guard.pot and i18n/fr.po, present translations kept
	@dev/run i18n

test-odoo: ## Odoo's own RPC and HTTP suites with the addon installed; STOCK=1 without
	@dev/run test-odoo $(if $(STOCK),stock)

zip: ## the archive that Odoo's addons folder takes
	@dev/run zip

demo: ## a running Odoo with demo data, and calls to paste
	@dev/run demo

bench: ## stock, guarded and OCA's auditlog in one run; QUICK=1 two minutes; CASES=json2_write,web_page a part
	@dev/run bench $(if $(QUICK),--quick) $(if $(CASES),"--cases=$(CASES)")

attack: ## wrong secrets at every door, stock and guarded; QUICK=1 some doors; DOORS=web_login,db_form SECONDS=60 MANNERS=one,siege
	@dev/run attack $(if $(QUICK),--quick) $(if $(DOORS),"--doors=$(DOORS)") $(if $(MANNERS),"--manners=$(MANNERS)") \
		$(if $(SECONDS),"--seconds=$(SECONDS)") $(if $(CONNECTIONS),"--connections=$(CONNECTIONS)")

bench-limits: ## what two limits cost in PostgreSQL and in Redis; PEERS=10000000 what so many peers do
	@dev/run bench-limits $(if $(PEERS),"--peers=$(PEERS)")

bench-scale: ## a log of N=10000000 entries: inserts, screens, sealing, dropping a month (about 15 minutes)
	@dev/run bench-scale $(if $(N),"--entries=$(N)") $(if $(KEEP),--keep)

profile: ## a flame graph of a worker; CASE=json2_search_read; VARIANT=stock without the addon
	@dev/run profile $(if $(CASE),"--case=$(CASE)") $(if $(VARIANT),"--variant=$(VARIANT)")

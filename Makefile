# `make run`: from nothing to the finished report. `make test`: the tests.
SHELL := /bin/bash
# make has no targets with a blank in their path, and PATH no folders with a colon in their name
ifeq ($(wildcard src/triad/cli.py),)
$(error Run make in Triad's own folder)
endif
ifneq ($(findstring :,$(CURDIR)),)
$(error Move the checkout to a folder without a colon in its path: PATH cannot name it)
endif
ifneq ($(findstring {,$(CURDIR))$(findstring },$(CURDIR)),)
$(error Move the checkout to a folder without a brace in its path: DVC cannot work there)
endif
VENV := .venv
TOPOLOGY := .venv-topology
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# compiled byte code makes every stage start seconds sooner
unexport PYTHONDONTWRITEBYTECODE
export UV_LINK_MODE ?= copy
# DVC's site cache of this checkout; its default is below /var/tmp, where every user of the machine may write
export DVC_SITE_CACHE_DIR ?= $(CURDIR)/.dvc/tmp/site

.PHONY: run stages profile demo test proofs lint airflow airflow-test week-test topology-test kill-trials online-retail ablations peers peers-speed sasrec lock audit clean

run: $(VENV)/.runtime
	@test -e .git || { echo "This folder has no history, which DVC and the nights need: get Triad by git clone" >&2; false; }
	@triad check
	@# one look is enough where nothing changed; what is wrong with the pipeline, `dvc repro` says
	@dvc status --quiet 2>/dev/null || $(MAKE) --no-print-directory stages
	@triad summary

stages:
	@dvc repro pretrain
	@# what needs no fine-tuned network is made beside it: a training step leaves cores idle
	@dvc --wait-for-lock repro --single-item similarity profile & dvc --wait-for-lock repro --single-item finetune; wait
	@dvc repro

# Where the time of the last run went: each stage's seconds, processor time, memory, bytes read and money.
profile: $(VENV)/.runtime
	@triad costs

test: $(VENV)/.dev
	pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow and not proof" $(PYTEST_ARGS)

# The tests that take longer and need no server.
proofs: $(VENV)/.dev
	pytest -n 2 --dist loadfile --no-loadscope-reorder -m "proof and not slow" $(PYTEST_ARGS)

lint: $(VENV)/.dev
	ruff check . && ruff format --check . && mypy

# Airflow, and MLflow beside it, on this machine; prints addresses and login. Ports: TRIAD_AIRFLOW_PORT, TRIAD_MLFLOW_PORT.
airflow: $(VENV)/.airflow
	@exec triad airflow

# A page to try the model that serves, over its own service, on this machine: after `make run`.
DEMO_PORT ?= 8400
demo: $(VENV)/.runtime
	@exec triad serve --demo --port $(DEMO_PORT)

# Real nights in a real Airflow.
airflow-test: $(VENV)/.dev
	pytest -m slow tests/test_airflow_nights.py tests/test_airflow_light.py $(PYTEST_ARGS)

# Seven nights in a row by Airflow's scheduler: corrupt data, a killed task, a worse model; all restored afterwards.
week-test: $(VENV)/.dev
	pytest -m slow tests/test_airflow_week.py -s $(PYTEST_ARGS)

# A night on the deployment of docker/compose.yaml, without Docker. Needs the Debian packages that docs/deployment.md names.
topology-test: $(TOPOLOGY)/.loopback
	$(TOPOLOGY)/bin/python -m pytest -m slow tests/test_topology_nights.py tests/test_source_on_s3.py $(PYTEST_ARGS)

# `kill -9` at random moments of TRIALS nights on that deployment; tests/topology/kills.py explains the options.
kill-trials: $(TOPOLOGY)/.loopback
	PYTHONPATH=tests $(TOPOLOGY)/bin/python -m topology.kills \
	  $(foreach name,TRIALS SEED AFTER KILLS NIGHT,$(if $($(name)),--$(shell echo $(name) | tr A-Z a-z) $($(name))))

# The whole pipeline on a real shop's log: UCI Online Retail, from the folder TRIAD_DATASETS.
online-retail: $(VENV)/.runtime
	@triad workspace configs/online_retail.yaml runs/online_retail
	@cd runs/online_retail && dvc repro && triad summary

# Compares each way of learning with its absence, with intervals: ablations/studies. STUDIES="shop_bodies" and SEEDS=2 run
# less, JOBS=2 runs two seeds at once.
ablations: $(VENV)/.runtime
	@dvc repro features
	@triad ablations run $(STUDIES) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(JOBS),--jobs $(JOBS))

# Other people's models on the rows of a study that `make ablations` has run, in a separate environment.
STUDY ?= shop_bodies
TRIALS ?= 10
peers: $(VENV)/.runtime runs/peers/venv/.installed
	@python benchmarks/peers/export.py $(STUDY) runs/peers/$(STUDY).npz
	@runs/peers/venv/bin/python benchmarks/peers/run.py runs/peers/$(STUDY).npz runs/peers/$(STUDY) --trials $(TRIALS)
	@python benchmarks/peers/report.py $(STUDY) runs/peers/$(STUDY)

# SASRec on the sequences of benchmarks/sequences.py, from the folder TRIAD_DATASETS.
sasrec: runs/peers/venv/.installed
	@runs/peers/venv/bin/python benchmarks/peers/sasrec.py --trials $(TRIALS)

# How fast Triad and other people's models learn the default shop, by turns.
peers-speed: $(VENV)/.runtime runs/peers/venv/.installed runs/peers/recbole/.installed
	@dvc repro features
	@python benchmarks/peers/speed.py

runs/peers/venv/.installed: benchmarks/peers/requirements.txt
	$(call install_peers)

runs/peers/recbole/.installed: benchmarks/peers/recbole.txt
	$(call install_peers)

# torch first and without hashes: which wheel of it is at hand differs from machine to machine
define install_peers
	@test -x $(@D)/bin/python || $(call python) -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet torch==2.13.0
	@$(@D)/bin/python -m pip install --quiet --no-deps --require-hashes -r $<
	@touch $@
endef

$(VENV)/.runtime: requirements/tools.lock requirements/runtime.lock
	$(call install,runtime)

$(VENV)/.airflow: requirements/tools.lock requirements/airflow.lock
	$(call install,airflow)

$(VENV)/.dev: requirements/tools.lock requirements/dev.lock
	$(call install,dev)

# the packages of the images, and those of the object store and the tests
$(TOPOLOGY)/.loopback: requirements/tools.lock requirements/topology.lock requirements/loopback.lock
	$(call install,topology loopback)

define install
	@test -x $(@D)/bin/python || $(call python) -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --require-hashes -r requirements/tools.lock
	@$(@D)/bin/uv pip install --quiet --python $(@D)/bin/python --require-hashes --compile-bytecode $(1:%=-r requirements/%.lock)
	@$(@D)/bin/uv pip install --quiet --python $(@D)/bin/python --no-deps --no-build-isolation --editable .
	@touch $@
endef

# the first Python from 3.11 to 3.13 that starts
python = $$(for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; \
	done || (echo "Triad needs Python 3.11, 3.12 or 3.13" >&2; false))

# Resolve the requirements again: pyproject.toml has the ranges; the lock files have the hashes and no addresses.
LOCK = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header
RESOLVE = $(LOCK) --no-emit-package triad pyproject.toml
lock: $(VENV)/.dev
	$(LOCK) requirements/tools.in -o requirements/tools.lock
	$(RESOLVE) --extra dev -o requirements/dev.lock
	$(RESOLVE) -c requirements/dev.lock --extra airflow -o requirements/airflow.lock
	$(RESOLVE) -c requirements/dev.lock -o requirements/runtime.lock
	@# start from Airflow's pins and change only those that conflict with S3 (tests/test_topology.py names them)
	cp requirements/airflow.lock requirements/topology.lock
	$(RESOLVE) --extra topology -o requirements/topology.lock
	$(LOCK) -c requirements/topology.lock requirements/loopback.in -o requirements/loopback.lock
	$(RESOLVE) -c requirements/topology.lock --extra gpu -o requirements/gpu.lock

# Compares the lock files with known advisories: a folder of OSV records that TRIAD_ADVISORIES names.
audit: $(VENV)/.dev
	@python requirements/audit.py

# Removes the outputs of the stages. Workspaces (`git worktree remove` removes one), deliveries and the registry stay.
clean:
	rm -rf artifacts .triad/checkpoints .triad/failures

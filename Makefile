# The front of the build: each target is a few commands that can be typed as well. CMake does the building (presets in
# CMakePresets.json), into build/; programs come to build/bin.
SHELL := /bin/bash
.DEFAULT_GOAL := all
MAKEFLAGS += --no-print-directory

JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 60
SOAK_SECONDS ?= 600
# To try each single one (TORTURE_SECONDS=inf) takes days.
TORTURE_SECONDS ?= 1800
SIM_HISTORIES ?= 20000
PYTHON ?= /usr/bin/python3
PYTEST = $(PYTHON) -m pytest -c tests/pytest.ini
# What `make sandbox` adds to `atoll sandbox up`, for example SANDBOX_ARGUMENTS="--mongod /usr/bin/mongod"
SANDBOX_ARGUMENTS ?= $(if $(ATOLL_MONGOD),--mongod $(ATOLL_MONGOD))

.PHONY: help deps deps-develop all programs test test-unit test-integration lint lint-cheap format format-check sandbox bench fuzz torture soak sim install package clean \
	test-crash test-kubernetes kubernetes-zones kubernetes-zones-down bench-kubernetes

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' Makefile

deps: ## install what the build and the tests need (Debian 12, apt)
	@deploy/dependencies.sh build test

deps-develop: ## the same for lint, fuzz, format and package
	@deploy/dependencies.sh build test develop

all: ## build the programs into build/bin
	@[ -f build/release/build.ninja ] || cmake --preset release
	@cmake --build --preset release --parallel $(JOBS)

programs: ## the same without the tests' own
	@[ -f build/release/build.ninja ] || cmake --preset release
	@cmake --build --preset release --parallel $(JOBS) --target atoll atoll-controller atoll-zone-agent atoll-mongod-sim

test: deps ## all tests that run in minutes, with a total at the end
	@JOBS=$(JOBS) PYTHON=$(PYTHON) tests/run.sh

test-unit: all ## unit tests of the release build: seconds
	@ctest --test-dir build/release --output-on-failure --parallel $(JOBS)

test-integration: all ## whole programs: TESTS="-k name" picks some, ATOLL_MONGOD=PATH runs them with a real mongod
	@$(PYTEST) tests/integration $(TESTS)

lint-cheap: ## who includes whom, lengths, trailing space: no compiler needed
	@$(PYTHON) tests/lint/check_layers.py
	@$(PYTHON) tests/lint/check_style.py
	@$(PYTEST) tests/lint --quiet

lint: deps-develop all lint-cheap ## that, symbols of the pure parts, and clang-tidy
	@$(PYTHON) tests/lint/check_layers.py --symbols build/release
	@tests/lint/tidy.sh $(JOBS)

format: ## clang-format all C files
	@$(PYTHON) tests/lint/check_style.py --list-c | xargs clang-format -i

format-check: ## fails when clang-format would change something
	@$(PYTHON) tests/lint/check_style.py --list-c | xargs clang-format --dry-run --Werror

test-crash: all ## the controller killed before and after each of its writes and commands, one after the other: most of an hour
	@ATOLL_CRASH_POINTS=1 $(PYTEST) tests/integration/test_crash_points.py tests/integration/test_crash_trust.py $(TESTS)

sandbox: deps programs ## bring a sandbox of three zones up on this machine; `build/bin/atoll sandbox down` removes it
	@build/bin/atoll sandbox up $(SANDBOX_ARGUMENTS)

test-kubernetes: all ## the same on real Kubernetes control planes (built once, about 15 minutes; see tests/kubernetes/README.md)
	@tests/kubernetes/packages.sh
	@$(PYTEST) tests/kubernetes $(TESTS)

kubernetes-zones: all ## three real control planes to play with: build/kubernetes-zones/ZONE/kubeconfig; ZONES="a b=older" names others
	@tests/kubernetes/packages.sh
	@$(PYTHON) tests/kubernetes/bed.py up --dir build/kubernetes-zones $(ZONES)

kubernetes-zones-down: ## stop them and remove build/kubernetes-zones
	@$(PYTHON) tests/kubernetes/bed.py down --dir build/kubernetes-zones

bench: all ## the figures, each beside its yardstick, in about five minutes; results in build/bench.json
	@$(PYTHON) tests/bench/run.py build/bin build/bench.json

bench-kubernetes: all ## memory of an agent with ten members among 2,000 foreign pods, beside `kubectl get --watch` on the same pods
	@tests/kubernetes/packages.sh
	@ATOLL_BIN=$(CURDIR)/build/bin $(PYTHON) tests/kubernetes/bench_memory.py

sim: all ## simulated histories (SIM_HISTORIES=20000), what they reached, and each planted bug: some minutes
	@SIM_HISTORIES=$(SIM_HISTORIES) $(PYTEST) tests/sim $(TESTS)

fuzz: ## each fuzz target for FUZZ_SECONDS (60); TARGETS="spec intent" picks some
	@deploy/dependencies.sh build fuzz
	@[ -f build/fuzz/build.ninja ] || cmake --preset fuzz
	@cmake --build build/fuzz --parallel $(JOBS) --target fuzz_all
	@JOBS=$(JOBS) tests/fuzz/run.sh build/fuzz $(FUZZ_SECONDS) $(TARGETS)

torture: ## unit tests, fuzz targets and histories again, an allocation or effect failing, for TORTURE_SECONDS (1800); NAMES="test_json" picks some
	@deploy/dependencies.sh build test
	@[ -f build/asan/build.ninja ] || cmake --preset asan
	@cmake --build build/asan --parallel $(JOBS)
	@$(PYTHON) tests/torture/torture.py build/asan --jobs $(JOBS) --seconds $(TORTURE_SECONDS) $(NAMES)

soak: deps all ## a sandbox under random real faults for SOAK_SECONDS (600); SOAK_SEED repeats one
	@$(PYTHON) tests/soak/soak.py build/bin --seconds $(SOAK_SECONDS) $(if $(SOAK_SEED),--seed $(SOAK_SEED))

install: all ## into $(DESTDIR)$(PREFIX), /usr/local by default
	@DESTDIR=$(DESTDIR) cmake --install build/release --prefix $(PREFIX)

package: deps-develop all ## .deb and .tar.gz into build/packages
	@cd build/release && cpack --config CPackConfig.cmake -B ../packages

clean: ## remove build/
	rm -rf build

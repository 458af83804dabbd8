# `make help` lists the targets. On a fresh Debian machine with Rust, `make demo` shows what this is and `make test` runs
# everything.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

CARGO ?= cargo
PLUGINS ?= gossip epmd dns k8s basic
TARGET := $(or $(CARGO_TARGET_DIR),target)
# The example of a stranger's strategy is a workspace of its own, and is built apart.
EC2 := examples/strategy-ec2
# What needs network namespaces, a BEAM, a name server, minisign, a browser, Prometheus, shells, systemd or man, or runs
# Cargo; the guide needs most of it.
APART := lab:: beam:: erlang:: dns:: knot:: minisign:: browser:: prometheus:: packaging:: man:: authoring:: guide::
# Most tests wait, for processes and networks: more of them at once than there are cores.
export RUST_TEST_THREADS ?= $(shell expr 2 \* $$(nproc))

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the host in release
	$(CARGO) build --release --package cluster-host

# A crate that is also an rlib gets no link-time optimisation by `cargo build`.
.PHONY: plugins
plugins: ## Build this repository's plugins in release, into plugins/
	for strategy in $(PLUGINS); do \
	    $(CARGO) rustc --release --package strategy-$$strategy --lib --crate-type cdylib; \
	    install -m 644 $(TARGET)/release/libstrategy_$$strategy.so plugins/; \
	done

.PHONY: demo
demo: PLUGINS := gossip
demo: build plugins ## See it work: three hosts find each other, one is killed, it returns
	scripts/demo.sh $(TARGET)/release/cluster-host plugins

.PHONY: check
check: fmt clippy unit doc ## What works offline, without root, namespaces or services

.PHONY: test
test: setup-tests check e2e ec2 deny demo dist-test ## Install what the tests need, and run everything

.PHONY: setup-tests
setup-tests: ## Install what the tests need, where that is allowed
	scripts/setup-tests.sh

.PHONY: fmt
fmt: ## Is it formatted?
	$(CARGO) fmt --all --check

.PHONY: clippy
clippy: ## Lints, of the benchmarks too
	$(CARGO) clippy --workspace --all-targets -- --deny warnings

.PHONY: unit
unit: ## The tests that need loopback only, and those in the documentation
	$(CARGO) test -- $(addprefix --skip ,$(APART))

.PHONY: e2e
e2e: ## The tests that need more than loopback
	$(CARGO) test --lib --test e2e --test pages -- $(APART)

.PHONY: ec2
ec2: export CARGO_TARGET_DIR := $(abspath $(TARGET)/ec2)
ec2: ## Check the example strategy-ec2, with moto in the place of Amazon
	CARGO_TARGET_DIR=$(abspath $(TARGET)) $(CARGO) build --package cluster-host
	cd $(EC2) && $(CARGO) fmt --check
	cd $(EC2) && $(CARGO) clippy --locked --all-targets -- --deny warnings
	cd $(EC2) && MOTO_SERVER=$$($(CURDIR)/scripts/moto.sh)/bin/moto_server CLUSTER_HOST=$(abspath $(TARGET))/debug/cluster-host \
	    $(CARGO) test --locked
	cd $(EC2) && $(CARGO) deny check --allow license-not-encountered bans licenses sources

.PHONY: reference
reference: ## Write docs/configuration.md anew
	UPDATE_EXPECT=1 $(CARGO) test --package cluster-host --test e2e -- guide::reference::

.PHONY: doc
doc: ## Build the documentation
	RUSTDOCFLAGS=--deny=warnings $(CARGO) doc --no-deps

.PHONY: deny
deny: ## Licences, sources and bans of dependencies
	$(CARGO) deny check bans licenses sources

.PHONY: advisories
advisories: ## Known flaws of dependencies; fetches the advisory database
	$(CARGO) deny check advisories

.PHONY: dist
dist: setup-dist ## What is given to others, into dist/: tar.gz, .deb, bills of materials, sums
	scripts/dist.sh

.PHONY: dist-check
dist-check: setup-dist ## The same twice, in two folders: not a byte may differ
	scripts/dist-check.sh

# With all plugins and all optimisations it would take a quarter of an hour more, and show no more; dist-check is for
# whoever gives it to others.
.PHONY: dist-test
dist-test: export PROFILE := quick
dist-test: export PLUGINS := gossip
dist-test: setup-dist ## Package the host quickly, and install, run and remove it where systemd was booted for that
	scripts/dist.sh
	lintian --fail-on error dist/*.deb
	$(CARGO) build --package strategy-basic
	scripts/dist-test.sh $(TARGET)/debug/libstrategy_basic.so

.PHONY: setup-dist
setup-dist: ## Install what packages, by Cargo
	scripts/setup-dist.sh

.PHONY: bench
bench: build plugins ## The benchmarks, each with its rival in the same run
	missed=; for bench in benches/src/bin/*.rs; do \
	    $(CARGO) run --quiet --profile bench --package benches --bin "$$(basename "$$bench" .rs)" || missed="$$missed $$bench"; \
	done; test -z "$$missed" || { echo "goals missed in:$$missed"; exit 1; }

.PHONY: clean
clean: ## Remove what was built
	$(CARGO) clean
	find plugins -name '*.so' -delete

# shard: build, install, demo and tests.
#
#   make deps      install every dependency
#   make           build the extension and shard_engine
#   make install   install both and libduckdb into the server's directories
#   make demo      the main job on real input, on a private server; KEEP=1 keeps it
#   make check     every test, on private servers; SUITES="unit regress" selects
#   make bench     ratios against peers
#   make clean     remove what was built (but for the dependencies in build/deps)
#
# Building itself is in extension.mk.

PG_CONFIG ?= /usr/lib/postgresql/15/bin/pg_config
SHARD_DEPS ?= $(CURDIR)/build/deps
export PG_CONFIG SHARD_DEPS

all:

# On a fresh machine nothing can be built before the dependencies are there.
BUILD_NEEDS = $(if $(wildcard $(PG_CONFIG)),,deps) \
	$(if $(wildcard $(SHARD_DEPS)/include/duckdb.h),,deps)

all install: $(BUILD_NEEDS)
	@$(MAKE) --no-print-directory -f extension.mk $@

uninstall clean:
	@$(MAKE) --no-print-directory -f extension.mk $@

deps:
	test/tools/deps.sh

demo: deps
	test/demo/run $(if $(KEEP),--keep)

check: deps
	test/run $(SUITES)

bench: deps
	test/bench/run
	test/bench/run lake
	test/bench/queries

.PHONY: all install uninstall clean deps demo check bench

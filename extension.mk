# The extension and shard_engine, by PostgreSQL's PGXS; called by Makefile, which
# has the targets of its own that PGXS would clash with.

MODULE_big = shard
EXTENSION  = shard
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" shard.control)
DATA_built = shard--$(EXTVERSION).sql

# The install script's fragments, in order.
SQL_FRAGMENTS = 10_base 20_catalog 30_table 40_engine 50_lake 60_pipeline 62_emit 63_resync 65_tables 67_maintenance 70_fdw 75_command 80_migration 81_schedule 82_isolate 83_ranges 85_monitor 90_restore

SERVER_SOURCES = src/shard.c $(sort $(wildcard \
	src/base/*.c src/router/*.c src/catalog/*.c src/table/*.c src/wire/*.c src/client/*.c \
	src/lake/*.c src/lake/io/*.c src/lake/iceberg/*.c src/lake/registry/*.c \
	src/command/*.c src/pipeline/*.c src/fdw/*.c src/maintain/*.c src/migration/*.c src/monitor/*.c))
OBJS = $(SERVER_SOURCES:.c=.o)

PG_CONFIG ?= /usr/lib/postgresql/15/bin/pg_config
PG_CPPFLAGS = -I$(CURDIR)/src -MMD -MP
PG_CFLAGS   = -Wall -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare \
	-Wno-missing-field-initializers -Wno-declaration-after-statement
SHLIB_LINK  = -lz -lzstd -lsnappy -lxxhash -lcurl
EXTRA_CLEAN = build/engine build/shard_engine build/unit $(OBJS:.o=.d)
# No bitcode: routing is too short to gain from inlining by the JIT compiler.
override with_llvm = no

# Where "make deps" puts libduckdb, its header and the test data.
SHARD_DEPS ?= $(CURDIR)/build/deps

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

-include $(OBJS:.o=.d)

shard--$(EXTVERSION).sql: $(SQL_FRAGMENTS:%=sql/install/%.sql) extension.mk
	cat $(SQL_FRAGMENTS:%=sql/install/%.sql) > $@

# ---- shard_engine: a program of its own, on libduckdb ----

# Pure sources that the engine shares with the server.
ENGINE_SOURCES = $(sort $(wildcard src/engine/*.c src/wire/*.c src/router/hash.c))
ENGINE_OBJS = $(ENGINE_SOURCES:src/%.c=build/engine/%.o)
ENGINE = $(if $(wildcard src/engine/*.c),build/shard_engine)
ENGINE_CFLAGS = -std=gnu11 -O2 -g -fPIC -pthread -Wall -Wextra -Werror -Wno-unused-parameter \
	-Wno-missing-field-initializers -DSHARD_STANDALONE -Isrc -I$(SHARD_DEPS)/include -MMD -MP

build/engine/%.o: src/%.c
	@mkdir -p $(@D)
	$(CC) $(ENGINE_CFLAGS) -c -o $@ $<

build/shard_engine: $(ENGINE_OBJS)
	$(CC) -pthread -o $@ $(ENGINE_OBJS) -L$(SHARD_DEPS)/lib -lduckdb -lxxhash -lz -lm -Wl,-rpath,'$$ORIGIN'

-include $(ENGINE_OBJS:.o=.d)

all: $(ENGINE)

install: install-engine
install-engine: $(ENGINE)
	$(MKDIR_P) '$(DESTDIR)$(pkglibdir)/shard'
	$(if $(ENGINE),$(INSTALL_PROGRAM) build/shard_engine '$(DESTDIR)$(pkglibdir)/shard/shard_engine')
	$(INSTALL_SHLIB) $(SHARD_DEPS)/lib/libduckdb.so '$(DESTDIR)$(pkglibdir)/shard/libduckdb.so'

uninstall: uninstall-engine
uninstall-engine:
	rm -rf '$(DESTDIR)$(pkglibdir)/shard'

.PHONY: install-engine uninstall-engine

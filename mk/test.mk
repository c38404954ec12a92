# Every test of the project. `make check` runs them all; each part also runs alone:
#
#   make layout      the arrows between folders, server headers, symbols of the kernel objects
#   make format-check
#                    that every source is as .clang-format says; `make format` mends those that are not
#   make unit        engine units: plain, then address+undefined, then, if they have threads, thread sanitizer
#   make check-arm   engine units for ARM, in an emulator (mk/arm.mk)
#   make regress     pg_regress (test/sql against expected/)
#   make pgtap       catalog contracts
#   make cluster     pytest against private clusters: crash, recovery, DDL, concurrency
#   make check-server SERVER=18
#                    SQL, catalog, upgrade and some cluster tests on another server (16 and 17 too)
#   make clients     client libraries and ORMs made for pgvector (CLIENTS=node for one folder)
#   make fuzz        each parser for FUZZ_SECONDS
#   make other-compiler
#                    what clang says about the PostgreSQL side; units and fuzzers are compiled by it

.PHONY: check-server format format-check layout other-compiler unit units unit-plain unit-asan unit-tsan prefix regress regress-beside \
	pgtap cluster clients fuzz fuzzers

layout: all format-check
	scripts/check-layout

# Another version of clang-format would format otherwise.
CLANG_FORMAT = clang-format-14

format:
	scripts/format-sources $(CLANG_FORMAT) -i

format-check:
	scripts/format-sources $(CLANG_FORMAT) --dry-run -Werror

# Both compilers warn about what the other one lets pass.
CLANGXX = clang++-14
CLANG_CHECKED = $(patsubst src/%.cpp,build/clang/%.checked,$(filter-out src/engine/%,$(SOURCES)))

build/clang/%.checked: src/%.cpp build/obj/server
	@mkdir -p $(@D)
	@echo "CLANG $<"
	@$(CLANGXX) $(CXXFLAGS) $(CPPFLAGS) -Werror -Wno-unknown-warning-option \
		-Wno-deprecated-volatile -MF $(@:.checked=.d) -MT $@ \
		-fsyntax-only $<
	@touch $@

other-compiler: $(CLANG_CHECKED)

-include $(CLANG_CHECKED:.checked=.d)

# --- A private prefix: the server's own binaries with dvec installed beside them ---
# PostgreSQL finds its library and share folders relative to its executable, so a copied executable in
# a tree of links gives a server that has dvec, without root and without touching the system.
prefix: all vector-shim
	scripts/make-prefix build/prefix

# --- Engine units ---
# A flavour is a way to compile the tests and the engine. `plain` compiles the tests only and tests the
# objects that are shipped. The engine with clang's sanitizers serves the fuzzers too: it counts what
# they reach. Line numbers are all that a failure needs of debugging information, and they compile in
# two thirds of the time.
UNIT_SOURCES := $(shell find test/unit/ -name '*.cpp')
ENGINE_SOURCES := $(filter src/engine/%,$(SOURCES))
# What of the PostgreSQL side sees no header of the server.
PURE_SOURCES := src/postgres/planner/monotone.cpp
UNIT_FLAGS = -std=c++20 -O1 -g1 -Wall -Wextra -Wshadow -Isrc -I. -MMD -MP $(UNIT_EXTRA)
# What every test reads is compiled once for each flavour: for most tests it is more than the test itself.
UNIT_PRELUDE = test/unit/prelude.hpp
UNIT_LIBS = -lgtest -lgtest_main -lisal -lpthread

# What clang's sanitizers find has names and line numbers by this.
export ASAN_SYMBOLIZER_PATH := $(shell command -v llvm-symbolizer-14)

unit_subjects := $(ENGINE_SOURCES) $(PURE_SOURCES)
# How good the graph is takes much data to tell, and nothing to sanitize that other tests do not run.
UNIT_SANITIZED := $(filter-out test/unit/graph/recall%,$(UNIT_SOURCES))
# Threads can do nothing to each other where a test has one, or has others only to link, which tests of linking do.
UNIT_THREADED := test/unit/graph/linker_test.cpp $(shell grep -lE 'std::thread|ThreadPool|::fork' $(UNIT_SANITIZED))

unit_tests_plain := $(UNIT_SOURCES)
unit_compiler_plain = $(CXX)
unit_flags_plain :=
unit_objects_plain := $(unit_subjects:src/%.cpp=build/obj/%.o)

unit_tests_asan := $(UNIT_SANITIZED)
unit_compiler_asan = $(CLANGXX)
unit_flags_asan := -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined \
	-fno-sanitize-recover=all
unit_objects_asan := $(unit_subjects:%.cpp=build/unit-asan/%.o)

# Warnings are errors here, where clang compiles every source. What g++ guesses about the bounds of what it has
# inlined depends on the flavour, and is wrong now and then.
unit_warnings_asan = $(WARNINGS)

unit_tests_tsan := $(UNIT_THREADED)
unit_compiler_tsan = $(CXX)
unit_flags_tsan := -fsanitize=thread
unit_objects_tsan := $(unit_subjects:%.cpp=build/unit-tsan/%.o)

define unit_flavour
build/unit-$1/flags: FORCE
	$$(call written,$$(unit_compiler_$1) $$(UNIT_FLAGS) $$(unit_flags_$1))

# The compiler takes the file beside it that ends with .gch instead of this one. One that a compiler cache brings may
# have been made for another copy, which clang refuses.
build/unit-$1/prelude.hpp: $(UNIT_PRELUDE)
	@mkdir -p $$(@D)
	@cp $$< $$@

build/unit-$1/prelude.hpp.gch: build/unit-$1/prelude.hpp build/unit-$1/flags
	@echo "CXX $1 $$<"
	@CCACHE_DISABLE=1 $$(unit_compiler_$1) $$(UNIT_FLAGS) $$(unit_flags_$1) -MF $$(@:.gch=.d) -x c++-header -o $$@ $$<

build/unit-$1/test/unit/%.o: test/unit/%.cpp build/unit-$1/flags build/unit-$1/prelude.hpp.gch
	@mkdir -p $$(@D)
	@echo "CXX $1 $$<"
	@$$(unit_compiler_$1) $$(UNIT_FLAGS) $$(unit_flags_$1) $$(unit_warnings_$1) -include build/unit-$1/prelude.hpp -c -o $$@ $$<

build/unit-$1/%.o: %.cpp build/unit-$1/flags
	@mkdir -p $$(@D)
	@echo "CXX $1 $$<"
	@$$(unit_compiler_$1) $$(UNIT_FLAGS) $$(unit_flags_$1) $$(unit_warnings_$1) $$(call isa_flags,$$<) -c -o $$@ $$<

build/unit-$1/units: $$(unit_objects_$1) $$(unit_tests_$1:%.cpp=build/unit-$1/%.o)
	@echo "LINK $$@"
	@$$(unit_compiler_$1) $$(unit_flags_$1) -o $$@ $$^ $$(UNIT_LIBS)

unit-$1: build/unit-$1/units
	$$< --gtest_brief=1 $$(if $$(FILTER),--gtest_filter='$$(FILTER)')

-include $$(patsubst %.cpp,build/unit-$1/%.d,$$(unit_subjects) $$(unit_tests_$1))
endef
$(foreach flavour,plain asan tsan,$(eval $(call unit_flavour,$(flavour))))

unit: unit-plain unit-asan unit-tsan

units: $(foreach flavour,plain asan tsan,build/unit-$(flavour)/units)

# --- SQL ---
regress: prefix
	scripts/run-regress $(REGRESS)

# Of tests that make indexes, those that name no type or setting that pgvector has otherwise.
BESIDE = dvec_access_method hnsw_changes hnsw_distance_bounds hnsw_one_distance hnsw_order \
	hnsw_order_expressions hnsw_tables hnsw_types hnsw_unread_distance vector_search vector_search_executor
regress-beside: prefix
	scripts/run-regress --beside $(BESIDE)

pgtap: prefix
	scripts/run-pgtap test/pgtap

# Preloaded into servers whose files are to fail, or to lose what a disk without power would lose.
build/faults.so: test/faults/faults.c
	@mkdir -p $(@D)
	@echo "CC $<"
	@gcc -shared -fPIC -O2 -fexceptions -Wall -Wextra -Wshadow -o $@.new $< -ldl && mv $@.new $@

# Loaded by sessions of a server that preloads dvec.
build/foreign_settings.so: test/libraries/foreign_settings.c
	@mkdir -p $(@D)
	@echo "CC $<"
	@gcc -shared -fPIC -O2 -Wall -isystem "$$($(PG_CONFIG) --includedir-server)" -o $@.new $< && mv $@.new $@

TEST_LIBRARIES = build/faults.so build/foreign_settings.so

cluster: prefix $(TEST_LIBRARIES)
	DVEC_PREFIX_BIN=$(CURDIR)/build/prefix/bin \
		scripts/unprivileged /usr/bin/python3 -m pytest -q -p no:cacheprovider test/cluster $(PYTEST_ARGS)

SERVER ?= 18
check-server: prefix $(TEST_LIBRARIES)
	scripts/check-server $(SERVER)

# Their packages come from the registries of Python and node, into build/clients.
clients: prefix
	PYTEST_ARGS='$(PYTEST_ARGS)' scripts/run-clients $(CLIENTS)

# --- Fuzzers ---
FUZZ_SECONDS ?= 60
FUZZERS = $(patsubst test/fuzz/%.cpp,build/fuzz/%,$(wildcard test/fuzz/*_fuzzer.cpp))

build/fuzz/%: build/unit-asan/test/fuzz/%.o $(unit_objects_asan)
	@mkdir -p $(@D)
	@echo "LINK $@"
	@$(CLANGXX) $(unit_flags_asan) -fsanitize=fuzzer -o $@ $^ -lisal -lpthread

fuzzers: $(FUZZERS)

-include $(FUZZERS:build/fuzz/%=build/unit-asan/test/fuzz/%.d)

fuzz: $(FUZZERS)
	scripts/run-fuzzers $(FUZZ_SECONDS) $(FUZZERS)

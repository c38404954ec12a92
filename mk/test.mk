# Every test of the project. `make check` runs them all; each part also runs alone:
#
#   make layout      the arrows between folders, server headers, symbols of the kernel objects
#   make unit        engine units: plain, then address+undefined, then thread sanitizer
#   make regress     pg_regress (test/sql against expected/)
#   make pgtap       catalog contracts
#   make cluster     pytest against private clusters: crash, recovery, DDL, concurrency
#   make check-server SERVER=18
#                    SQL, catalog, upgrade and some cluster tests on another server (16 too)
#   make clients     client libraries and ORMs made for pgvector (CLIENTS=node for one folder)
#   make fuzz        each parser for FUZZ_SECONDS

.PHONY: check-server layout unit units unit-plain unit-asan unit-tsan prefix regress pgtap cluster clients fuzz \
	fuzzers

layout: $(OBJS)
	scripts/check-layout

# --- A private prefix: the server's own binaries with dvec installed beside them ---
# PostgreSQL finds its library and share folders relative to its executable, so a copied executable in
# a tree of links gives a server that has dvec, without root and without touching the system.
prefix: all vector-shim
	scripts/make-prefix build/prefix

# --- Engine units ---
UNIT_SOURCES := $(shell find test/unit/ -name '*.cpp')
ENGINE_SOURCES := $(filter src/engine/%,$(SOURCES))
# What of the PostgreSQL side sees no header of the server.
PURE_SOURCES := src/postgres/planner/monotone.cpp
UNIT_FLAGS = -std=c++20 -g -Wall -Wextra -Wshadow -Isrc -I. -MMD -MP $(UNIT_EXTRA)
UNIT_LIBS = -lgtest -lgtest_main -lisal -lpthread

unit_flags_plain := -O2
unit_flags_asan := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
unit_flags_tsan := -O1 -fsanitize=thread

define unit_flavour
build/unit-$1/%.o: %.cpp
	@mkdir -p $$(@D)
	@echo "CXX $1 $$<"
	@$$(CXX) $$(UNIT_FLAGS) $$(unit_flags_$1) $$(call isa_flags,$$<) -c -o $$@ $$<

build/unit-$1/units: $$(patsubst %.cpp,build/unit-$1/%.o,$$(ENGINE_SOURCES) $$(PURE_SOURCES) $$(UNIT_SOURCES))
	@echo "LINK $$@"
	@$$(CXX) $$(unit_flags_$1) -o $$@ $$^ $$(UNIT_LIBS)

unit-$1: build/unit-$1/units
	$$< --gtest_brief=1 $$(if $$(FILTER),--gtest_filter='$$(FILTER)')

-include $$(patsubst %.cpp,build/unit-$1/%.d,$$(ENGINE_SOURCES) $$(PURE_SOURCES) $$(UNIT_SOURCES))
endef
$(foreach flavour,plain asan tsan,$(eval $(call unit_flavour,$(flavour))))

unit: unit-plain unit-asan unit-tsan

units: $(foreach flavour,plain asan tsan,build/unit-$(flavour)/units)

# --- SQL ---
regress: prefix
	scripts/run-regress $(REGRESS)

pgtap: prefix
	scripts/run-pgtap test/pgtap

# Preloaded into servers whose files are to fail, or to lose what a disk without power would lose.
build/faults.so: test/faults/faults.c
	@mkdir -p $(@D)
	@echo "CC $<"
	@gcc -shared -fPIC -O2 -fexceptions -Wall -Wextra -Wshadow -o $@.new $< -ldl && mv $@.new $@

cluster: prefix build/faults.so
	scripts/unprivileged /usr/bin/python3 -m pytest -q -p no:cacheprovider test/cluster $(PYTEST_ARGS)

SERVER ?= 18
check-server: prefix build/faults.so
	scripts/check-server $(SERVER)

# Their packages come from the registries of Python and node, into build/clients.
clients: prefix
	PYTEST_ARGS='$(PYTEST_ARGS)' scripts/run-clients $(CLIENTS)

# --- Fuzzers ---
FUZZ_SECONDS ?= 60
FUZZERS = $(patsubst test/fuzz/%.cpp,build/fuzz/%,$(wildcard test/fuzz/*_fuzzer.cpp))

FUZZ_FLAGS = -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
	-Isrc -I. -MMD -MP
FUZZ_OBJECTS = $(ENGINE_SOURCES:%.cpp=build/fuzz/obj/%.o)

build/fuzz/obj/%.o: %.cpp
	@mkdir -p $(@D)
	@echo "CXX fuzz $<"
	@clang++-14 $(FUZZ_FLAGS) $(call isa_flags,$<) -c -o $@ $<

build/fuzz/%: build/fuzz/obj/test/fuzz/%.o $(FUZZ_OBJECTS)
	@echo "LINK $@"
	@clang++-14 $(FUZZ_FLAGS) -o $@ $^ -lisal -lpthread

fuzzers: $(FUZZERS)

-include $(FUZZ_OBJECTS:.o=.d) $(FUZZERS:build/fuzz/%=build/fuzz/obj/test/fuzz/%.d)

fuzz: $(FUZZERS)
	scripts/run-fuzzers $(FUZZ_SECONDS) $(FUZZERS)

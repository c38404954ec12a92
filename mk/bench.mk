# Benchmarks: measured by hand on an idle machine, never part of check. docs/benchmarks.md tells how.
#
#   make bench             build the programs
#   make bench-run         measure: SECTIONS (default all), SCALE=small|full, PGVECTOR=<bin folder of a
#                          server that has pgvector>, BENCH_ARGS for anything else of bench/run
#   make bench-data        fetch the data sets that are packages (the sections search, recall and targets use them)
#   make bench-report      write docs/benchmarks.md from the results of that SCALE
#   make bench-compare     OLD=<csv> NEW=<csv>: fail when NEW is slower than the noise explains
#
# The programs are compiled for this very machine: hnswlib chooses its kernels when it is compiled.

.PHONY: bench bench-data bench-run bench-report bench-compare

BENCH_FLAGS = -std=c++20 -O3 -march=native -fopenmp-simd -Wall -Wextra -Wshadow -Isrc -I. -MMD -MP

# Engine programs: one file each, on objects of the engine. hnswlib 0.6.2 defines functions in its headers,
# so a program that includes it as it is cannot have the linker's object beside it: the kernels get
# their own only.
BENCHES = $(patsubst %.cpp,build/%,$(wildcard bench/*/*_benchmark.cpp))
KERNELS_BENCH = build/bench/kernels/kernels_benchmark
engine_objects = $(patsubst src/%.cpp,build/obj/%.o,$(1))

$(KERNELS_BENCH): $(call engine_objects,$(filter src/engine/distance/% src/engine/base/%,$(ENGINE_SOURCES)))
$(filter-out $(KERNELS_BENCH),$(BENCHES)): $(call engine_objects,$(ENGINE_SOURCES))

build/bench/%_benchmark: bench/%_benchmark.cpp
	@mkdir -p $(@D)
	@echo "LINK $@"
	@$(CXX) $(BENCH_FLAGS) -o $@ $(filter %.cpp %.o,$^) -lbenchmark -lisal -lpthread

# The harness: its client knows libpq and no dvec code; of those without a server one is hnswlib and nothing else of
# ours, and one is our engine.
BENCH_PROGRAMS = build/bench/bench_client build/bench/make_data build/bench/bare_hnswlib build/bench/bare_dvec

build/bench/obj/%.o: bench/%.cpp
	@mkdir -p $(@D)
	@echo "CXX bench $<"
	@$(CXX) $(BENCH_FLAGS) -isystem $(shell $(PG_CONFIG) --includedir) -c -o $@ $<

build/bench/bench_client: $(patsubst bench/%.cpp,build/bench/obj/%.o,$(wildcard bench/client/*.cpp))
build/bench/make_data: build/bench/obj/data/make_data.o
IN_PROCESS = build/bench/obj/peers/in_process.o build/bench/obj/client/measure.o
build/bench/bare_hnswlib: build/bench/obj/peers/bare_hnswlib.o $(IN_PROCESS)
build/bench/bare_dvec: build/bench/obj/peers/bare_dvec.o $(IN_PROCESS) $(call engine_objects,$(ENGINE_SOURCES))

$(BENCH_PROGRAMS):
	@echo "LINK $@"
	@$(CXX) $(BENCH_FLAGS) -o $@ $^ -L$(shell $(PG_CONFIG) --libdir) -lpq -lisal -lpthread

-include $(patsubst bench/%.cpp,build/bench/obj/%.d,$(wildcard bench/client/*.cpp bench/data/*.cpp \
	bench/peers/*.cpp)) $(BENCHES:=.d)

bench: $(BENCHES) $(BENCH_PROGRAMS)

SCALE ?= small
SECTIONS ?= all

build/bench/packages/.made: bench/requirements.txt
	@rm -rf $(@D)
	/usr/bin/python3 -m pip install --quiet --disable-pip-version-check --no-deps --target $(@D) -r $<
	@touch $@

bench-data: build/bench/packages/.made

# The library that pretends another boot; without it the section on restarts leaves the power on.
bench-run: prefix $(BENCH_PROGRAMS) $(KERNELS_BENCH) $(if $(filter all search recall targets,$(SECTIONS)),bench-data) \
		$(if $(wildcard test/faults/faults.c),build/faults.so)
	bench/run --scale $(SCALE) $(if $(PGVECTOR),--pgvector $(PGVECTOR)) $(BENCH_ARGS) $(SECTIONS)

bench-report:
	bench/run --scale $(SCALE) $(BENCH_ARGS) report

bench-compare:
	bench/run compare $(OLD) $(NEW)

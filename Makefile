# dvec: a PostgreSQL extension built with PGXS. Two commands matter to a newcomer:
#
#   make demo     install what is needed, build, start a private server, answer real queries
#   make check    install what is needed, build, run every test
#
# For packagers: `make` and `make install` are the usual PGXS pair and touch nothing else.
# All products except dvec.so go under build/.

PG_CONFIG ?= pg_config
JOBS ?= $(shell nproc)

# These goals run before anything is installed, or on their own; PGXS, which has a `check` that only
# says no, is left out for them. In a package (mk/package.mk) there are no tests but those of `make installcheck`.
own_goals := dependencies $(if $(wildcard mk/test.mk),check demo)
ifneq ($(filter $(own_goals),$(MAKECMDGOALS)),)

.PHONY: check demo dependencies

check:
	scripts/install-dependencies check
	$(MAKE) -s --no-print-directory -j$(JOBS) WARNINGS=-Werror prefix layout units fuzzers other-compiler \
		arm-units-if-possible
	$(MAKE) --no-print-directory -j$(JOBS) -Oline unit check-arm
	$(MAKE) --no-print-directory regress pgtap
	$(MAKE) --no-print-directory -j$(JOBS) -Oline cluster clients fuzz check-server check-dist

demo: dependencies
	$(MAKE) -s --no-print-directory -j$(JOBS) prefix
	demo/run

dependencies:
	scripts/install-dependencies

else

PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifeq ($(PGXS),)
$(error $(PG_CONFIG) not found: run "make dependencies", or set PG_CONFIG)
endif

MODULE_big = dvec
EXTENSION = dvec
DATA = $(wildcard sql/dvec--*.sql)

SOURCES := $(shell find src/ -name '*.cpp')
OBJS = $(SOURCES:src/%.cpp=build/obj/%.o)

# Only what a C++20 build needs on top of the server's own flags. Every object carries just the
# baseline instruction set of the platform; the kernels that go beyond it are compiled by their own
# rule in mk/engine.mk and chosen at run time.
PG_CPPFLAGS = -Isrc -isystem $(shell $(PG_CONFIG) --includedir-server)
PG_CXXFLAGS = -std=c++20 -Wextra -Wshadow -Wno-unused-parameter -Wno-missing-field-initializers \
	-Wno-register -Wno-volatile -Wno-clobbered -fvisibility=hidden -fvisibility-inlines-hidden \
	-MMD -MP $(WARNINGS)
SHLIB_LINK = -lstdc++ -lisal -lpthread

# The just-in-time compiler has nothing to inline from a C++ index, and bitcode would need clang.
override with_llvm = no

# `make installcheck` runs the SQL tests against an installed server that preloads dvec.
REGRESS = $(patsubst test/sql/%.sql,%,$(sort $(wildcard test/sql/*.sql)))
REGRESS_OPTS = --inputdir=test --load-extension=dvec --launcher=scripts/plan-text

EXTRA_CLEAN = build

include $(PGXS)

# What a server was configured with for its C files, and a C++ compiler or an older one does not know.
c_only := -fexcess-precision=% -Wmissing-variable-declarations
override CXXFLAGS := $(filter-out $(c_only),$(CXXFLAGS))
override CFLAGS := $(filter-out $(c_only),$(CFLAGS))

include mk/engine.mk
include mk/shim.mk
include $(wildcard mk/test.mk mk/arm.mk mk/bench.mk mk/package.mk)

installcheck: test/expected

# A package has no links.
test/expected:
	ln -s ../expected $@

# A recipe that writes a text into the target unless it says so already: what depends on the target is
# made anew when the text changes, and only then.
written = @mkdir -p $(@D); [ "$$(cat $@ 2>/dev/null)" = '$(strip $1)' ] || echo '$(strip $1)' >$@

.PHONY: FORCE

# Objects compiled for another server would link with this one's and break it. The engine knows none.
build/obj/server: FORCE
	$(call written,$(VERSION) $(pkglibdir))

$(filter-out build/obj/engine/%,$(OBJS)): build/obj/server

build/obj/%.o: src/%.cpp
	@mkdir -p $(@D)
	@echo "CXX $<"
	@$(CXX) $(CXXFLAGS) $(CPPFLAGS) $(CFLAGS_SL) $(call isa_flags,$<) -c -o $@ $<

-include $(OBJS:.o=.d)

endif

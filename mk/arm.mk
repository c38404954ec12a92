# The engine on 64-bit ARM, by a cross compiler and an emulator:
#
#   make check-arm     the tests of what depends on the processor: kernels, checksums, layouts, the log, and
#                      searches by those kernels
#
# Tests of the store stay away: the emulator hides the number of the mount, which they count on, and what is in
# them is as on any processor.

.PHONY: arm-units arm-units-if-possible check-arm

ARM_CXX = aarch64-linux-gnu-g++
ARM_FLAGS = -std=c++20 -g1 -Wall -Wextra -Wshadow -Isrc -I. -MMD -MP $(WARNINGS)
ARM_LIBRARIES = build/arm/sysroot/usr/lib/aarch64-linux-gnu
GOOGLETEST = /usr/src/googletest/googletest

ARM_SOURCES := $(filter $(foreach folder,base distance graph log,src/engine/$(folder)/%),$(SOURCES)) \
	$(PURE_SOURCES) $(filter $(foreach folder,base distance planner,test/unit/$(folder)/%),$(UNIT_SOURCES)) \
	$(foreach test,graph/format graph/code_judge graph/search_parts graph/search log/damage log/round_trip \
	log/segment,test/unit/$(test)_test.cpp)
ARM_OBJECTS := $(ARM_SOURCES:%.cpp=build/arm/%.o)

# Kernels as they are shipped; everything else as it compiles fastest.
build/arm/%.o: %.cpp
	@mkdir -p $(@D)
	@echo "CXX arm $<"
	@$(ARM_CXX) $(ARM_FLAGS) $(if $(filter src/engine/distance/%,$<),-O2,-O1) \
		$(if $(filter src/engine/%,$<),$(isa_flags_$(filter code,$(basename $(notdir $<))))) -c -o $@ $<

build/arm/gtest/%.o: $(GOOGLETEST)/src/%.cc
	@mkdir -p $(@D)
	@echo "CXX arm $<"
	@$(ARM_CXX) -O1 -I$(GOOGLETEST) -c -o $@ $<

build/arm/units: $(ARM_OBJECTS) build/arm/gtest/gtest-all.o build/arm/gtest/gtest_main.o
	@echo "LINK $@"
	@$(ARM_CXX) -o $@ $^ -L$(ARM_LIBRARIES) -lisal -lpthread

arm-units: build/arm/units

arm-units-if-possible:
	+@MAKE='$(MAKE)' scripts/check-arm build

check-arm:
	+@MAKE='$(MAKE)' scripts/check-arm run

-include $(ARM_OBJECTS:.o=.d)

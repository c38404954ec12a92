// What a process remembers of an index for searches with a filter. Nothing of it decides what is
// returned in the end, only what is looked at again. It is of one set of node files, and goes with
// the object that has them open.
#pragma once

#include "engine/graph/admitted_sets.hpp"
#include "engine/graph/sketches.hpp"

namespace dvec::graph {

struct FilterMemory {
    AdmittedSets admitted;
    Sketches sketches;
};

}  // namespace dvec::graph

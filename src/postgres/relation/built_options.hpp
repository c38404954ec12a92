// What an index is, beside what its options say it is to become.
#pragma once

#include "postgres/relation/options.hpp"

namespace dvec::postgres {

// The index's options; but of those that count from its next build on, what it was built with. Of
// an index that is not in use, all as they are set.
IndexOptions built_options(Relation index);

}  // namespace dvec::postgres

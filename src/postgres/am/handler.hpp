// The index access methods dvec, hnsw and ivfflat as a whole.
#pragma once

namespace dvec::postgres {

// Options and settings; called when the library is loaded.
void access_method_init();

}  // namespace dvec::postgres

// What dvec has to say about CREATE EXTENSION.
#pragma once

namespace dvec::postgres {

// When the library is loaded: from then on a failing CREATE EXTENSION vector is explained.
void extension_init();

}  // namespace dvec::postgres

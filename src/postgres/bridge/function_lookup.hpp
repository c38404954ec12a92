// The moment at which a session shows that its database has our functions.
#pragma once

namespace dvec::postgres {

// Runs `act` whenever this process looks up a function of ours for the first time; it may ereport.
// One for the library, set when it is loaded.
void at_function_lookup(void (*act)());

// For DVEC_FUNCTION.
void note_function_lookup();

}  // namespace dvec::postgres

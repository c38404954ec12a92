// The moment at which a session shows that its database has our types.
#pragma once

namespace dvec::postgres {

// Runs `act` whenever this process looks up a function for the first time that only databases with
// our types have; it may ereport. One for the library, set when it is loaded.
void at_function_lookup(void (*act)());

// For DVEC_FUNCTION.
void note_function_lookup();

}  // namespace dvec::postgres

#include "postgres/bridge/function_lookup.hpp"

namespace dvec::postgres {

namespace {

void (*action)();

}  // namespace

void at_function_lookup(void (*act)()) { action = act; }

void note_function_lookup() {
    if (action != nullptr)
        action();
}

}  // namespace dvec::postgres

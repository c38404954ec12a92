// Numbers on the command line of a program that is run by hand.
#pragma once

#include <cstdlib>
#include <type_traits>

namespace dvec::bench {

// Those from argv[first] on, in this order. What is not there stays as it is.
template <class... Numbers>
void read_numbers(int argc, char **argv, int first, Numbers &...numbers) {
    const auto read = [&](auto &number) {
        if (first < argc)
            number = static_cast<std::decay_t<decltype(number)>>(
                std::strtoull(argv[first++], nullptr, 10));
    };
    (read(numbers), ...);
}

}  // namespace dvec::bench

// What the benchmark programs share at their edges: "--name value" arguments, and one JSON
// object as the answer. They are run by bench/run, which checks what people type.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "bench/failure.hpp"

namespace dvec::bench {

class Arguments {
  public:
    // Everything from argv[first] on.
    Arguments(int argc, char **argv, int first) {
        for (int i = first; i < argc; i += 2) {
            const std::string name = argv[i];
            if (!name.starts_with("--") || i + 1 >= argc)
                fail("expected --name value, not " + name);
            values_[name.substr(2)] = argv[i + 1];
        }
    }

    bool has(const std::string &name) const { return values_.contains(name); }

    std::string text(const std::string &name) const {
        const auto found = values_.find(name);
        if (found == values_.end())
            fail("--" + name + " is missing");
        return found->second;
    }

    std::string text(const std::string &name, const std::string &otherwise) const {
        return has(name) ? text(name) : otherwise;
    }

    double number(const std::string &name) const {
        const std::string value = text(name);
        char *end = nullptr;
        const double number = std::strtod(value.c_str(), &end);
        if (value.empty() || *end != '\0')
            fail("--" + name + " is not a number: " + value);
        return number;
    }

    double number(const std::string &name, double otherwise) const {
        return has(name) ? number(name) : otherwise;
    }

    std::size_t count(const std::string &name) const {
        return static_cast<std::size_t>(number(name));
    }

    std::size_t count(const std::string &name, std::size_t otherwise) const {
        return has(name) ? count(name) : otherwise;
    }

  private:
    std::map<std::string, std::string> values_;
};

// Numbers by name, printed as one line of JSON.
class Report {
  public:
    void add(const std::string &name, double value) { values_.emplace_back(name, value); }

    void print() const {
        const char *separator = "{";
        for (const auto &[name, value] : values_) {
            std::printf("%s\"%s\": %.9g", separator, name.c_str(), value);
            separator = ", ";
        }
        std::printf("%s}\n", values_.empty() ? "{" : "");
        std::fflush(stdout);
    }

  private:
    std::vector<std::pair<std::string, double>> values_;
};

}  // namespace dvec::bench

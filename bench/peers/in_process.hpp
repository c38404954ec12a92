// What is measured without a server: an index in the memory of one process, on the same files and
// with the same parameters as the servers have it. A program of this kind
//
//     NAME --base F --queries F --truth F --metric l2|cosine --m M --ef-construction E --threads T
//
// builds, prints what that took as one JSON object, and then answers each line of standard input
// with another object, so that its measurements can be taken in turns with those of the servers:
//
//     recall EF                      over all queries
//     search EF CLIENTS SECONDS      threads at full speed
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "bench/client/arguments.hpp"
#include "bench/client/recall.hpp"

namespace dvec::bench {

// The k rows that are measured: as many as the servers are asked for.
constexpr std::size_t k_in_process = 10;

class InProcess {
  public:
    // Who asks, one of them for each thread.
    class Client {
      public:
        virtual ~Client() = default;
        // The k nearest rows of the base, in any order.
        virtual std::vector<std::int32_t> ask(const float *query, std::size_t ef) = 0;
    };

    virtual ~InProcess() = default;
    virtual void build(std::size_t threads) = 0;
    // Of the whole index, vectors included.
    virtual std::size_t bytes() const = 0;
    virtual std::unique_ptr<Client> client() = 0;
};

// Builds, and answers standard input to its end.
void serve(InProcess &peer, const Truth &truth, std::size_t threads);

Truth truth_of(const Arguments &arguments);

// The main program of a peer, which is made of its arguments and the rows of the base.
template <class Peer>
void run_in_process(int argc, char **argv) {
    const Arguments arguments(argc, argv, 1);
    const Truth truth = truth_of(arguments);
    Peer peer(arguments, truth.base);
    serve(peer, truth, arguments.count("threads"));
}

}  // namespace dvec::bench

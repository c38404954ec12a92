// How the linker looks for a new node's neighbours: by a best-first walk on one level (Malkov &
// Yashunin 2018, algorithm 2), which keeps every node it meets, whether its row is gone or not.
// Lists are read without locks, as searches read them, and nothing in them is trusted: counts are
// clamped, and an id is used only when the graph says that it has a list on that level.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>

#include "engine/graph/beam.hpp"
#include "engine/graph/visited_set.hpp"

namespace dvec::graph {

// Memory of one thread, kept from search to search.
class CandidateSearch {
  public:
    // Walks from `from` until the `ef` nearest nodes found are expanded. `Graph` gives the words of
    // a node's list (list), how many links it may have (limit), whether an id may be followed
    // (followable), a node as a candidate by its distance (measure), and prefetches what measuring
    // reads (prefetch) or a list (prefetch_list).
    template <class Graph>
    const Beam &run(const Graph &graph, NodeId from, std::size_t ef) {
        beam_.reset(ef);
        visited_.reset(ef * 32);
        visited_.reserve(1);
        visited_.insert(from);
        beam_.insert(graph.measure(from));
        for (Candidate nearest; (nearest = beam_.next()) != Beam::none;) {
            beam_.mark_next_expanded();
            expand(graph, candidate_id(nearest));
        }
        return beam_;
    }

    // What the last walk found.
    const Beam &found() const noexcept { return beam_; }

    // Goes to a nearer neighbour until there is none. The distance falls at every step, so this
    // ends even on lists that change meanwhile.
    template <class Graph>
    static NodeId descend(const Graph &graph, NodeId from) {
        Candidate nearest = graph.measure(from);
        for (bool moved = true; moved;) {
            moved = false;
            const std::atomic<std::uint32_t> *words = graph.list(candidate_id(nearest));
            const std::size_t count =
                std::min<std::size_t>(words[0].load(std::memory_order_acquire), graph.limit());
            for (std::size_t i = 1; i <= count; ++i) {
                const NodeId neighbour = words[i].load(std::memory_order_relaxed);
                if (!graph.followable(neighbour))
                    continue;
                if (const Candidate candidate = graph.measure(neighbour); candidate < nearest) {
                    nearest = candidate;
                    moved = true;
                }
            }
        }
        return candidate_id(nearest);
    }

  private:
    static constexpr std::size_t most_links = 256;

    template <class Graph>
    void expand(const Graph &graph, NodeId id) {
        const std::atomic<std::uint32_t> *words = graph.list(id);
        const std::size_t count =
            std::min<std::size_t>(words[0].load(std::memory_order_acquire), graph.limit());
        visited_.reserve(count);
        NodeId unseen[most_links];
        std::size_t unseen_count = 0;
        for (std::size_t i = 1; i <= count; ++i) {
            const NodeId neighbour = words[i].load(std::memory_order_relaxed);
            if (!graph.followable(neighbour) || !visited_.insert(neighbour))
                continue;
            unseen[unseen_count++] = neighbour;
            graph.prefetch(neighbour);
        }
        if (const Candidate next = beam_.next(); next != Beam::none)
            graph.prefetch_list(candidate_id(next));
        for (std::size_t i = 0; i < unseen_count; ++i)
            if (const Candidate candidate = graph.measure(unseen[i]); beam_.accepts(candidate))
                beam_.insert(candidate);
        if (const Candidate next = beam_.next(); next != Beam::none)
            graph.prefetch_list(candidate_id(next));
    }

    Beam beam_;
    VisitedSet visited_;
};

}  // namespace dvec::graph

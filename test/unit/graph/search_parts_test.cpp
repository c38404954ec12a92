// The pieces the searcher is made of, each against a simple model.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <set>
#include <vector>

#include "engine/graph/beam.hpp"
#include "engine/graph/candidate.hpp"
#include "engine/graph/candidate_heap.hpp"
#include "engine/graph/visited_set.hpp"

namespace dvec::graph {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
const float not_a_number = std::nanf("");

TEST(CandidateTest, OrderIsThatOfDistanceThenId) {
    const float ascending[] = {-infinity, -1e30f, -1.5f, -1e-40f, 0.0f,
                               1e-40f,    1.0f,   1.5f,  1e30f,   infinity};
    for (std::size_t i = 0; i < std::size(ascending); ++i) {
        EXPECT_EQ(candidate_distance(make_candidate(ascending[i], 3)), ascending[i]);
        for (std::size_t j = 0; j < std::size(ascending); ++j) {
            EXPECT_EQ(make_candidate(ascending[i], 9) < make_candidate(ascending[j], 1), i < j);
            EXPECT_EQ(make_candidate(ascending[i], 1) < make_candidate(ascending[j], 9), i <= j);
        }
        EXPECT_LT(make_candidate(ascending[i], max_nodes), make_candidate(not_a_number, 0));
        EXPECT_LT(make_candidate(ascending[i], max_nodes), make_candidate(-not_a_number, 0));
    }
    EXPECT_EQ(make_candidate(-0.0f, 1), make_candidate(0.0f, 1));
    EXPECT_LT(make_candidate(not_a_number, max_nodes), Beam::none);
    EXPECT_GT(make_candidate(-infinity, 0), 0u);
}

TEST(CandidateTest, ExpandedBitChangesNeitherIdNorDistance) {
    const Candidate expanded = make_candidate(2.5f, max_nodes - 1) | expanded_bit;
    EXPECT_EQ(candidate_id(expanded), max_nodes - 1);
    EXPECT_EQ(candidate_distance(expanded), 2.5f);
    EXPECT_EQ(unexpanded(expanded), make_candidate(2.5f, max_nodes - 1));
}

TEST(BeamTest, KeepsTheBestAndExpandsTheNearestFirst) {
    std::mt19937 random(1);
    Beam beam;
    for (int trial = 0; trial < 200; ++trial) {
        const std::size_t capacity = 1 + random() % 50;
        beam.reset(capacity);
        std::vector<Candidate> model;  // sorted, expanded ones marked
        std::multiset<Candidate> left;
        for (NodeId id = 0; id < 300; ++id) {
            const Candidate fresh = make_candidate(static_cast<float>(random() % 97), id);
            const bool room = model.size() < capacity;
            const bool accepted = room || fresh < model.back();
            ASSERT_EQ(beam.accepts(fresh), accepted);
            if (accepted) {
                const Candidate evicted = beam.insert(fresh);
                ASSERT_EQ(evicted, room ? Beam::none : model.back());
                if (!room)
                    model.pop_back();
                model.insert(std::lower_bound(model.begin(), model.end(), fresh), fresh);
            }
            if (random() % 3 == 0) {
                const auto next = std::find_if(model.begin(), model.end(),
                                               [](Candidate c) { return (c & expanded_bit) == 0; });
                ASSERT_EQ(beam.next(), next == model.end() ? Beam::none : *next);
                if (next != model.end() && random() % 4 == 0) {
                    model.erase(next);
                    beam.remove_next();
                } else if (next != model.end()) {
                    *next |= expanded_bit;
                    beam.mark_next_expanded();
                }
            }
            ASSERT_EQ(beam.size(), model.size());
            for (std::size_t i = 0; i < model.size(); ++i)
                ASSERT_EQ(beam[i], model[i]);
        }
    }
}

TEST(BeamTest, ExpandedCandidatesThatReturnAreNotExpandedAgain) {
    Beam beam;
    beam.reset(3);
    beam.insert(make_candidate(2, 2) | expanded_bit);
    EXPECT_EQ(beam.next(), Beam::none);
    beam.insert(make_candidate(1, 1));
    EXPECT_EQ(beam.next(), make_candidate(1, 1));
    beam.mark_next_expanded();
    EXPECT_EQ(beam.next(), Beam::none);
}

TEST(BeamTest, WhatIsNotTakenStaysInPlaceAndExpanded) {
    Beam beam;
    beam.reset(4);
    for (NodeId id = 1; id <= 4; ++id)
        beam.insert(make_candidate(static_cast<float>(id), id));
    for (int i = 0; i < 3; ++i)
        beam.mark_next_expanded();
    beam.drop_front(2, 6);
    ASSERT_EQ(beam.size(), 2u);
    EXPECT_EQ(beam[0], make_candidate(3, 3) | expanded_bit);
    EXPECT_EQ(beam.next(), make_candidate(4, 4));
    for (NodeId id = 5; id <= 8; ++id)
        EXPECT_EQ(beam.insert(make_candidate(static_cast<float>(id), id)), Beam::none);
    EXPECT_TRUE(beam.full());
    beam.drop_front(6, 1);
    EXPECT_EQ(beam.size(), 0u);
    EXPECT_EQ(beam.next(), Beam::none);
}

TEST(VisitedSetTest, AnswersLikeASet) {
    std::mt19937 random(2);
    VisitedSet visited;
    for (int trial = 0; trial < 50; ++trial) {
        visited.reset(64);
        std::set<NodeId> model;
        const NodeId range = 1 + random() % 5000;
        for (int i = 0; i < 3000; ++i) {
            const NodeId id = trial % 2 ? random() % range : max_nodes - random() % range;
            visited.reserve(1);
            ASSERT_EQ(visited.insert(id), model.insert(id).second);
        }
        ASSERT_EQ(visited.size(), model.size());
    }
}

TEST(VisitedSetTest, GrowsWithWhatIsVisitedAndShrinksAgain) {
    VisitedSet visited;
    visited.reset(1024);
    const std::size_t before = visited.memory_bytes();
    for (NodeId id = 0; id < 100000; ++id) {
        visited.reserve(1);
        visited.insert(id * 1000);
    }
    EXPECT_GE(visited.memory_bytes(), 100000 * 8u);
    EXPECT_LE(visited.memory_bytes(), 100000 * 8u * 4);
    visited.reset(1024);
    EXPECT_EQ(visited.memory_bytes(), before);
    visited.reserve(1);
    EXPECT_TRUE(visited.insert(5000)) << "nothing is remembered";
}

TEST(CandidateHeapTest, GivesTheNearestWhateverTheOrderOfCalls) {
    std::mt19937 random(3);
    CandidateHeap heap;
    for (int trial = 0; trial < 50; ++trial) {
        heap.reset(100);
        std::set<Candidate> model;
        for (NodeId id = 0; id < 2000; ++id) {
            const Candidate fresh = make_candidate(static_cast<float>(random() % 50), id);
            heap.add(fresh);
            model.insert(fresh);
            for (unsigned take = random() % 30 == 0 ? random() % 40 : 0; take > 0 && !model.empty();
                 --take) {
                ASSERT_EQ(heap.nearest(), *model.begin());
                ASSERT_EQ(heap.take_nearest(), *model.begin());
                model.erase(model.begin());
            }
            ASSERT_EQ(heap.size(), model.size());
        }
    }
}

}  // namespace
}  // namespace dvec::graph

// Which nodes are looked for is a guess, made from what costs little to know: how many links lead
// to a node, and how long one of its own is.
#include "engine/graph/hidden_nodes.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "engine/graph/graph_walk.hpp"
#include "engine/graph/prefetch.hpp"
#include "engine/graph/search_context.hpp"
#include "engine/graph/twins.hpp"

namespace dvec::graph {

using base::Code;
using base::Result;
using base::Status;

namespace {

// As wide as searches are where nothing says otherwise (hnsw.ef_search).
constexpr std::uint32_t width_of_walk = 40;
// Nodes of a sample.
constexpr NodeId sampled = 512;
// New ones are all looked for where they are so few.
constexpr NodeId looked_for_whole = 2048;
// Of the sample, if one in so many is hidden, all new nodes are looked for.
constexpr std::uint32_t many_hidden = 16;
// As many nodes as these parts of the new ones, and not fewer than this number, are looked for
// because few links lead to them, and because their neighbours are far away.
constexpr NodeId one_in_few_links = 64;
constexpr NodeId one_in_far = 128;
constexpr NodeId least_looked_for = 64;
constexpr NodeId most_of_few_links = 100'000;
constexpr NodeId most_of_far = most_of_few_links / 2;
// More links than this are not few.
constexpr std::uint8_t few_links = 5;
// Links are counted up to this number.
constexpr std::uint8_t many_links = 255;
constexpr NodeId nodes_per_poll = 4096;
constexpr NodeId nodes_ahead = 8;

class HiddenNodes {
  public:
    HiddenNodes(NodeStore &nodes, const ReachabilityParams &params, const std::atomic<bool> &stop)
        : nodes_(nodes),
          params_(params),
          stop_(stop),
          linked_(nodes.shared().linked.load(std::memory_order_acquire)),
          entry_(EntryPoint::unpack(nodes.shared().entry_point.load(std::memory_order_acquire))),
          limit_(nodes.layout().level0_links()) {}

    Result<HiddenReport> show(NodeId first_new, NodeId most_whole) {
        if (linked_ > nodes_.mapped_slots())
            return Status(Code::corrupt, "more nodes are linked than there are slots");
        if (entry_.level < 0 || entry_.id >= linked_)
            return report_;
        if (first_new > linked_)
            first_new = 0;
        DVEC_TRY(count_links());
        const NodeId fresh = linked_ - first_new;
        if (fresh > looked_for_whole) {
            DVEC_TRY(look_for_each(linked_ / sampled / 2, linked_ / sampled));
            if (report_.hidden * many_hidden <= report_.looked_for || fresh > most_whole)
                first_new = linked_;
        }
        DVEC_TRY(look_for_each(first_new, 1));
        DVEC_TRY(look_for_likely(first_new, fresh));
        return report_;
    }

  private:
    const std::atomic<std::uint32_t> *list(NodeId id) const { return &nodes_.slot(id)->link_count; }
    std::uint32_t count(const std::atomic<std::uint32_t> *words) const {
        return std::min(words[0].load(std::memory_order_relaxed), limit_);
    }

    Status look_for_each(NodeId first, NodeId step) {
        for (NodeId id = first; id < linked_; id += step)
            DVEC_TRY(look_for(id));
        return {};
    }

    // Among ids below `end`; `fresh` nodes are new.
    Status look_for_likely(NodeId end, NodeId fresh) {
        if (end == 0)
            return {};
        measure_links();
        const std::uint8_t few =
            few_for(std::clamp(fresh / one_in_few_links, least_looked_for, most_of_few_links));
        const float far = far_for(std::clamp(fresh / one_in_far, least_looked_for, most_of_far));
        for (NodeId id = 0; id < end; ++id)
            if (links_to_[id] <= few || length_[id] > far)
                DVEC_TRY(look_for(id));
        return {};
    }

    Status count_links() {
        links_to_.assign(linked_, 0);
        for (NodeId id = 0; id < linked_; ++id) {
            if (id % nodes_per_poll == 0 && stop_.load(std::memory_order_relaxed))
                return stopped();
            if (id + nodes_ahead < linked_)
                prefetch_lines(nodes_.slot(id + nodes_ahead), nodes_.layout().link_lines());
            if (is_twin(nodes_, id))
                continue;
            const auto *words = list(id);
            for (std::uint32_t i = 1; i <= count(words); ++i)
                if (const NodeId to = words[i].load(std::memory_order_relaxed);
                    to < linked_ && links_to_[to] < many_links)
                    ++links_to_[to];
        }
        return {};
    }

    // The first link is mostly the one to the nearest neighbour, and where it is not, only more are
    // looked for.
    void measure_links() {
        length_.assign(linked_, std::numeric_limits<float>::quiet_NaN());
        for (NodeId id = 0; id < linked_; ++id) {
            const auto *words = list(id);
            if (is_twin(nodes_, id) || count(words) == 0)
                continue;
            if (const NodeId to = words[1].load(std::memory_order_relaxed); to < linked_)
                length_[id] = params_.kernel.link_distance()(nodes_.vector(id), nodes_.vector(to),
                                                             params_.dimensions);
        }
    }

    // So many links or fewer lead to at most `most` nodes.
    std::uint8_t few_for(NodeId most) const {
        std::array<NodeId, many_links + 1> with{};
        for (NodeId id = 0; id < linked_; ++id)
            if (!std::isnan(length_[id]))
                ++with[links_to_[id]];
        NodeId sum = with[0];
        std::uint8_t few = 0;
        while (few < few_links && (sum += with[few + 1]) <= most)
            ++few;
        return few;
    }

    // Links longer than this begin at about `most` nodes.
    float far_for(NodeId most) const {
        std::vector<float> some;
        const NodeId step = std::max<NodeId>(1, linked_ / (16 * sampled));
        for (NodeId id = step / 2; id < linked_; id += step)
            if (!std::isnan(length_[id]))
                some.push_back(length_[id]);
        const std::size_t longer = most / step;
        if (longer >= some.size())
            return std::numeric_limits<float>::infinity();
        const auto at = some.end() - 1 - static_cast<std::ptrdiff_t>(longer);
        std::nth_element(some.begin(), at, some.end());
        return *at;
    }

    Status look_for(NodeId id) {
        if (is_twin(nodes_, id) || count(list(id)) == 0 || !is_live(nodes_.state(id)))
            return {};
        if (stop_.load(std::memory_order_relaxed))
            return stopped();
        context_.begin(nodes_, {linked_, linked_, entry_}, params_.kernel, params_.dimensions,
                       nodes_.vector(id));
        walk_.start(context_, width_of_walk);
        DVEC_TRY(walk_.run_round(0));
        ++report_.looked_for;
        if (is_among(id, walk_.results()))
            return {};
        ++report_.hidden;
        report_.shown += give_link(id, walk_.results()) ? 1 : 0;
        return {};
    }

    // By inner product others may be nearer to a vector than it is itself. Where they are so many
    // that it has no place in the beam, it is not hidden.
    bool is_among(NodeId id, const Beam &found) {
        for (std::size_t i = 0; i < found.size(); ++i)
            if (candidate_id(found[i]) == id)
                return true;
        return found.full() && context_.estimate(id) > found[found.size() - 1];
    }

    // Room is left as long as there is any: links that lead elsewhere are what walks live on.
    bool give_link(NodeId to, const Beam &found) {
        return give_link(to, found,
                         [this](NodeId from) {
                             const std::uint32_t links = count(list(from));
                             return links < limit_ ? links + 1 : 0;
                         }) ||
               give_link(to, found, [this](NodeId from) { return farthest_of_many(from); });
    }

    // `place_in` tells at which place of a list a link may be stored; 0 at none.
    template <class PlaceIn>
    bool give_link(NodeId to, const Beam &found, PlaceIn place_in) {
        for (std::size_t i = 0; i < found.size(); ++i) {
            const NodeId from = candidate_id(found[i]);
            auto *words = &nodes_.slot(from)->link_count;
            const std::uint32_t place = is_twin(nodes_, from) ? 0 : place_in(from);
            if (place == 0)
                continue;
            if (place <= count(words))
                forget_link_to(words[place].load(std::memory_order_relaxed));
            words[place].store(to, std::memory_order_relaxed);
            words[0].store(std::max(place, count(words)), std::memory_order_release);
            if (links_to_[to] < many_links)
                ++links_to_[to];
            nodes_.note_links_changed(from);
            return true;
        }
        return false;
    }

    // The place of the farthest link to a node that many lead to.
    std::uint32_t farthest_of_many(NodeId from) const {
        const auto *words = list(from);
        std::uint32_t place = 0;
        float farthest = -std::numeric_limits<float>::infinity();
        for (std::uint32_t i = 1; i <= count(words); ++i) {
            const NodeId to = words[i].load(std::memory_order_relaxed);
            if (to >= linked_)
                return i;
            if (links_to_[to] <= few_links)
                continue;
            const float length = params_.kernel.link_distance()(
                nodes_.vector(from), nodes_.vector(to), params_.dimensions);
            if (length > farthest) {
                farthest = length;
                place = i;
            }
        }
        return place;
    }

    void forget_link_to(NodeId id) {
        if (id < linked_ && links_to_[id] < many_links)
            --links_to_[id];
    }

    static Status stopped() { return {Code::interrupted, "looking for hidden nodes was stopped"}; }

    NodeStore &nodes_;
    const ReachabilityParams &params_;
    const std::atomic<bool> &stop_;
    const NodeId linked_;
    const EntryPoint entry_;
    const std::uint32_t limit_;
    std::vector<std::uint8_t> links_to_;  // how many lead to each id
    std::vector<float> length_;           // of the first link of each id; NaN: it has none
    SearchContext context_;
    GraphWalk walk_;
    HiddenReport report_;
};

}  // namespace

Result<HiddenReport> show_hidden(NodeStore &nodes, const ReachabilityParams &params,
                                 NodeId first_new, const std::atomic<bool> &stop,
                                 NodeId most_whole) {
    return base::guarded(
        [&] { return HiddenNodes(nodes, params, stop).show(first_new, most_whole); });
}

}  // namespace dvec::graph

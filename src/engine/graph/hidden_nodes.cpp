// Which nodes are looked for is a guess, made from what costs little to know: how many links lead
// to a node, and how long one of its own is.
#include "engine/graph/hidden_nodes.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <mutex>
#include <vector>

#include "engine/graph/graph_walk.hpp"
#include "engine/graph/node_links.hpp"
#include "engine/graph/prefetch.hpp"
#include "engine/graph/search_context.hpp"
#include "engine/graph/share_ids.hpp"
#include "engine/graph/thread_pool.hpp"
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
// If more than one in so many of the sample is hidden, all new nodes are looked for.
constexpr std::uint32_t many_hidden = 128;
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

// A bit for each id, which several threads may set.
class IdMarks {
  public:
    explicit IdMarks(NodeId ids) : words_(ids / 64 + 1) {}
    bool has(NodeId id) const noexcept {
        return (words_[id / 64].load(std::memory_order_relaxed) & bit(id)) != 0;
    }
    // Whether it was this call that has set it.
    bool set(NodeId id) noexcept {
        return (words_[id / 64].fetch_or(bit(id), std::memory_order_relaxed) & bit(id)) == 0;
    }

  private:
    static std::uint64_t bit(NodeId id) noexcept { return std::uint64_t{1} << id % 64; }

    std::vector<std::atomic<std::uint64_t>> words_;
};

class HiddenNodes {
  public:
    HiddenNodes(NodeStore &nodes, const ReachabilityParams &params, const HiddenSearch &search,
                const std::atomic<bool> &stop)
        : nodes_(nodes),
          params_(params),
          search_(search),
          stop_(stop),
          linked_(nodes.shared().linked.load(std::memory_order_acquire)),
          entry_(EntryPoint::unpack(nodes.shared().entry_point.load(std::memory_order_acquire))),
          pool_(std::max(search.threads, 1u) - 1),
          parts_(pool_.helpers() + 1) {}

    Result<HiddenReport> show() {
        if (linked_ > nodes_.mapped_slots())
            return Status(Code::corrupt, "more nodes are linked than there are slots");
        if (entry_.level < 0 || entry_.id >= linked_)
            return HiddenReport();
        looked_for_ = IdMarks(linked_);
        DVEC_TRY(count_links());
        NodeId first = search_.first_new <= linked_ ? search_.first_new : 0;
        const NodeId fresh = linked_ - first;
        if (fresh > looked_for_whole) {
            DVEC_TRY(look_for_sample());
            const HiddenReport sample = report();
            if (sample.hidden * many_hidden <= sample.looked_for || fresh > search_.most_whole)
                first = linked_;
        }
        DVEC_TRY(look_for_all_from(first));
        DVEC_TRY(look_for_likely(first, fresh));
        return report();
    }

  private:
    NodeLinks links(NodeId id) const noexcept { return NodeLinks(nodes_, id); }

    // What one thread needs and has done.
    struct Part {
        SearchContext context;
        GraphWalk walk;
        HiddenReport report;
    };
    HiddenReport report() const {
        HiddenReport sum;
        for (const Part &part : parts_) {
            sum.looked_for += part.report.looked_for;
            sum.hidden += part.report.hidden;
            sum.shown += part.report.shown;
        }
        return sum;
    }

    Status look_for_sample() {
        const NodeId step = linked_ / sampled;
        return share_ids(pool_, 0, sampled, stop_, [this, step](NodeId number, unsigned worker) {
            return look_for(number * step + step / 2, parts_[worker]);
        });
    }

    Status look_for_all_from(NodeId first) {
        return share_ids(pool_, first, linked_, stop_, [this, first](NodeId id, unsigned worker) {
            return look_around(id, first, parts_[worker]);
        });
    }

    // Looks for the node, for those that it has links to, for those that the last of these has
    // links to, and so on: walks for nodes that are near to each other read the same slots.
    Status look_around(NodeId id, NodeId first, Part &part) {
        DVEC_TRY(look_for(id, part));
        for (NodeId at = id; at != nobody;) {
            const NodeLinks from = links(at);
            at = nobody;
            for (std::uint32_t place = 1; place <= from.count(); ++place) {
                const NodeId to = from.at(place);
                if (to < first || to >= linked_ || looked_for_.has(to))
                    continue;
                DVEC_TRY(look_for(to, part));
                at = to;
            }
        }
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
        std::vector<NodeId> likely;
        for (NodeId id = 0; id < end; ++id)
            if (links_to_[id] <= few || length_[id] > far)
                likely.push_back(id);
        return share_ids(
            pool_, 0, static_cast<NodeId>(likely.size()), stop_,
            [&](NodeId place, unsigned worker) { return look_for(likely[place], parts_[worker]); });
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
            const NodeLinks from = links(id);
            for (std::uint32_t place = 1; place <= from.count(); ++place)
                if (const NodeId to = from.at(place); to < linked_ && links_to_[to] < many_links)
                    ++links_to_[to];
        }
        return {};
    }

    // The first link is mostly the one to the nearest neighbour, and where it is not, only more are
    // looked for.
    void measure_links() {
        length_.assign(linked_, std::numeric_limits<float>::quiet_NaN());
        for (NodeId id = 0; id < linked_; ++id) {
            const NodeLinks from = links(id);
            if (is_twin(nodes_, id) || from.count() == 0)
                continue;
            if (const NodeId to = from.at(1); to < linked_)
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

    // Does nothing where the node was looked for before.
    Status look_for(NodeId id, Part &part) {
        if (!looked_for_.set(id) || is_twin(nodes_, id) || links(id).count() == 0 ||
            !is_live(nodes_.state(id)))
            return {};
        if (stop_.load(std::memory_order_relaxed))
            return stopped();
        part.context.begin(nodes_, {linked_, linked_, entry_}, params_.kernel, params_.dimensions,
                           nodes_.vector(id));
        part.walk.start(part.context, width_of_walk);
        DVEC_TRY(part.walk.run_round(0, id));
        ++part.report.looked_for;
        if (is_found(id, part))
            return {};
        ++part.report.hidden;
        part.report.shown += give_link(id, part.walk.results()) ? 1 : 0;
        return {};
    }

    // By inner product others may be nearer to a vector than it is itself. Where they are so many
    // that it has no place in the beam, it is not hidden.
    static bool is_found(NodeId id, Part &part) {
        if (part.walk.met(id))
            return true;
        const Beam &found = part.walk.results();
        return found.full() && part.context.estimate(id) > found[found.size() - 1];
    }

    // Room is left as long as there is any: links that lead elsewhere are what walks live on. Few
    // get a link, and a walk takes far longer than this, so threads hardly ever wait for the lock.
    bool give_link(NodeId to, const Beam &found) {
        const std::lock_guard hold(giving_);
        return give_link(to, found, [](const NodeLinks &list) { return list.place_left(); }) ||
               give_link(to, found, [this](const NodeLinks &list) {
                   return list.place_to_spare(
                       params_.kernel, params_.dimensions, linked_,
                       [this](NodeId other) { return links_to_[other] > few_links; });
               });
    }

    // `place_in` tells at which place of a list a link may be stored; 0 at none.
    template <class PlaceIn>
    bool give_link(NodeId to, const Beam &found, PlaceIn place_in) {
        for (std::size_t i = 0; i < found.size(); ++i) {
            const NodeId from = candidate_id(found[i]);
            if (is_twin(nodes_, from))
                continue;
            NodeLinks list = links(from);
            const std::uint32_t place = place_in(list);
            if (place == 0)
                continue;
            if (place <= list.count())
                forget_link_to(list.at(place));
            list.put(place, to);
            if (links_to_[to] < many_links)
                ++links_to_[to];
            return true;
        }
        return false;
    }

    void forget_link_to(NodeId id) {
        if (id < linked_ && links_to_[id] < many_links)
            --links_to_[id];
    }

    static Status stopped() { return {Code::interrupted, "looking for hidden nodes was stopped"}; }

    NodeStore &nodes_;
    const ReachabilityParams &params_;
    const HiddenSearch &search_;
    const std::atomic<bool> &stop_;
    const NodeId linked_;
    const EntryPoint entry_;
    ThreadPool pool_;
    std::vector<Part> parts_;  // of each thread
    IdMarks looked_for_{0};
    std::vector<float> length_;  // of the first link of each id; NaN: it has none
    std::mutex giving_;  // held to change links, and what follows, by threads that share ids
    std::vector<std::uint8_t> links_to_;  // how many lead to each id
};

}  // namespace

Result<HiddenReport> show_hidden(NodeStore &nodes, const ReachabilityParams &params,
                                 const HiddenSearch &search, const std::atomic<bool> &stop) {
    return base::guarded([&] { return HiddenNodes(nodes, params, search, stop).show(); });
}

Status make_findable(NodeStore &nodes, const ReachabilityParams &params, const HiddenSearch &search,
                     const std::atomic<bool> &stop) {
    DVEC_TRY(show_hidden(nodes, params, search, stop));
    DVEC_TRY(connect_unreachable(nodes, params, stop));
    return {};
}

}  // namespace dvec::graph

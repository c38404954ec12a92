// Between two efs the share that is missed falls about as a power of ef, so it is interpolated in
// logarithms; between two numbers of neighbours the sufficient ef grows as one.
#include "engine/graph/recall_curve.hpp"

#include <algorithm>
#include <cmath>

namespace dvec::graph {

namespace {

using Points = std::array<RecallCurve::Point, curve_efs.size()>;

// So many standard errors are taken off what was measured: one for the sample, and two because the
// queries of an application are never quite like the rows.
constexpr double errors_allowed = 3;

constexpr double least_ef = curve_efs.front();
constexpr double most_ef = curve_efs.back();

// Of what is missed; keeps a logarithm finite where nothing was.
constexpr double least_missed = 1e-4;

double logarithm_of_missed(double recall) {
    return std::log(std::max(1 - recall, 0.0) + least_missed);
}

double between(double low, double high, double share) {
    return std::exp(std::log(low) + (std::log(high) - std::log(low)) * share);
}

// The least ef for a number of neighbours that was measured. A wider search is not taken for a
// worse one, whatever the sample says.
double ef_on(const Points &points, double recall, std::uint32_t neighbours) {
    double ef_before = 0;
    double sure_before = 0;
    for (std::size_t at = 0; at < points.size(); ++at) {
        const double ef = curve_efs[at];
        if (ef < neighbours)
            continue;
        const double sure = std::max(
            sure_before, double{points[at].recall} - errors_allowed * double{points[at].error});
        if (sure >= recall) {
            if (ef_before == 0)
                return ef;
            const double from = logarithm_of_missed(sure_before);
            const double to = logarithm_of_missed(sure);
            const double share = (from - logarithm_of_missed(recall)) / (from - to);
            return between(ef_before, ef, std::clamp(share, 0.0, 1.0));
        }
        ef_before = ef;
        sure_before = sure;
    }
    return most_ef;
}

// What logarithms have rounded up makes no search wider.
std::uint32_t whole_ef(double ef, double neighbours) {
    constexpr double rounding = 1e-6;
    return static_cast<std::uint32_t>(
        std::ceil(std::clamp(std::max(ef, neighbours), least_ef, most_ef) - rounding));
}

}  // namespace

std::uint32_t RecallCurve::ef_for(double recall, double neighbours) const noexcept {
    std::size_t above = 0;
    while (above < curve_neighbours.size() && curve_neighbours[above] < neighbours)
        ++above;
    if (above == curve_neighbours.size()) {
        const double most = curve_neighbours.back();
        return whole_ef(ef_on(points.back(), recall, curve_neighbours.back()) * neighbours / most,
                        neighbours);
    }
    const double high = ef_on(points[above], recall, curve_neighbours[above]);
    if (above == 0)
        return whole_ef(high, neighbours);
    const double low = ef_on(points[above - 1], recall, curve_neighbours[above - 1]);
    const double fewer = curve_neighbours[above - 1];
    const double more = curve_neighbours[above];
    const double share = std::log(neighbours / fewer) / std::log(more / fewer);
    return whole_ef(between(low, high, share), neighbours);
}

std::uint32_t careful_ef(double recall, double neighbours) noexcept {
    constexpr double usual = 40;
    return whole_ef(std::max(usual, std::round(10 / (1 - recall))), 2 * neighbours);
}

std::optional<RecallCurve> SharedRecallCurve::load() const noexcept {
    RecallCurve curve;
    curve.rows = rows_.load(std::memory_order_acquire);
    if (curve.rows == 0)
        return std::nullopt;
    curve.generation = generation_.load(std::memory_order_relaxed);
    curve.queries = queries_.load(std::memory_order_relaxed);
    const std::atomic<float> *number = numbers_;
    for (Points &points : curve.points)
        for (RecallCurve::Point &point : points) {
            point.recall = (number++)->load(std::memory_order_relaxed);
            point.error = (number++)->load(std::memory_order_relaxed);
        }
    return curve;
}

void SharedRecallCurve::store(const RecallCurve &curve) noexcept {
    generation_.store(curve.generation, std::memory_order_relaxed);
    queries_.store(curve.queries, std::memory_order_relaxed);
    std::atomic<float> *number = numbers_;
    for (const Points &points : curve.points)
        for (const RecallCurve::Point &point : points) {
            (number++)->store(point.recall, std::memory_order_relaxed);
            (number++)->store(point.error, std::memory_order_relaxed);
        }
    rows_.store(curve.rows, std::memory_order_release);
}

}  // namespace dvec::graph

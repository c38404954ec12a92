// Making sketches, and the table by which a query is compared with them.
#include "engine/graph/sketches.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/distance/code.hpp"
#include "engine/graph/remembered_bytes.hpp"

namespace dvec::graph {

using distance::Metric;

namespace {

// Shorter vectors are measured quickly, and so few bits tell little of them.
constexpr std::uint32_t least_dimensions = 96;
// How many rows the mean is taken of.
constexpr NodeId sampled_for_mean = 256;

}  // namespace

Sketches::~Sketches() {
    for (const auto &chunk : chunks_)
        if (chunk)
            RememberedBytes::give_back(chunk_ids * stride_);
}

bool Sketches::prepare(const NodeStore &nodes, NodeId linked, const distance::Kernel &kernel,
                       std::uint32_t dimensions, std::size_t most_bytes) {
    full_ = full_ && most_bytes <= most_bytes_;
    most_bytes_ = most_bytes;
    if (dimensions_ != 0)
        return trust_ > 0 && most_bytes > 0;
    if (kernel.element != distance::Element::float32 ||
        (kernel.metric != Metric::l2_squared && kernel.metric != Metric::inner_product &&
         kernel.metric != Metric::cosine) ||
        linked == 0 || dimensions < least_dimensions || most_bytes == 0)
        return false;
    metric_ = kernel.metric;
    rotation_ = Rotation(dimensions);
    width_ = rotation_.width();
    stride_ = sizeof(Head) + width_ / 8;
    scratch_.assign(width_, 0.0f);
    mean_.assign(dimensions, 0.0f);
    dimensions_ = dimensions;
    find_mean(nodes, linked);
    return true;
}

// The mean of some rows, spread evenly over all. It need not be exact: the nearer it is to the
// middle of the data, the more the signs tell.
void Sketches::find_mean(const NodeStore &nodes, NodeId linked) {
    const NodeId step = std::max(1u, linked / sampled_for_mean);
    std::vector<double> sums(dimensions_, 0.0);
    std::size_t rows = 0;
    for (NodeId id = 0; id < linked; id += step) {
        if (!is_live(nodes.state(id)) || !read(nodes, id, scratch_.data()))
            continue;
        for (std::size_t i = 0; i < dimensions_; ++i)
            sums[i] += static_cast<double>(scratch_[i]);
        ++rows;
    }
    for (std::size_t i = 0; i < dimensions_ && rows > 0; ++i)
        mean_[i] = static_cast<float>(sums[i] / static_cast<double>(rows));
}

// Reads the row's vector, or what its code stands for, and prepares it.
bool Sketches::read(const NodeStore &nodes, NodeId id, float *vector) const {
    if (nodes.layout().coded()) {
        const std::byte *code = nodes.code(id);
        const distance::CodeHeader header = distance::code_header(code);
        if (!std::isfinite(header.error))
            return false;
        const std::byte *steps = code + sizeof(header);
        for (std::size_t i = 0; i < dimensions_; ++i)
            vector[i] = header.low + header.step * static_cast<float>(steps[i]);
    } else {
        std::memcpy(vector, nodes.vector(id), dimensions_ * sizeof(float));
    }
    return make_fit_to_turn(vector, dimensions_, metric_);
}

void Sketches::make(const NodeStore &nodes, NodeId id) {
    const std::size_t chunk = id / chunk_ids;
    if (chunk >= chunks_.size())
        chunks_.resize(chunk + 1);
    if (!chunks_[chunk]) {
        // Sets of admitted rows are smaller, and are left a part.
        full_ = !RememberedBytes::fit(chunk_ids * stride_, most_bytes_ - most_bytes_ / 8);
        if (full_)
            return;
        chunks_[chunk] = std::make_unique<std::byte[]>(chunk_ids * stride_);
        RememberedBytes::take(chunk_ids * stride_);
    }
    float *vector = scratch_.data();
    if (has(id) || !read(nodes, id, vector))
        return;
    for (std::size_t i = 0; i < dimensions_; ++i)
        vector[i] -= mean_[i];
    std::fill(vector + dimensions_, vector + width_, 0.0f);
    rotation_.turn(vector);
    std::byte *out = place(id);
    const Signs signs = take_signs(vector, width_, [out](std::size_t number, unsigned char byte) {
        out[sizeof(Head) + number] = static_cast<std::byte>(byte);
    });
    const Head head = metric_ == Metric::l2_squared ? Head{signs.square, -2 * signs.projection}
                                                    : Head{0, -signs.projection};
    std::memcpy(out, &head, sizeof(head));
}

void Sketches::Query::reset(const Sketches &sketches, const float *query) {
    // How many spreads of the estimate's error are allowed for.
    constexpr float spreads = 2;
    // The spread, in lengths of the query, where the factor is 1. The signs of a random vector
    // leave out 1 - 2 / pi of its square, which is 0.6 of its length.
    constexpr float spread = 0.6f;
    turned_.assign(query, query + sketches.dimensions_);
    const bool measurable = make_fit_to_turn(turned_.data(), turned_.size(), sketches.metric_);
    constant_ = sketches.metric_ == Metric::cosine ? 1 : 0;
    if (sketches.metric_ == Metric::l2_squared)
        for (std::size_t i = 0; i < turned_.size(); ++i)
            turned_[i] -= sketches.mean_[i];
    else
        constant_ -= product(turned_.data(), sketches.mean_.data(), turned_.size());
    turned_.resize(sketches.width_, 0.0f);
    sketches.rotation_.turn(turned_.data());
    const float square = product(turned_.data(), turned_.data(), turned_.size());
    if (sketches.metric_ == Metric::l2_squared)
        constant_ += square;
    margin_ = spreads * spread * std::sqrt(square);
    for (const float element : turned_)
        margin_ -= element;
    // Without this no row has a bound.
    if (!measurable)
        constant_ = none;
    bytes_ = sketches.width_ / 8;
    sums_.resize(bytes_ * 256);
    for (std::size_t byte = 0; byte < bytes_; ++byte) {
        float *sums = &sums_[byte * 256];
        sums[0] = 0;
        for (unsigned bit = 0; bit < 8; ++bit)
            for (unsigned value = 0; value < 1u << bit; ++value)
                sums[(1u << bit) + value] = sums[value] + 2 * turned_[8 * byte + bit];
    }
}

float Sketches::Query::sum(const std::byte *bits) const noexcept {
    float parts[4] = {};
    const float *sums = sums_.data();
    for (std::size_t byte = 0; byte < bytes_; byte += 8, sums += 8 * 256) {
        std::uint64_t word;
        std::memcpy(&word, bits + byte, sizeof(word));
        for (unsigned i = 0; i < 8; ++i)
            parts[i % 4] += sums[256 * i + (word >> 8 * i & 0xFF)];
    }
    return parts[0] + parts[1] + (parts[2] + parts[3]);
}

}  // namespace dvec::graph

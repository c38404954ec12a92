// Making link codes, and comparing a query with them.
#include "engine/graph/link_codes.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "engine/base/checksum.hpp"
#include "engine/distance/half.hpp"
#include "engine/graph/node_file_names.hpp"

namespace dvec::graph {

using base::Code;
using base::Result;
using base::Status;
using distance::codes_at_once;
using distance::Metric;

namespace {

// Of fewer dimensions so few bits tell little.
constexpr std::uint32_t least_dimensions = 48;
// What looking up must not exceed, for one byte and for a sum.
constexpr float most_looked_up = 127;
constexpr float most_sum = 65535;

// A block: the ids, then for each link the two numbers of its code, then the bits.
constexpr std::size_t ids_bytes = codes_at_once * sizeof(NodeId);
constexpr std::size_t numbers_bytes = codes_at_once * sizeof(float);

const float *bases(const std::byte *block) {
    return reinterpret_cast<const float *>(block + ids_bytes);
}
const float *factors(const std::byte *block) { return bases(block) + codes_at_once; }
const unsigned char *bits(const std::byte *block) {
    return reinterpret_cast<const unsigned char *>(block + ids_bytes + 2 * numbers_bytes);
}

// In place of the first number: the neighbour is to be measured.
constexpr float nothing_known = std::numeric_limits<float>::quiet_NaN();

constexpr std::uint32_t nowhere = ~std::uint32_t{0};

std::string path_of(const NodeStore::Params &params) {
    return params.directory + "/" + std::string(link_codes_prefix) +
           std::to_string(params.generation);
}

std::uint32_t blocks_of(const Layout &layout) {
    return (layout.level0_links() + codes_at_once - 1) / codes_at_once;
}

FileHeader make_header(const NodeStore::Params &params, std::size_t record_bytes) {
    FileHeader header{};
    header.magic = link_codes_magic;
    header.version = format_version;
    header.identity = params.identity;
    header.record_bytes = static_cast<std::uint32_t>(record_bytes);
    header.m = params.layout.m;
    header.vector_bytes = params.layout.vector_bytes;
    header.checksum = base::checksum(0, &header, offsetof(FileHeader, checksum));
    return header;
}

}  // namespace

// Where the code of one link stands in a record.
class LinkCodes::Place {
  public:
    Place(std::byte *record, std::size_t block_bytes, std::uint32_t link)
        : block_(record + link / codes_at_once * block_bytes), number_(link % codes_at_once) {}

    std::atomic<NodeId> &id() const {
        return reinterpret_cast<std::atomic<NodeId> *>(block_)[number_];
    }
    float &base() const { return const_cast<float &>(bases(block_)[number_]); }
    float &factor() const { return const_cast<float &>(factors(block_)[number_]); }
    unsigned char &bits(std::size_t byte) const {
        return const_cast<unsigned char &>(graph::bits(block_)[byte * codes_at_once + number_]);
    }
    void copy(const Place &from, std::size_t bytes) const {
        base() = from.base();
        factor() = from.factor();
        for (std::size_t byte = 0; byte < bytes; ++byte)
            bits(byte) = from.bits(byte);
    }

  private:
    std::byte *block_;
    std::size_t number_;
};

bool LinkCodes::possible(const distance::Kernel &kernel, std::uint32_t dimensions) noexcept {
    return (kernel.element == distance::Element::float32 ||
            kernel.element == distance::Element::float16) &&
           (kernel.metric == Metric::l2_squared || kernel.metric == Metric::inner_product ||
            kernel.metric == Metric::cosine) &&
           dimensions >= least_dimensions;
}

LinkCodes::LinkCodes(base::FileSystem &file_system, const distance::Kernel &kernel,
                     std::uint32_t dimensions, const Layout &layout)
    : file_system_(file_system),
      kernel_(kernel),
      dimensions_(dimensions),
      rotation_(dimensions),
      blocks_(blocks_of(layout)),
      block_bytes_(ids_bytes + 2 * numbers_bytes + codes_at_once * rotation_.width() / 8),
      record_bytes_(blocks_ * block_bytes_),
      node_(rotation_.width()),
      node_turned_(rotation_.width()),
      way_(rotation_.width()) {}

Status LinkCodes::create(base::FileSystem &file_system, const NodeStore::Params &params,
                         const distance::Kernel &kernel, std::uint32_t dimensions) {
    return base::guarded([&]() -> Status {
        DVEC_TRY(remove(file_system, params));
        const LinkCodes shape(file_system, kernel, dimensions, params.layout);
        return RecordFile::create(file_system, path_of(params),
                                  make_header(params, shape.record_bytes_));
    });
}

Status LinkCodes::remove(base::FileSystem &file_system, const NodeStore::Params &params) {
    return base::guarded([&]() -> Status {
        Status removed = file_system.remove(path_of(params));
        return removed.code() == Code::not_found ? Status() : removed;
    });
}

Result<std::unique_ptr<LinkCodes>> LinkCodes::open(base::FileSystem &file_system,
                                                   const NodeStore::Params &params,
                                                   const distance::Kernel &kernel,
                                                   std::uint32_t dimensions) {
    return base::guarded([&]() -> Result<std::unique_ptr<LinkCodes>> {
        std::unique_ptr<LinkCodes> codes(
            new LinkCodes(file_system, kernel, dimensions, params.layout));
        auto file = RecordFile::open(file_system, path_of(params),
                                     make_header(params, codes->record_bytes_));
        DVEC_TRY(file);
        codes->file_ = std::move(file).value();
        return codes;
    });
}

Status LinkCodes::follow(NodeId end) {
    return base::guarded([&]() -> Status { return file_.follow(file_system_, end); });
}

Status LinkCodes::grow(NodeId end) {
    return base::guarded([&]() -> Status {
        DVEC_TRY(file_.grow(file_system_, end, max_nodes));
        return file_.follow(file_system_, end);
    });
}

// The vector's elements, brought to length one where only the direction counts. False where squares
// are too near to the limits of floats.
bool LinkCodes::read(const void *vector, float *out) const noexcept {
    if (kernel_.element == distance::Element::float16)
        for (std::size_t i = 0; i < dimensions_; ++i)
            out[i] = widen(static_cast<const distance::Half *>(vector)[i]);
    else
        std::memcpy(out, vector, dimensions_ * sizeof(float));
    std::fill(out + dimensions_, out + rotation_.width(), 0.0f);
    return make_fit_to_turn(out, dimensions_, kernel_.metric);
}

// Most links are those that were coded before. Their codes are moved, which costs a fraction of
// making them.
void LinkCodes::code(const NodeStore &nodes, NodeId id, Before before) {
    const std::atomic<NodeId> *links = nodes.links(id);
    const std::uint32_t count = std::min(nodes.slot(id)->link_count.load(std::memory_order_acquire),
                                         nodes.layout().level0_links());
    auto *record = const_cast<std::byte *>(block(id, 0));
    // While it is written, readers go by the links themselves.
    changes(id + 1).note(id);
    before_.assign(record, record + record_bytes_);
    const bool measurable = read(nodes.vector(id), node_.data());
    node_turned_ = node_;
    rotation_.turn(node_turned_.data());
    node_square_ = product(node_.data(), node_.data(), dimensions_);
    for (std::uint32_t link = 0; link < blocks_ * codes_at_once; ++link) {
        const Place to(record, block_bytes_, link);
        const NodeId neighbour =
            link < count ? links[link].load(std::memory_order_relaxed) : max_nodes;
        if (!measurable || neighbour >= nodes.mapped_slots()) {
            if (link > 0)
                to.id().store(~NodeId{0}, std::memory_order_relaxed);
            continue;
        }
        const std::uint32_t coded = before == Before::coded ? find_before(neighbour) : nowhere;
        if (coded == nowhere)
            code_link(nodes, neighbour, to);
        else
            to.copy(Place(before_.data(), block_bytes_, coded), rotation_.width() / 8);
        if (link > 0)
            to.id().store(neighbour, std::memory_order_relaxed);
    }
    // Last, since it says whether the codes are current.
    const NodeId first = count > 0 ? links[0].load(std::memory_order_relaxed) : max_nodes;
    Place(record, block_bytes_, 0)
        .id()
        .store(measurable && first < nodes.mapped_slots() ? first : ~NodeId{0},
               std::memory_order_release);
}

// Which link led to the neighbour when the node was coded.
std::uint32_t LinkCodes::find_before(NodeId neighbour) noexcept {
    for (std::uint32_t link = 0; link < blocks_ * codes_at_once; ++link) {
        const NodeId id =
            Place(before_.data(), block_bytes_, link).id().load(std::memory_order_relaxed);
        if ((link == 0 ? id & ~LinkChanges::changed_bit : id) == neighbour)
            return link;
    }
    return nowhere;
}

void LinkCodes::code_link(const NodeStore &nodes, NodeId neighbour, const Place &to) {
    float &base = to.base();
    float &factor = to.factor();
    float *way = way_.data();
    if (!read(nodes.vector(neighbour), way)) {
        base = nothing_known;
        factor = 0;
        return;
    }
    const std::size_t width = rotation_.width();
    for (std::size_t i = 0; i < width; ++i)
        way[i] -= node_[i];
    rotation_.turn(way);
    const Signs signs = take_signs(
        way, width, [&to](std::size_t number, unsigned char byte) { to.bits(number) = byte; });
    float across = 0;
    for (std::size_t i = 0; i < width; ++i)
        across += way[i] > 0 ? node_turned_[i] : -node_turned_[i];
    if (kernel_.metric == Metric::l2_squared) {
        base = signs.square + 2 * signs.projection * across;
        factor = -2 * signs.projection;
    } else {
        const float along = product(way, node_turned_.data(), width);
        base = node_square_ > 0 ? (signs.projection * across - along) / node_square_ : 0;
        factor = -signs.projection;
    }
}

// What each of the sixteen combinations of four signs gives: an element's share, a number of steps,
// counts where the sign is the element's own. Byte by byte, none of which overflows.
void LinkCodes::Query::make_table(const float *elements, float steps,
                                  unsigned char *table) const noexcept {
    constexpr std::uint64_t every_byte = 0x0101010101010101;
    // The combinations that have this sign, of the eight without the last one.
    constexpr std::uint64_t with[] = {0xFF00FF00FF00FF00, 0xFFFF0000FFFF0000, 0xFFFFFFFF00000000};
    const auto share = [&](unsigned i) {
        return every_byte * static_cast<unsigned>(std::fabs(elements[i]) * steps + 0.5f);
    };
    const auto above = [&](unsigned i) {
        return elements[i] > 0 ? ~std::uint64_t{0} : std::uint64_t{0};
    };
    std::uint64_t sum = 0;
    for (unsigned i = 0; i < 3; ++i)
        sum += share(i) & (with[i] ^ ~above(i));
    const std::uint64_t last = share(3);
    const std::uint64_t both[] = {sum + (last & ~above(3)), sum + (last & above(3))};
    std::memcpy(table, both, sizeof(both));
    std::memcpy(table + sizeof(both), both, sizeof(both));
}

// Each element is rounded to a step that all have in common; errors of rounding are small beside
// that of the codes.
bool LinkCodes::Query::reset(const LinkCodes &codes, const void *query) {
    const std::size_t width = codes.rotation_.width();
    turned_.resize(width);
    if (!codes.read(query, turned_.data()))
        return false;
    codes.rotation_.turn(turned_.data());
    metric_ = codes.kernel_.metric;
    kernels_ = &distance::link_code_kernels();
    bytes_ = width / 8;
    tables_.resize(2 * codes_at_once * bytes_);
    float widest = 0, all = 0;
    for (std::size_t i = 0; i < width; i += 4) {
        const float range = 2 * (std::fabs(turned_[i]) + std::fabs(turned_[i + 1]) +
                                 std::fabs(turned_[i + 2]) + std::fabs(turned_[i + 3]));
        widest = std::max(widest, range);
        all += range;
    }
    // Four elements may be rounded up by two steps together.
    const float rounded = static_cast<float>(4 * bytes_);
    step_ = std::max(widest / (most_looked_up - 2), all / (most_sum - rounded));
    least_ = -all / 2;
    // A query of next to nothing.
    constexpr float least_step = 1e-30f;
    const float steps = step_ > least_step ? 2 / step_ : 0;
    for (std::size_t part = 0; part < 2 * bytes_; ++part)
        make_table(&turned_[4 * part], steps,
                   &tables_[codes_at_once * (part / 2 + part % 2 * bytes_)]);
    return true;
}

void LinkCodes::Query::estimate(const std::byte *block, float node,
                                float *distances) const noexcept {
    alignas(cache_line) std::uint16_t sums[codes_at_once];
    kernels_->sums(bits(block), tables_.data(), bytes_, sums);
    // How much of the first number counts: where that is for a query in the direction of the node,
    // the product with the node.
    const float share = metric_ == Metric::l2_squared ? 1
                        : metric_ == Metric::cosine   ? 1 - node
                                                      : -node;
    kernels_->distances(sums, bases(block), {node, share, least_, step_}, distances);
}

}  // namespace dvec::graph

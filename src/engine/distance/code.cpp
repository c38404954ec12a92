// Encoding, in arithmetic that gives the same result on every processor: one operation at a time,
// in the order written. For this file mk/engine.mk forbids the compiler to fuse two operations into
// one.
//
// Why the error is a bound. With u = 2^-24, n dimensions, k = floor(n / 8) + 12 the roundings of a
// kernel (float32.hpp), x the vector, d what low + step * c[i] is in exact arithmetic, and E the
// distance between x and d:
//
//     decoding   One fused operation, or two roundings: in element i, kernels differ from d
//                and from each other by at most u * (|low| + 3 |d[i]|). As |low| <= |x| and
//                |d| <= (1 + 1/32) |x|, that is u * (sqrt(n) + 4) * |x| for a vector, and less than
//                k * u * |x|.
//     summing    The sum of squares below is kept in eight lanes and at most k * u of itself too
//                small: its root, at most half of that.
//     products   A kernel's q.x is off by k * u * |q| |x|, its q.d by k * u * |q| |d|: together by
//                2.04 * k * u * |q| |x|.
//     squares    The root of a kernel's sum is off by k * u / 2 of itself. CodeJudge::bound()
//                subtracts the error from one such root, to compare with another, and scales the
//                squared difference by 1 - 4 * k * u. That makes up for both, and for its own
//                roundings, but for a part that is proportional to E and below 2 * k * u * E.
//     underflow  A square or a product loses at most 2^-149, the root of a sum of n at most
//                n * 2^-74, and there are three such roots.
//
// In all 3.04 * k * u of |x| and 2.5 * k * u of E, and a few u of both for single operations. As k
// is at least 12, 4 * k * u of both cover that.
#include "engine/distance/code.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "engine/distance/cosine_parts.hpp"

namespace dvec::distance {

namespace {

constexpr float most_relative_error = 1.0f / 32;

// Four lanes of the compiler's vectors, which GCC and Clang turn into registers of the platform.
constexpr std::size_t width = 4;
typedef float Floats __attribute__((vector_size(width * sizeof(float))));
typedef std::int32_t Ints __attribute__((vector_size(width * sizeof(std::int32_t))));
typedef std::uint8_t Bytes __attribute__((vector_size(width)));
typedef std::uint64_t Pairs __attribute__((vector_size(width * sizeof(std::int32_t))));

// Elements are taken eight at a time. If the last block has fewer, fillers are put behind them.
constexpr std::size_t block = 2 * width;

Floats all(float value) { return Floats{value, value, value, value}; }

Floats load(const float *elements) {
    Floats floats;
    std::memcpy(&floats, elements, sizeof(floats));
    return floats;
}

Floats lesser(Floats a, Floats b) { return a < b ? a : b; }
Floats greater(Floats a, Floats b) { return a > b ? a : b; }

float sum(Floats a) { return (a[0] + a[2]) + (a[1] + a[3]); }

// Calls use(elements, i, count) for each block of the vector.
template <typename Use>
void for_each_block(const float *vector, std::size_t dimensions, float filler, Use use) {
    std::size_t i = 0;
    for (; i + block <= dimensions; i += block)
        use(vector + i, i, block);
    if (const std::size_t count = dimensions - i; count != 0) {
        float last[block];
        std::memcpy(last, vector + i, count * sizeof(float));
        for (std::size_t place = count; place < block; ++place)
            last[place] = filler;
        use(last, i, count);
    }
}

struct Range {
    float low, high;
};

Range range_of(const float *vector, std::size_t dimensions) {
    Floats low = all(vector[0]);
    Floats high = low;
    for_each_block(vector, dimensions, vector[0],
                   [&](const float *elements, std::size_t, std::size_t) {
                       const Floats first = load(elements);
                       const Floats second = load(elements + width);
                       low = lesser(lesser(first, second), low);
                       high = greater(greater(first, second), high);
                   });
    Range range{low[0], high[0]};
    for (std::size_t lane = 1; lane < width; ++lane) {
        range.low = low[lane] < range.low ? low[lane] : range.low;
        range.high = high[lane] > range.high ? high[lane] : range.high;
    }
    return range;
}

// Writes four numbers below 256 as bytes. Compilers would convert such a vector one number after
// another.
void narrow(Ints numbers, std::uint8_t *bytes) {
    static_assert(std::endian::native == std::endian::little);
    Pairs pairs;
    std::memcpy(&pairs, &numbers, sizeof(pairs));
    pairs |= pairs >> 24;
    const auto four = static_cast<std::uint32_t>((pairs[0] & 0xffff) | pairs[1] << 16);
    std::memcpy(bytes, &four, sizeof(four));
}

// The values that a byte can stand for.
struct Grid {
    Floats low, step, scale;

    explicit Grid(const CodeHeader &header) : low(all(header.low)), step(all(header.step)) {
        // For a smaller step the reciprocal may be infinite, so then all bytes are 0.
        const bool divides = header.step >= std::numeric_limits<float>::min();
        scale = all(divides ? 1 / header.step : 0.0f);
    }

    // Writes a byte for each of four elements; returns by how much the elements differ from what
    // the bytes stand for.
    Floats put(Floats elements, std::uint8_t *bytes) const {
        // The value before conversion is from 0.5 to 255, whatever the elements are: lesser() of
        // NaN and a number is the number.
        const Ints steps = __builtin_convertvector(
            lesser((elements - low) * scale + all(0.5f), all(255.0f)), Ints);
        narrow(steps, bytes);
        return elements - (low + step * __builtin_convertvector(steps, Floats));
    }

    // By how much four elements differ from what their bytes stand for.
    Floats difference(Floats elements, const std::uint8_t *bytes) const {
        Bytes four;
        std::memcpy(&four, bytes, sizeof(four));
        return elements - (low + step * __builtin_convertvector(four, Floats));
    }
};

struct Products {
    float square;  // of the vector with itself
    float along;   // with what it differs from its code by
};

// Writes a byte for each element. Fillers, which are 0, add nothing.
Products put_steps(const float *vector, std::size_t dimensions, const CodeHeader &header,
                   std::uint8_t *bytes) {
    const Grid grid(header);
    Floats even{}, odd{}, along{};
    for_each_block(vector, dimensions, 0,
                   [&](const float *elements, std::size_t i, std::size_t count) {
                       const Floats first = load(elements);
                       const Floats second = load(elements + width);
                       std::uint8_t eight[block];
                       along += first * grid.put(first, eight);
                       along += second * grid.put(second, eight + width);
                       even += first * first;
                       odd += second * second;
                       std::memcpy(bytes + i, eight, count);
                   });
    return {sum(even + odd), sum(along)};
}

// The square of the distance between vector and code.
float squared_error(const float *vector, std::size_t dimensions, const CodeHeader &header,
                    const std::uint8_t *bytes) {
    const Grid grid(header);
    Floats even{}, odd{};
    std::size_t i = 0;
    for (; i + block <= dimensions; i += block) {
        const Floats first = grid.difference(load(vector + i), bytes + i);
        const Floats second = grid.difference(load(vector + i + width), bytes + i + width);
        even += first * first;
        odd += second * second;
    }
    float error = sum(even + odd);
    for (; i < dimensions; ++i) {
        const float difference =
            vector[i] - (header.low + header.step * static_cast<float>(bytes[i]));
        error += difference * difference;
    }
    return error;
}

// Makes a code x + e longer or shorter until e is perpendicular to x. Then the error of an inner
// product with q is e.(q - x), which is small where q is near to x, and there the order of
// neighbours matters. Otherwise the error would be e.q, which is as large near x as far from it,
// and larger than what near duplicates differ by.
void straighten(CodeHeader &header, const Products &products) {
    const float longer = products.along / (products.square - products.along);
    if (std::abs(longer) < most_relative_error) {
        header.low += header.low * longer;
        header.step += header.step * longer;
    }
}

float inverse_of_root(float square) {
    return far_from_limits(square) ? 1 / std::sqrt(square) : 0.0f;
}

}  // namespace

float inverse_length(const float *vector, std::size_t dimensions) {
    Floats even{}, odd{};
    for_each_block(vector, dimensions, 0, [&](const float *elements, std::size_t, std::size_t) {
        const Floats first = load(elements);
        const Floats second = load(elements + width);
        even += first * first;
        odd += second * second;
    });
    return inverse_of_root(sum(even + odd));
}

// Sums in the same lanes as the function above.
float inverse_length(const Half *vector, std::size_t dimensions) {
    float squares[block] = {};
    for (std::size_t i = 0; i < dimensions; ++i) {
        const float element = widen(vector[i]);
        squares[i % block] += element * element;
    }
    return inverse_of_root(sum(load(squares) + load(squares + width)));
}

void encode(const float *vector, std::size_t dimensions, void *code) {
    CodeHeader header{0, 0, 0, 0};
    if (dimensions != 0) {
        const auto [low, high] = range_of(vector, dimensions);
        header.low = low;
        // Each is divided before the subtraction, since the difference of the extremes may be
        // beyond float's range.
        header.step = high / 255 - low / 255;
        auto *bytes = static_cast<std::uint8_t *>(code) + sizeof(header);
        const Products products = put_steps(vector, dimensions, header, bytes);
        if (high - low != 0)
            straighten(header, products);
        const float distance = std::sqrt(squared_error(vector, dimensions, header, bytes));
        const float length = std::sqrt(products.square);
        header.inverse_length = inverse_of_root(products.square);
        const float slack = static_cast<float>(dimensions / 8 + 12) * 0x1p-22f;
        header.error = distance + slack * distance + slack * length +
                       static_cast<float>(dimensions) * 0x1p-72f;
        // A vector of equal elements equals its code, however short it may be, so its error is not
        // limited.
        const float most =
            high - low == 0 ? std::numeric_limits<float>::max() : length * most_relative_error;
        if (!(header.error <= most))
            header.error = std::numeric_limits<float>::infinity();
    }
    std::memcpy(code, &header, sizeof(header));
}

}  // namespace dvec::distance

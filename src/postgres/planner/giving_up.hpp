// When a search of an index gives up, and the exact search begins anew: the shares of the exact
// search's work that it may have cost by then.
//
// A walk ends at wasted_share; but rows that it has at hand are handed out first, as long as those
// that do not pass cost little. A query then costs at most 1 + most_in_vain times the exact search,
// or 1 and what the first round of the walk takes with its rows, whatever the planner estimated.
#pragma once

#include <algorithm>
#include <cstdint>

namespace dvec::postgres {

inline constexpr double wasted_share = 0.35;
// The most that anything may cost in vain, but for the first round. A walk goes on up to that where
// all rows pass: the exact search is then sure to measure every row, so its work is known more
// exactly; and where some rows have passed, and the search is likely to end before.
inline constexpr double most_in_vain = 0.5;
inline constexpr std::uint64_t passed_on_track = 16;
// So much more may rows cost that a finished round of the walk has found and that do not pass: the
// walk has been paid for, and these rows may be all that the query wants.
inline constexpr double wasted_share_at_hand = 0.15;
// As long as the rows that are still missing to the LIMIT, should as many pass as of those before,
// do not cost so much: to begin anew costs more. Near the end most_in_vain may be spent.
inline constexpr double share_to_the_end = 0.8;
inline constexpr double share_near_the_end = 0.35;

inline double share_in_vain(bool all_pass) { return all_pass ? most_in_vain : wasted_share; }

// Of a search under way; all work in the same unit.
struct WorkSoFar {
    double exact = 0;            // what the exact search would cost
    double done = 0;             // so far
    double of_rows = 0;          // of it: handing out rows
    std::uint64_t rows = 0;      // handed out
    std::uint64_t passed = 0;    // of them
    double wanted = -1;          // rows that pass; -1: not known
    bool all_pass = false;       // since there are no conditions
    bool in_first_round = true;  // of the walk

    // The share in vain at which the walk ends.
    double share_to_walk() const {
        const double share = share_in_vain(all_pass);
        if (wanted < 0 || passed < passed_on_track)
            return share;
        const double whole = done * std::max(1.0, wanted / static_cast<double>(passed));
        return whole < most_in_vain * exact ? most_in_vain : share;
    }

    // Whether the walk, which has ended, is to hand out another row that it has at hand. The first
    // round is as wide as the LIMIT asks for, and may have spent everything before its first row.
    // What counts then is what it costs to go on, and that is little while rows are at hand.
    bool takes_row_at_hand() const {
        if (rows == 0)
            return true;
        if (!in_first_round && done >= most_in_vain * exact)
            return false;
        const double passing =
            std::min(1.0, static_cast<double>(passed) / static_cast<double>(rows));
        const double in_vain = (1 - passing) * of_rows;
        if (in_vain < wasted_share_at_hand * exact)
            return true;
        if (wanted < 0)
            return false;
        const double missing = (wanted - static_cast<double>(passed)) * of_rows;
        const double found = exact * static_cast<double>(passed);
        return (in_vain < wasted_share * exact && missing < share_to_the_end * found) ||
               (in_vain < most_in_vain * exact && missing < share_near_the_end * found);
    }
};

}  // namespace dvec::postgres

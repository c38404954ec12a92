// What the index scans of the session's last statement did, as dvec_last_searches() shows it, and
// the log line about a scan that took long.
#pragma once

#include "postgres/am/search_counts.hpp"

namespace dvec::postgres {

// How long the searches of a scan may take before they are logged, in milliseconds; -1: for ever,
// and nothing is timed.
extern int log_search_min_duration;

// Times what a scan does in the index, where that is wanted. Plain data.
class SearchTime {
  public:
    void prepare() noexcept { wanted_ = log_search_min_duration >= 0; }
    void begin() noexcept {
        if (wanted_)
            INSTR_TIME_SET_CURRENT(begun_);
    }
    void end() noexcept {
        if (!wanted_)
            return;
        instr_time now;
        INSTR_TIME_SET_CURRENT(now);
        INSTR_TIME_ACCUM_DIFF(total_, now, begun_);
    }
    bool known() const noexcept { return wanted_; }
    double milliseconds() const noexcept { return INSTR_TIME_GET_MILLISEC(total_); }

  private:
    bool wanted_ = false;
    instr_time begun_{};
    instr_time total_{};
};

// A scan of the index has ended. Nothing happens where it has searched nothing, or where there is
// no memory to remember it.
void note_searches(Oid index, const SearchCounts &counts, const SearchTime &time) noexcept;

// Logs the scan if it took as long as the setting says. Where an ERROR may be raised.
void log_searches(Relation index, const SearchCounts &counts, const SearchTime &time);

// When the library is loaded, before its settings are closed.
void last_searches_init();

}  // namespace dvec::postgres

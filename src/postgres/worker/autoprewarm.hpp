// Which indexes are searched is noted in a file (searched_file.hpp), now and then and at shutdown;
// when the worker starts, it has the files of those indexes read into memory in the background
// (store/prewarm.hpp), those that are searched most first. After a start of the server alone they
// are there already, and nothing is read.
//
// Runs in the dvec worker only. dvec.autoprewarm turns both off.
#pragma once

namespace dvec::postgres {

// When the worker starts.
void begin_prewarm();

// In each round: counts searches, writes the file when that is due, tells the server's log when the
// reading has ended, and ends it where the setting has been turned off. Returns the milliseconds
// until it has something to do again.
long note_searched_indexes();

// Writes the file; no search will be counted any more.
void note_searched_at_end();

// Ends the reading, if it is under way.
void end_prewarm() noexcept;

}  // namespace dvec::postgres

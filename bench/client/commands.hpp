// What the client can do; each command reads its own arguments and prints one JSON object.
#pragma once

#include "bench/client/arguments.hpp"

namespace dvec::bench {

// Fills a table (id integer, v vector) by COPY.
void load(const Arguments &arguments);

// Searches for a time by several sessions: recall, rate, latencies, processor time; while another
// session inserts, if that is asked for.
void search(const Arguments &arguments);

// Inserts in batches by several sessions, and waits until the index has linked them.
void insert(const Arguments &arguments);

// Connects again and again: what the first queries cost, and the memory of such a session.
void cold(const Arguments &arguments);

// Bytes per second that memory of --megabytes is read at.
void bandwidth(const Arguments &arguments);

}  // namespace dvec::bench

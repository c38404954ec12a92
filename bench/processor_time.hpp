// Processor time of the process, in seconds: on a shared machine steadier than the clock on the
// wall.
#pragma once

#include <sys/resource.h>

namespace dvec::bench {

inline double processor_seconds() {
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

}  // namespace dvec::bench

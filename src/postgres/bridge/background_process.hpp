// Background processes of this library, as the server is asked for them.
#pragma once

#include "postgres/bridge/postgres.hpp"

namespace dvec::postgres {

// One that can connect to a database and is not started again when it ends. `function` is that of
// this library which it runs.
inline BackgroundWorker background_process(const char *name, const char *function,
                                           BgWorkerStartTime start) {
    BackgroundWorker process{};
    strlcpy(process.bgw_name, name, BGW_MAXLEN);
    strlcpy(process.bgw_type, name, BGW_MAXLEN);
    strlcpy(process.bgw_library_name, "dvec", BGW_MAXLEN);
    strlcpy(process.bgw_function_name, function, BGW_MAXLEN);
    process.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    process.bgw_start_time = start;
    process.bgw_restart_time = BGW_NEVER_RESTART;
    return process;
}

}  // namespace dvec::postgres

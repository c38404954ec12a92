// The server's headers for processes: shared memory, locks, signals, waiting, background workers,
// what they report of themselves.
#pragma once

#include "postgres/bridge/postgres.hpp"

extern "C" {
#include "common/file_perm.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/condition_variable.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/procsignal.h"
#include "storage/shmem.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/pidfile.h"
#include "utils/wait_event.h"
}

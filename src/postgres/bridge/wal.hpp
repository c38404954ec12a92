// The server's headers for its write-ahead log.
#pragma once

#include "postgres/bridge/postgres.hpp"

extern "C" {
#include "access/timeline.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "access/xlogdefs.h"
#include "access/xlogreader.h"
#include "access/xlogrecovery.h"
#include "access/xlogutils.h"
}

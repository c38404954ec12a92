// The server's headers for transactions, their IDs, and the messages they send each other.
#pragma once

#include "postgres/bridge/postgres.hpp"

extern "C" {
#include "access/transam.h"
#include "access/xact.h"
#include "storage/procarray.h"
#include "storage/sinval.h"
}

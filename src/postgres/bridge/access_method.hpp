// The server's headers for index access methods.
#pragma once

#include "postgres/bridge/postgres.hpp"

extern "C" {
#include "access/amapi.h"
#include "access/amvalidate.h"
#include "access/genam.h"
#include "access/reloptions.h"
#include "access/relscan.h"
#include "access/stratnum.h"
#include "access/tableam.h"
#include "catalog/index.h"
#include "commands/progress.h"
#include "commands/vacuum.h"
#include "nodes/pathnodes.h"
#include "utils/guc.h"
#include "utils/rel.h"
}

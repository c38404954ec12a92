// The server's headers for executing plans and expressions, and for a plan node of our own.
#pragma once

#include "postgres/bridge/access_method.hpp"

extern "C" {
#include "executor/executor.h"
#include "executor/instrument.h"
#include "funcapi.h"
#include "nodes/execnodes.h"
#include "nodes/extensible.h"
#include "nodes/makefuncs.h"
#include "nodes/plannodes.h"
}

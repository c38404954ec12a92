// The file that keeps a measured recall curve from one start to the next. It is a convenience:
// where it is missing, damaged or of another index, the curve is measured anew, so it is neither
// synced nor mentioned anywhere else.
#pragma once

#include "engine/base/file.hpp"
#include "engine/graph/recall_curve.hpp"
#include "engine/store/description.hpp"

namespace dvec::store {

inline constexpr std::string_view recall_file_name = "recall";

// The file's bytes are valid as a whole or not at all: a damaged one is not_found too. The curve
// may be of an earlier generation.
base::Result<graph::RecallCurve> read_recall(base::FileSystem &file_system,
                                             const Description &description);
// Puts the curve in the place of the one before.
base::Status write_recall(base::FileSystem &file_system, const Description &description,
                          const graph::RecallCurve &curve);

}  // namespace dvec::store

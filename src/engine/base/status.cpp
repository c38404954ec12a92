// Status for failed system calls: one place decides which errno means what to a user.
#include "engine/base/status.hpp"

#include <cerrno>
#include <system_error>

namespace dvec::base {

Status Status::from_errno(int error_number, const std::string &what) {
    Code code = Code::io_error;
    switch (error_number) {
        case ENOENT:
        case ENOTDIR:
            code = Code::not_found;
            break;
        case EEXIST:
            code = Code::already_exists;
            break;
        case ENOSPC:
        case EDQUOT:
            code = Code::no_space;
            break;
        case ENOMEM:
            code = Code::out_of_memory;
            break;
        default:
            break;
    }
    return Status(code, what + ": " + std::generic_category().message(error_number));
}

}  // namespace dvec::base

// Whether a sanitizer watches the tests: everything takes some ten times longer then, and what
// sanitizers look for shows in little data as in much. So a test takes less where only its numbers
// (a recall, a count of what was seen) need much.
#pragma once

namespace dvec::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif
#else
inline constexpr bool sanitized = false;
#endif

}  // namespace dvec::test

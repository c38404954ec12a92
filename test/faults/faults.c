// Faults on purpose: a library for LD_PRELOAD that makes a server's sidecar files fail, and that
// remembers what of them a disk would still hold after a loss of power.
//
// It acts on files under a folder named dvec only, so PostgreSQL's own files are as safe as ever.
// The folder named by DVEC_FAULTS steers it while the server runs; what exists there is in force:
//
//   no_space    making a file longer fails with ENOSPC
//   fail_sync   fsync, fdatasync and msync fail with EIO
//   fail_read   pread fails with EIO
//   stall_sync  fsync and fdatasync do not return while it exists
//   allocations says which process's which C++ allocation fails: see failing_allocations below
//   mount       holds the number of the mount that files are told to be on; 0: the system has none
//   boot_id     is read in place of /proc/sys/kernel/random/boot_id
//   disk/       the durable image: what a sync has made certain to be on disk
//
// All but the last two may hold the beginning of a file name: then only such files fail.
//
// The durable image. disk/<inode> is a file's content at its last sync; disk/names.<inode> lists a
// directory's entries ("<inode> <name>" each) at its last sync; disk/gone.<inode>.<name> is what a
// name of that directory led to that was removed or replaced since. The content is copied before
// the sync is reported, so that it holds no byte whose writer could not count on it except those
// written while it was copied, which a disk may hold too. Where disk/ exists the kernel's own sync
// is left out: nobody will cut the real power.
//
// Several threads and processes sync at once; a lock per image keeps an older copy from replacing a
// newer one. Any process may be killed anywhere: an image that was updated in part is what a disk
// can hold as well.
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096
#define most_descriptors 4096

// Descriptors opened by a path of ours. Stale entries are possible (a socket may get the number of
// a closed file), so that a set one only says where to look closer.
static unsigned char maybe_ours[most_descriptors];

// The function that ours stands before.
#define NEXT(name)                                         \
    ({                                                     \
        static __typeof__(&name) next_;                    \
        if (next_ == NULL)                                 \
            next_ = (__typeof__(&name))next_symbol(#name); \
        next_;                                             \
    })

static void *next_symbol(const char *name) {
    void *symbol = dlsym(RTLD_NEXT, name);
    if (symbol == NULL)
        abort();
    return symbol;
}

static bool control_path(char *path, const char *name) {
    const char *folder = getenv("DVEC_FAULTS");
    return folder != NULL && snprintf(path, PATH_MAX, "%s/%s", folder, name) < PATH_MAX;
}

static bool is_ours(const char *path) {
    const size_t length = strlen(path);
    return strncmp(path, "dvec/", 5) == 0 || strcmp(path, "dvec") == 0 ||
           strstr(path, "/dvec/") != NULL ||
           (length >= 5 && strcmp(path + length - 5, "/dvec") == 0);
}

static bool path_of(int descriptor, char *path) {
    char link[64];
    if (descriptor < 0 || descriptor >= most_descriptors || !maybe_ours[descriptor])
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    const ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length <= 0)
        return false;
    path[length] = '\0';
    return is_ours(path);
}

static const char *name_in(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

// Whether the fault is switched on for this file.
static bool in_force(const char *fault, const char *path) {
    char control[PATH_MAX];
    char prefix[256] = "";
    if (!control_path(control, fault))
        return false;
    const int descriptor = NEXT(open)(control, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return false;
    const ssize_t length = read(descriptor, prefix, sizeof prefix - 1);
    close(descriptor);
    prefix[length > 0 ? length : 0] = '\0';
    return strncmp(name_in(path), prefix, strlen(prefix)) == 0;
}

// Whether there is no space for bytes up to `end`; what a file has already can be overwritten.
static bool no_space(int descriptor, off_t end) {
    char path[PATH_MAX];
    struct stat info;
    return path_of(descriptor, path) && fstat(descriptor, &info) == 0 && end > info.st_size &&
           in_force("no_space", path);
}

// ---- The durable image -----------------------------------------------------------------------

static bool image_path(char *path, const char *format, ...) {
    char disk[PATH_MAX];
    char name[PATH_MAX];
    va_list arguments;
    if (!control_path(disk, "disk") || access(disk, F_OK) != 0)
        return false;
    va_start(arguments, format);
    const int length = vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    return length < PATH_MAX && (size_t)length + strlen(disk) + 2 < PATH_MAX &&
           snprintf(path, PATH_MAX, "%.2000s/%.2000s", disk, name) < PATH_MAX;
}

static void write_out(int descriptor, const char *data, ssize_t size, off_t offset) {
    // Half an image would make the test wrong, not the server.
    if (NEXT(pwrite)(descriptor, data, (size_t)size, offset) != size)
        abort();
}

// Only pages that differ are written, which keeps the image of a large file cheap.
static void copy_pages(int from, int to) {
    enum { chunk = 64 * PAGE };
    char *source = malloc(2 * chunk);
    if (source == NULL)
        abort();
    char *old = source + chunk;
    struct stat info;
    if (fstat(to, &info) != 0)
        abort();
    off_t offset = 0;
    for (;;) {
        const ssize_t size = pread(from, source, chunk, offset);
        if (size <= 0)
            break;
        const ssize_t known = pread(to, old, chunk, offset);
        for (ssize_t at = 0; at < size; at += PAGE) {
            const ssize_t length = size - at < PAGE ? size - at : PAGE;
            if (known < at + length || memcmp(source + at, old + at, (size_t)length) != 0)
                write_out(to, source + at, length, offset + at);
        }
        offset += size;
    }
    if (info.st_size != offset && NEXT(ftruncate)(to, offset) != 0)
        abort();
    free(source);
}

static void remember_content(int descriptor, const struct stat *info) {
    char image[PATH_MAX];
    if (!image_path(image, "%lu", (unsigned long)info->st_ino))
        return;
    const int to = NEXT(open)(image, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    // A descriptor of its own: the caller's may be open for writing only.
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    const int from = NEXT(open)(link, O_RDONLY | O_CLOEXEC);
    if (to < 0 || from < 0)
        abort();
    while (flock(to, LOCK_EX) != 0)
        if (errno != EINTR)
            abort();
    copy_pages(from, to);
    close(from);
    close(to);
}

static void forget_gone(const struct stat *directory) {
    char disk[PATH_MAX];
    char prefix[64];
    char path[PATH_MAX];
    if (!control_path(disk, "disk"))
        return;
    snprintf(prefix, sizeof prefix, "gone.%lu.", (unsigned long)directory->st_ino);
    DIR *entries = opendir(disk);
    if (entries == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
            image_path(path, "%s", entry->d_name))
            NEXT(unlink)(path);
    closedir(entries);
}

static void remember_names(int descriptor, const struct stat *info) {
    char lock_path[PATH_MAX], path[PATH_MAX], unfinished[PATH_MAX];
    if (!image_path(lock_path, "lock.%lu", (unsigned long)info->st_ino) ||
        !image_path(path, "names.%lu", (unsigned long)info->st_ino) ||
        !image_path(unfinished, "names.%lu.new", (unsigned long)info->st_ino))
        return;
    const int lock = NEXT(open)(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0)
        abort();
    while (flock(lock, LOCK_EX) != 0)
        if (errno != EINTR)
            abort();
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    DIR *entries = opendir(link);
    FILE *list = fopen(unfinished, "we");
    if (entries == NULL || list == NULL)
        abort();
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        struct stat there;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            fstatat(descriptor, entry->d_name, &there, AT_SYMLINK_NOFOLLOW) == 0)
            fprintf(list, "%lu %s\n", (unsigned long)there.st_ino, entry->d_name);
    }
    closedir(entries);
    if (fclose(list) != 0 || NEXT(rename)(unfinished, path) != 0)
        abort();
    forget_gone(info);
    close(lock);
}

// Returns whether the sync is done with.
static bool remembered(int descriptor) {
    char disk[PATH_MAX];
    struct stat info;
    if (!control_path(disk, "disk") || access(disk, F_OK) != 0 || fstat(descriptor, &info) != 0)
        return false;
    const int saved_errno = errno;
    if (S_ISDIR(info.st_mode))
        remember_names(descriptor, &info);
    else
        remember_content(descriptor, &info);
    errno = saved_errno;
    return true;
}

// Inodes are used again: a new file has nothing on disk yet.
static void forget_inode(int descriptor) {
    char image[PATH_MAX];
    struct stat info;
    if (fstat(descriptor, &info) != 0)
        return;
    if (image_path(image, "%lu", (unsigned long)info.st_ino))
        NEXT(unlink)(image);
    if (image_path(image, "names.%lu", (unsigned long)info.st_ino))
        NEXT(unlink)(image);
}

// A name is about to lead nowhere or elsewhere; until its directory is synced a disk may still have
// it.
static void keep_gone(const char *path) {
    char folder[PATH_MAX], image[PATH_MAX], gone[PATH_MAX];
    struct stat file, directory;
    if (lstat(path, &file) != 0 || !S_ISREG(file.st_mode) || strlen(path) >= PATH_MAX)
        return;
    strcpy(folder, path);
    char *slash = strrchr(folder, '/');
    if (slash == NULL)
        return;
    *slash = '\0';
    if (stat(folder, &directory) != 0 || file.st_nlink > 1)
        return;
    if (image_path(image, "%lu", (unsigned long)file.st_ino) &&
        image_path(gone, "gone.%lu.%s", (unsigned long)directory.st_ino, name_in(path)) &&
        access(gone, F_OK) != 0)
        NEXT(rename)(image, gone);
}

// ---- The calls -------------------------------------------------------------------------------

static int opened(int descriptor, const char *path, int flags) {
    if (descriptor < 0 || descriptor >= most_descriptors)
        return descriptor;
    maybe_ours[descriptor] = is_ours(path);
    if (maybe_ours[descriptor] && (flags & O_CREAT) != 0 && (flags & O_EXCL) != 0) {
        const int saved_errno = errno;
        forget_inode(descriptor);
        errno = saved_errno;
    }
    return descriptor;
}

static const char *redirected(const char *path, char *buffer) {
    if (strcmp(path, "/proc/sys/kernel/random/boot_id") == 0 && control_path(buffer, "boot_id") &&
        access(buffer, F_OK) == 0)
        return buffer;
    return path;
}

#define MODE_OF(flags)                                                \
    mode_t mode = 0;                                                  \
    if (((flags)&O_CREAT) != 0 || ((flags)&O_TMPFILE) == O_TMPFILE) { \
        va_list arguments;                                            \
        va_start(arguments, flags);                                   \
        mode = va_arg(arguments, mode_t);                             \
        va_end(arguments);                                            \
    }

int open(const char *path, int flags, ...) {
    char buffer[PATH_MAX];
    MODE_OF(flags)
    return opened(NEXT(open)(redirected(path, buffer), flags, mode), path, flags);
}

int open64(const char *path, int flags, ...) {
    char buffer[PATH_MAX];
    MODE_OF(flags)
    return opened(NEXT(open64)(redirected(path, buffer), flags, mode), path, flags);
}

static int refuse(int error_number) {
    errno = error_number;
    return -1;
}

int statx(int descriptor, const char *path, int flags, unsigned mask, struct statx *info) {
    enum { unique_mount_id = 0x4000 };
    char control[PATH_MAX];
    const int result = NEXT(statx)(descriptor, path, flags, mask, info);
    if (result != 0 || (mask & unique_mount_id) == 0 || !control_path(control, "mount"))
        return result;
    FILE *file = fopen(control, "re");
    unsigned long number;
    if (file == NULL)
        return result;
    if (fscanf(file, "%lu", &number) == 1) {
        info->stx_mnt_id = number;
        info->stx_mask = number == 0 ? info->stx_mask & ~(unsigned)unique_mount_id
                                     : info->stx_mask | unique_mount_id;
    }
    fclose(file);
    return result;
}

ssize_t pread(int descriptor, void *data, size_t size, off_t offset) {
    char path[PATH_MAX];
    return path_of(descriptor, path) && in_force("fail_read", path)
               ? refuse(EIO)
               : NEXT(pread)(descriptor, data, size, offset);
}

ssize_t pread64(int descriptor, void *data, size_t size, off64_t offset) {
    char path[PATH_MAX];
    return path_of(descriptor, path) && in_force("fail_read", path)
               ? refuse(EIO)
               : NEXT(pread64)(descriptor, data, size, offset);
}

ssize_t pwrite(int descriptor, const void *data, size_t size, off_t offset) {
    return no_space(descriptor, offset + (off_t)size)
               ? refuse(ENOSPC)
               : NEXT(pwrite)(descriptor, data, size, offset);
}

ssize_t pwrite64(int descriptor, const void *data, size_t size, off64_t offset) {
    return no_space(descriptor, offset + (off_t)size)
               ? refuse(ENOSPC)
               : NEXT(pwrite64)(descriptor, data, size, offset);
}

ssize_t write(int descriptor, const void *data, size_t size) {
    return no_space(descriptor, LONG_MAX) ? refuse(ENOSPC) : NEXT(write)(descriptor, data, size);
}

int posix_fallocate(int descriptor, off_t offset, off_t size) {
    return no_space(descriptor, offset + size) ? ENOSPC
                                               : NEXT(posix_fallocate)(descriptor, offset, size);
}

int posix_fallocate64(int descriptor, off64_t offset, off64_t size) {
    return no_space(descriptor, offset + size) ? ENOSPC
                                               : NEXT(posix_fallocate64)(descriptor, offset, size);
}

int fallocate(int descriptor, int mode, off_t offset, off_t size) {
    return no_space(descriptor, offset + size) ? refuse(ENOSPC)
                                               : NEXT(fallocate)(descriptor, mode, offset, size);
}

int fallocate64(int descriptor, int mode, off64_t offset, off64_t size) {
    return no_space(descriptor, offset + size) ? refuse(ENOSPC)
                                               : NEXT(fallocate64)(descriptor, mode, offset, size);
}

static int sync_with(int descriptor, int (*sync)(int)) {
    char path[PATH_MAX];
    if (!path_of(descriptor, path))
        return sync(descriptor);
    while (in_force("stall_sync", path))
        usleep(10000);
    if (in_force("fail_sync", path))
        return refuse(EIO);
    return remembered(descriptor) ? 0 : sync(descriptor);
}

int fsync(int descriptor) { return sync_with(descriptor, NEXT(fsync)); }

int fdatasync(int descriptor) { return sync_with(descriptor, NEXT(fdatasync)); }

// A mapping does not tell its file; the engine syncs through descriptors and must go on doing so
// for the image to be right.
int msync(void *address, size_t size, int flags) {
    char control[PATH_MAX];
    if (control_path(control, "fail_sync") && access(control, F_OK) == 0)
        return refuse(EIO);
    return NEXT(msync)(address, size, flags);
}

int unlink(const char *path) {
    if (is_ours(path))
        keep_gone(path);
    return NEXT(unlink)(path);
}

int rename(const char *from, const char *to) {
    if (is_ours(to))
        keep_gone(to);
    return NEXT(rename)(from, to);
}

// ---- Allocations -----------------------------------------------------------------------------

// What a file "allocations" holds that was there when the server started; the test writes to it.
// All allocations of C++ code in process `pid` are counted down; the one that finds 0 fails.
struct failing_allocations {
    volatile int pid;  // 0: none
    volatile int reserved;
    volatile long left;
    volatile long failed;  // how many have
};

static struct failing_allocations *failing;

__attribute__((constructor)) static void map_failing_allocations(void) {
    char control[PATH_MAX];
    if (!control_path(control, "allocations"))
        return;
    const int descriptor = NEXT(open)(control, O_RDWR | O_CLOEXEC);
    if (descriptor < 0)
        return;
    void *memory = mmap(NULL, sizeof *failing, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (memory != MAP_FAILED)
        failing = memory;
    close(descriptor);
}

static bool allocation_fails(void) {
    if (failing == NULL || failing->pid == 0 || failing->pid != getpid())
        return false;
    if (__atomic_fetch_sub(&failing->left, 1, __ATOMIC_SEQ_CST) != 0)
        return false;
    __atomic_fetch_add(&failing->failed, 1, __ATOMIC_SEQ_CST);
    // Into the server's log, for whoever reads of a failed test.
    void *frames[24];
    backtrace_symbols_fd(frames, backtrace(frames, 24), STDERR_FILENO);
    return true;
}

static void *checked(void *memory) {
    if (memory != NULL)
        return memory;
    // The C++ library is loaded with the extension, long after this one.
    void (*throw_bad_alloc)(void) = (void (*)(void))dlsym(RTLD_DEFAULT, "_ZSt17__throw_bad_allocv");
    if (throw_bad_alloc != NULL)
        throw_bad_alloc();
    abort();
}

// operator new(size_t) and operator new(size_t, std::align_val_t), on which all the others rest.
void *_Znwm(size_t size);
void *_ZnwmSt11align_val_t(size_t size, size_t alignment);

void *_Znwm(size_t size) { return checked(allocation_fails() ? NULL : malloc(size ? size : 1)); }

void *_ZnwmSt11align_val_t(size_t size, size_t alignment) {
    return checked(allocation_fails() ? NULL : memalign(alignment, size ? size : 1));
}

// A clean folder is believed on any boot, but only in the very file that was left clean: a folder
// that was copied while it was clean (a base backup) may have missed rows that were inserted before
// the copy of the database was complete, and a tool may write a copy over the original. The folder
// of another cluster may even hold the very same file: after pg_upgrade both clusters can be
// written to, until somebody moves the folder.
//
// The page cache keeps what was stored and not synced for as long as the file system is mounted,
// and no longer. In a snapshot of a block device, or on a volume that was detached and comes back,
// the same file is found with the same device number on the same boot, and without those bytes. No
// mark in a file can tell the two cases apart, since the kernel may write any page back at any
// time, for example the page with the mark and not the one beside it. The number of the mount can,
// since the kernel never gives it out twice. So can a process that has the folder open all the
// time, since that keeps the file system from being unmounted.
#include "engine/store/survival.hpp"

#include "engine/store/boot_id.hpp"

namespace dvec::store {

using base::Result;
using base::Status;

namespace {

// A copy is born later than its original, so birth tells files apart even where the number of the
// device changes from boot to boot.
bool same_file(const base::FileIdentity &found, const base::FileIdentity &noted) {
    if (found.inode != noted.inode || found.born != noted.born)
        return false;
    return found.born != 0 || found.device == noted.device;
}

base::FileIdentity noted_nodes(const CheckpointRecord &checkpoint) {
    return {checkpoint.nodes_device, checkpoint.nodes_inode, checkpoint.nodes_born};
}

base::FileIdentity noted_owner(const CheckpointRecord &checkpoint) {
    return {checkpoint.owner_device, checkpoint.owner_inode, checkpoint.owner_born};
}

// Why the table may have changed on pages that no WAL tells of; null when it cannot have. Whoever
// copies the files of a database (one that moves to another tablespace and back, or takes the place
// of one that was dropped) writes no WAL for their pages, but copies the index's own file, too.
const char *doubt_of_table(const FoundCheckpoint &found, WalHistory::Foreign foreign) {
    const base::FileIdentity now = found.owner.file;
    const base::FileIdentity then = noted_owner(found.record);
    const bool known = now.inode != 0 && then.inode != 0;
    if (known && !same_file(now, then))
        return "its database is a copy";
    if (foreign == WalHistory::Foreign::unknown ||
        (foreign == WalHistory::Foreign::continuing && !known))
        return "the server has recovered from the WAL of another since";
    return nullptr;
}

// Why bytes that were stored and not synced may be gone; null when they cannot be gone.
const char *page_cache_doubt(base::FileSystem &file_system, const base::FileIdentity &found,
                             const CheckpointRecord &checkpoint, const WalHistory &history) {
    const std::uint64_t boot = current_boot_id(file_system);
    if (boot == 0 || boot != checkpoint.boot)
        return "the machine was restarted while it was in use";
    if (found.device != checkpoint.nodes_device)
        return "its files are on another device than when it was in use";
    if (history.file_system_held_since(checkpoint.server_start))
        return nullptr;
    if (found.mount == 0)
        return "it is not known whether its file system stayed mounted";
    return found.mount == checkpoint.mount ? nullptr
                                           : "its file system was mounted anew while it was in use";
}

}  // namespace

Result<Survival> survival_of(base::FileSystem &file_system, graph::NodeStore &nodes,
                             const FoundCheckpoint &found, const WalHistory &history) {
    const CheckpointRecord &checkpoint = found.record;
    if (checkpoint.owner_system != found.owner.system)
        return Survival{Survived::checksummed, "its files come from another cluster"};
    if (!same_file(nodes.file_identity(), noted_nodes(checkpoint)))
        return Survival{Survived::checksummed, "its files are copies"};
    const WalHistory::Foreign foreign = history.foreign_recovery_since(checkpoint.server_start);
    if (const char *doubt = doubt_of_table(found, foreign))
        return Survival{Survived::checksummed, doubt};
    const bool followed = foreign != WalHistory::Foreign::none;

    if (checkpoint.clean != 0) {
        auto change_time = nodes.file_change_time();
        DVEC_TRY(change_time);
        if (change_time.value() != checkpoint.nodes_change_time)
            return Survival{Survived::checksummed,
                            "its files were changed while the server was down"};
        return Survival{Survived::clean, "", followed};
    }
    if (const char *doubt =
            page_cache_doubt(file_system, nodes.file_identity(), checkpoint, history))
        return Survival{Survived::synced, doubt, followed};
    return Survival{Survived::written, "", followed};
}

}  // namespace dvec::store

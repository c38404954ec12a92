#include "postgres/bridge/extension.hpp"

#include "postgres/bridge/guard.hpp"

extern "C" {
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/pg_extension.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "tcop/utility.h"
}

namespace dvec::postgres {

// For the install script: what CREATE EXTENSION does for the extensions that a control file names
// as required. Which one dvec stands on is known only when it meets the database.
DVEC_COMMON_FUNCTION(depend_on_extension) {
    if (!creating_extension)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("only the script of an extension can call this function")));
    const Oid required = get_extension_oid(NameStr(*PG_GETARG_NAME(0)), false);
    ObjectAddress extension;
    ObjectAddressSet(extension, ExtensionRelationId, CurrentExtensionObject);
    ObjectAddress other;
    ObjectAddressSet(other, ExtensionRelationId, required);
    recordDependencyOn(&extension, &other, DEPENDENCY_NORMAL);
    PG_RETURN_VOID();
}

namespace {

ProcessUtility_hook_type previous_utility_hook = nullptr;

// pgvector's types and access methods have the names of ours. Its script fails with the first of
// them.
void explain_names_in_use(void *) {
    if (geterrcode() == ERRCODE_DUPLICATE_OBJECT)
        errhint(
            "Extension \"dvec\" has made types and access methods of these names in this database, "
            "and runs SQL written for pgvector. To have pgvector's own and dvec beside them, "
            "create "
            "extension \"vector\" first, in another database.");
}

bool creates_vector_beside_ours(const PlannedStmt *statement) {
    if (!IsA(statement->utilityStmt, CreateExtensionStmt))
        return false;
    const auto *create = reinterpret_cast<const CreateExtensionStmt *>(statement->utilityStmt);
    return std::strcmp(create->extname, "vector") == 0 && IsTransactionState() &&
           OidIsValid(get_extension_oid("dvec", true)) &&
           !OidIsValid(get_extension_oid("vector", true));
}

void run_utility(PlannedStmt *statement, const char *text, bool read_only_tree,
                 ProcessUtilityContext context, ParamListInfo values, QueryEnvironment *environment,
                 DestReceiver *receiver, QueryCompletion *completion) {
    const auto run =
        previous_utility_hook != nullptr ? previous_utility_hook : standard_ProcessUtility;
    ErrorContextCallback explanation{error_context_stack, explain_names_in_use, nullptr};
    const bool explains = creates_vector_beside_ours(statement);
    if (explains)
        error_context_stack = &explanation;
    run(statement, text, read_only_tree, context, values, environment, receiver, completion);
    if (explains)
        error_context_stack = explanation.previous;
}

}  // namespace

void extension_init() {
    previous_utility_hook = ProcessUtility_hook;
    ProcessUtility_hook = run_utility;
}

}  // namespace dvec::postgres

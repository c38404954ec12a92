// For the install script: what CREATE EXTENSION does for the extensions that a control file names
// as required. Which one dvec stands on is known only when it meets the database.
#include "postgres/bridge/guard.hpp"

extern "C" {
#include "catalog/dependency.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
}

namespace dvec::postgres {

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

}  // namespace dvec::postgres

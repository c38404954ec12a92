#include "postgres/am/scan_settings.hpp"

#include "postgres/bridge/function_lookup.hpp"
#include "postgres/bridge/transactions.hpp"

namespace dvec::postgres {

namespace {

struct IntegerSetting {
    const char *name;
    const char *meaning;
    const char *more;
    int initial, least, most;
    int value;  // while the setting is ours
};

struct RecallSetting {
    const char *name;
    double value;  // while the setting is ours
};

struct ModeSetting {
    const char *name;
    const config_enum_entry *modes;
    int value;  // while the setting is ours
};

constexpr int default_ef_search = 40;
constexpr int hnsw_max_ef_search = 1000;

constexpr int value_of(IterativeScan mode) { return static_cast<int>(mode); }

// Not a mode: the setting has no value.
constexpr int unset_mode = -1;

const config_enum_entry dvec_modes[] = {
    {"unset", unset_mode, false},
    {"off", value_of(IterativeScan::off), false},
    {"relaxed_order", value_of(IterativeScan::relaxed_order), false},
    {"strict_order", value_of(IterativeScan::strict_order), false},
    {"complete", value_of(IterativeScan::complete), false},
    {nullptr, 0, false}};

const config_enum_entry hnsw_modes[] = {
    {"off", value_of(IterativeScan::off), false},
    {"relaxed_order", value_of(IterativeScan::relaxed_order), false},
    {"strict_order", value_of(IterativeScan::strict_order), false},
    {"complete", value_of(IterativeScan::complete), false},
    {nullptr, 0, false}};

const config_enum_entry ivfflat_modes[] = {
    {"off", value_of(IterativeScan::off), false},
    {"relaxed_order", value_of(IterativeScan::relaxed_order), false},
    {"complete", value_of(IterativeScan::complete), false},
    {nullptr, 0, false}};

IntegerSetting hnsw_ef_search = {"hnsw.ef_search",
                                 "Sets the size of the dynamic candidate list for search",
                                 "Valid range is 1..1000.",
                                 default_ef_search,
                                 min_ef_search,
                                 hnsw_max_ef_search,
                                 default_ef_search};
RecallSetting hnsw_target_recall = {"hnsw.target_recall", no_target_recall};
IntegerSetting hnsw_max_scan_tuples = {"hnsw.max_scan_tuples",
                                       "Sets the number of rows a scan takes from the graph before "
                                       "it finds the rest by exact search, or "
                                       "ends",
                                       nullptr,
                                       20000,
                                       1,
                                       INT_MAX,
                                       20000};
IntegerSetting ivfflat_probes = {"ivfflat.probes",
                                 "Sets the number of probes",
                                 "Valid range is 1..lists.",
                                 1,
                                 min_lists,
                                 max_lists,
                                 1};
IntegerSetting ivfflat_max_probes = {"ivfflat.max_probes",
                                     "Sets the max number of probes for iterative scans",
                                     nullptr,
                                     max_lists,
                                     min_lists,
                                     max_lists,
                                     max_lists};
ModeSetting hnsw_mode = {"hnsw.iterative_scan", hnsw_modes, value_of(IterativeScan::complete)};
ModeSetting ivfflat_mode = {"ivfflat.iterative_scan", ivfflat_modes,
                            value_of(IterativeScan::complete)};

// The settings that take precedence over the others.
constexpr const char *dvec_ef_search_name = "dvec.ef_search";
constexpr int unset_ef_search = 0;
int dvec_ef_search = unset_ef_search;
RecallSetting dvec_target_recall = {"dvec.target_recall", no_target_recall};
int dvec_mode = unset_mode;

// Not used: a scan takes a few numbers of memory for each row that it has met, and exceeding
// work_mem must not cut an answer short.
double scan_mem_multiplier;

// Whether this process has defined the settings. Parallel workers do not, since the server refuses
// the definition of a setting that has a value already.
bool defined;

void define_integer(IntegerSetting *setting) {
    DefineCustomIntVariable(setting->name, setting->meaning, setting->more, &setting->value,
                            setting->initial, setting->least, setting->most, PGC_USERSET, 0,
                            nullptr, nullptr, nullptr);
}

void define_recall(RecallSetting *setting, const char *more) {
    DefineCustomRealVariable(setting->name,
                             "Sets the share of the nearest rows that a search is to find", more,
                             &setting->value, no_target_recall, no_target_recall, max_target_recall,
                             PGC_USERSET, 0, nullptr, nullptr, nullptr);
}

void define_mode(ModeSetting *setting) {
    DefineCustomEnumVariable(setting->name, "Sets the mode for iterative scans", nullptr,
                             &setting->value, value_of(IterativeScan::complete), setting->modes,
                             PGC_USERSET, 0, nullptr, nullptr, nullptr);
}

// Whether another library has defined the setting, as opposed to a placeholder that holds a value
// for a later definition.
bool is_defined_by_another(const char *name) {
    return GetConfigOption(name, true, false) != nullptr &&
           (GetConfigOptionFlags(name, true) & GUC_CUSTOM_PLACEHOLDER) == 0;
}

// By SET, a function's SET clause or the client's options, as opposed to what holds for all
// sessions of a role, a database or the server.
bool is_set_by_session(const char *name) { return compat::source_of(name) >= PGC_S_CLIENT; }

void define_own() {
    DefineCustomIntVariable(
        dvec_ef_search_name, "Sets the size of the dynamic candidate list for search",
        "Goes before hnsw.ef_search unless it is 0; valid range is 1..10000.", &dvec_ef_search,
        unset_ef_search, unset_ef_search, max_ef_search, PGC_USERSET, 0, nullptr, nullptr, nullptr);
    define_recall(&dvec_target_recall,
                  "Goes before hnsw.target_recall unless it is 0; valid range is 0..0.999.");
    DefineCustomEnumVariable(
        "dvec.iterative_scan", "Sets the mode for iterative scans",
        "Goes before hnsw.iterative_scan and ivfflat.iterative_scan unless it is \"unset\".",
        &dvec_mode, unset_mode, dvec_modes, PGC_USERSET, 0, nullptr, nullptr, nullptr);
}

void define() {
    if (defined || IsInParallelMode() || is_defined_by_another(hnsw_ef_search.name))
        return;
    // Set first, so that an ERROR below does not lead to a second attempt, when some of them are
    // defined already.
    defined = true;
    define_integer(&hnsw_ef_search);
    define_recall(&hnsw_target_recall, "Where ef_search is not set; 0 for none.");
    define_mode(&hnsw_mode);
    define_integer(&hnsw_max_scan_tuples);
    DefineCustomRealVariable(
        "hnsw.scan_mem_multiplier", "Has no effect: a scan does not end for want of memory",
        nullptr, &scan_mem_multiplier, 1, 1, 1000, PGC_USERSET, 0, nullptr, nullptr, nullptr);
    MarkGUCPrefixReserved("hnsw");
    define_integer(&ivfflat_probes);
    define_mode(&ivfflat_mode);
    define_integer(&ivfflat_max_probes);
    MarkGUCPrefixReserved("ivfflat");
}

// An invalid value is ignored, as the server does when a setting is defined after it was given a
// value.
int current(const IntegerSetting &setting) {
    if (defined)
        return setting.value;
    const char *text = GetConfigOption(setting.name, true, false);
    int value = 0;
    if (text == nullptr || !parse_int(text, &value, 0, nullptr) || value < setting.least ||
        value > setting.most)
        return setting.initial;
    return value;
}

double current(const RecallSetting &setting) {
    if (defined)
        return setting.value;
    const char *text = GetConfigOption(setting.name, true, false);
    double value = 0;
    if (text == nullptr || !parse_real(text, &value, 0, nullptr) ||
        !(value >= no_target_recall && value <= max_target_recall))
        return no_target_recall;
    return value;
}

IterativeScan current(const ModeSetting &setting) {
    if (defined)
        return static_cast<IterativeScan>(setting.value);
    // pgvector's default is not used in place of ours.
    const char *text = compat::source_of(setting.name) != PGC_S_DEFAULT
                           ? GetConfigOption(setting.name, true, false)
                           : nullptr;
    if (text != nullptr)
        for (const config_enum_entry *mode = setting.modes; mode->name != nullptr; ++mode)
            if (pg_strcasecmp(mode->name, text) == 0)
                return static_cast<IterativeScan>(mode->val);
    return IterativeScan::complete;
}

IterativeScan first_of(const ModeSetting &setting) {
    return dvec_mode != unset_mode ? static_cast<IterativeScan>(dvec_mode) : current(setting);
}

}  // namespace

SearchWidth search_width(const IndexOptions &of_index) {
    const bool is_set = dvec_ef_search != unset_ef_search;
    const double dvec_recall = dvec_target_recall.value;
    const double hnsw_recall = current(hnsw_target_recall);
    const bool aims = dvec_recall > 0 || hnsw_recall > 0 || of_index.target_recall > 0;
    // The usual case, in which it does not matter where a value comes from.
    if (of_index.ef_search == unset_ef_search && !is_set && !aims)
        return {current(hnsw_ef_search), 0};
    if (is_set && is_set_by_session(dvec_ef_search_name))
        return {dvec_ef_search, 0};
    if (is_set_by_session(hnsw_ef_search.name))
        return {current(hnsw_ef_search), 0};
    if (dvec_recall > 0 && is_set_by_session(dvec_target_recall.name))
        return {0, dvec_recall};
    if (hnsw_recall > 0 && is_set_by_session(hnsw_target_recall.name))
        return {0, hnsw_recall};
    if (of_index.ef_search != unset_ef_search)
        return {of_index.ef_search, 0};
    if (of_index.target_recall > 0)
        return {0, of_index.target_recall};
    if (is_set)
        return {dvec_ef_search, 0};
    if (compat::source_of(hnsw_ef_search.name) != PGC_S_DEFAULT)
        return {current(hnsw_ef_search), 0};
    return {0, dvec_recall > 0 ? dvec_recall : hnsw_recall};
}
int max_scan_tuples() { return current(hnsw_max_scan_tuples); }
IterativeScan hnsw_iterative_scan() { return first_of(hnsw_mode); }
IterativeScan ivfflat_iterative_scan() { return first_of(ivfflat_mode); }
int probes() { return current(ivfflat_probes); }
int max_probes() { return current(ivfflat_max_probes); }

void scan_settings_init() {
    define_own();
    at_function_lookup(define);
}

}  // namespace dvec::postgres

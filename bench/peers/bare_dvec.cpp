// dvec's engine without a server (in_process.hpp): the same build and the same searches as by SQL,
// so that what a server adds to them can be told. With `--link-codes 1` it has link codes and goes
// by them. The files are in a folder under $TMPDIR, mapped as a server maps them.
#include <limits>
#include <memory>
#include <vector>

#include "bench/peers/in_process.hpp"
#include "bench/scratch_folder.hpp"
#include "bench/store/index_alone.hpp"
#include "engine/store/index.hpp"
#include "engine/store/maintainer.hpp"
#include "engine/store/recovery.hpp"

namespace dvec::bench {

namespace {

class BareDvec final : public InProcess {
  public:
    BareDvec(const Arguments &arguments, const RowFile<float> &base)
        : base_(base), link_codes_(arguments.count("link-codes", 0) != 0) {
        description_.owner = {.identity = 1, .system = 1, .database = 1, .relation = 1};
        description_.metric = arguments.text("metric") == "cosine" ? distance::Metric::cosine
                                                                   : distance::Metric::l2_squared;
        description_.dimensions = static_cast<std::uint32_t>(base.width());
        description_.m = static_cast<std::uint32_t>(arguments.count("m"));
        description_.ef_construction =
            static_cast<std::uint32_t>(arguments.count("ef-construction"));
        description_.directory = folder_.path() + "/index";
    }

    void build(std::size_t threads) override {
        auto builder = store::Builder::create(files_, description_, static_cast<unsigned>(threads));
        check(builder.status());
        for (std::uint32_t row = 0; row < base_.count(); ++row)
            check(builder.value()->add({row, 1}, base_[row]));
        complete(*builder.value(), wal_);
        check(store::recover(files_, description_, state_, locks(), wal_).status());
        if (link_codes_)
            code_links(static_cast<unsigned>(threads));
    }

    // With room for further rows, and without link codes.
    std::size_t bytes() const override {
        auto index = store::Index::open(files_, description_, state_, locks());
        check(index.status());
        auto bytes = index.value()->bring_in([] { return false; });
        check(bytes.status());
        return bytes.value();
    }

    std::unique_ptr<Client> client() override {
        auto index = store::Index::open(files_, description_, state_, locks());
        check(index.status());
        return std::make_unique<Asks>(std::move(index).value(), link_codes_);
    }

  private:
    using LinkCodes = store::Index::SearchParams::LinkCodes;

    class Asks final : public Client {
      public:
        Asks(std::unique_ptr<store::Index> index, bool link_codes)
            : index_(std::move(index)), link_codes_(link_codes) {}

        std::vector<std::int32_t> ask(const float *query, std::size_t ef) override {
            params_.ef = static_cast<std::uint32_t>(ef);
            // As in SQL (am/scan_terms.cpp): where the rows are more than half of what is kept,
            // link codes cost more than they save.
            const bool pays = 2 * k_in_process < ef;
            const LinkCodes wanted = pays ? LinkCodes::used : LinkCodes::kept;
            params_.link_codes = link_codes_ ? wanted : LinkCodes::none;
            check(index_->search(search_, query, params_));
            std::vector<std::int32_t> ids;
            ids.reserve(k_in_process);
            while (ids.size() < k_in_process) {
                auto hit = search_.next();
                check(hit.status());
                if (!hit.value())
                    break;
                ids.push_back(static_cast<std::int32_t>(hit.value()->tid.block));
            }
            return ids;
        }

      private:
        std::unique_ptr<store::Index> index_;
        const bool link_codes_;
        store::Index::SearchParams params_;
        graph::Search search_;
    };

    // As the worker does once a search has asked for it.
    void code_links(unsigned threads) {
        client()->ask(base_[0], k_in_process);
        auto maintainer = store::Maintainer::open(files_, description_, state_, locks(), threads);
        check(maintainer.status());
        while (maintainer.value()->has_to_code_links(store::Maintainer::Rest::lasting))
            check(maintainer.value()->code_links(std::numeric_limits<std::uint32_t>::max()));
        if (state_.graph.coded.load() != base_.count())
            fail("links were not coded");
    }

    store::Locks locks() const { return {append_, grow_, sync_}; }

    const RowFile<float> &base_;
    const bool link_codes_;
    base::FileSystem &files_ = base::posix_file_system();
    const ScratchFolder folder_;
    store::Description description_;
    NoWal wal_;
    mutable store::SharedState state_{};
    mutable Lock append_;
    mutable Lock grow_;
    mutable Lock sync_;
};

}  // namespace

}  // namespace dvec::bench

int main(int argc, char **argv) { dvec::bench::run_in_process<dvec::bench::BareDvec>(argc, argv); }

// The peer without a server: hnswlib as it is (in_process.hpp).
#include <hnswlib/hnswlib.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "bench/peers/in_process.hpp"

namespace dvec::bench {

namespace {

using Graph = hnswlib::HierarchicalNSW<float>;

class BareHnswlib final : public InProcess {
  public:
    BareHnswlib(const Arguments &arguments, const RowFile<float> &base) : base_(base) {
        if (arguments.text("metric") == "cosine")
            space_ = std::make_unique<hnswlib::InnerProductSpace>(base.width());
        else
            space_ = std::make_unique<hnswlib::L2Space>(base.width());
        graph_ = std::make_unique<Graph>(space_.get(), base.count(), arguments.count("m"),
                                         arguments.count("ef-construction"));
    }

    void build(std::size_t thread_count) override {
        graph_->addPoint(base_[0], 0);
        std::atomic<std::size_t> next{1};
        std::vector<std::thread> threads;
        for (std::size_t t = 0; t < thread_count; ++t)
            threads.emplace_back([&] {
                for (std::size_t row; (row = next++) < base_.count();)
                    graph_->addPoint(base_[row], row);
            });
        for (std::thread &thread : threads)
            thread.join();
    }

    std::size_t bytes() const override {
        std::size_t sum = base_.count() * graph_->size_data_per_element_;
        for (std::size_t node = 0; node < base_.count(); ++node)
            sum += static_cast<std::size_t>(graph_->element_levels_[node]) *
                   graph_->size_links_per_element_;
        return sum;
    }

    std::unique_ptr<Client> client() override { return std::make_unique<Asks>(*graph_); }

  private:
    // All clients ask with the same ef at a time, which is the graph's.
    struct Asks final : Client {
        explicit Asks(Graph &asked) : graph(asked) {}
        std::vector<std::int32_t> ask(const float *query, std::size_t ef) override {
            if (graph.ef_ != ef)
                graph.setEf(ef);
            auto found = graph.searchKnn(query, k_in_process);
            std::vector<std::int32_t> ids;
            ids.reserve(k_in_process);
            for (; !found.empty(); found.pop())
                ids.push_back(static_cast<std::int32_t>(found.top().second));
            return ids;
        }
        Graph &graph;
    };

    const RowFile<float> &base_;
    std::unique_ptr<hnswlib::SpaceInterface<float>> space_;
    std::unique_ptr<Graph> graph_;
};

}  // namespace

}  // namespace dvec::bench

int main(int argc, char **argv) {
    dvec::bench::run_in_process<dvec::bench::BareHnswlib>(argc, argv);
}

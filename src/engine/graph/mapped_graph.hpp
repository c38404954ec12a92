// What hnswlib's constructor leaves as it comes and its destructor frees: the memory of slots and
// lists, which is a mapping's here. A base of its own, complete before anything else of a linker
// can fail, and with the last word at the end. A template, so that hnswlib is included by its user.
#pragma once

namespace dvec::graph {

template <class Graph>  // a hnswlib::HierarchicalNSW
class MappedGraph : public Graph {
  protected:
    MappedGraph() : Graph(nullptr) {
        disown();
        this->visited_list_pool_ = nullptr;
        this->cur_element_count = 0;
    }
    ~MappedGraph() override { disown(); }

  private:
    void disown() noexcept {
        this->data_level0_memory_ = nullptr;
        this->linkLists_ = nullptr;
    }
};

}  // namespace dvec::graph

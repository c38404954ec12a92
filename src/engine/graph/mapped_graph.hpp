// Keeps hnswlib away from the memory of slots and lists: hnswlib's constructor leaves these
// pointers unset and its destructor frees them, but here they point into a mapping. This is a base
// class of its own, so that the pointers are cleared before anything else of a linker can fail, and
// again after everything else of it is gone. It is a template, so that only the file that uses it
// includes hnswlib.
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

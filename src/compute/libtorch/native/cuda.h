// What is asked of CUDA as a whole. No header of CUDA's is needed, and no GPU but for startCuda.
#pragma once
#include <ATen/core/Tensor.h>
#include <cstdint>
#include <string>

namespace patchwise {

// GPUs that libtorch can use; 0 where it was built without CUDA or no driver answers.
int64_t cudaDevices();

// Why there are none, in CUDA's words; empty where there are some.
std::string cudaProblem();

// 91501 is cuDNN 9.15.1; 0 where there is none.
int64_t cudnnVersion();

// Initialises a GPU and sets what makes its results ours: floats are floats, and the same bits every time.
at::Device startCuda(int64_t device);

// Whether an error's words are of memory. cuDNN finds no engine where there is no room for a workspace.
bool saysOutOfMemory(const std::string& why);

} // namespace patchwise

// What JavaScript can call. The parameters of a C++ function say what the call reads, in their order; its result says
// what the call returns.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <tuple>
#include "binding/table.h"

namespace patchwise {

// Results that are tensors; JavaScript gets their count, and their shapes and handles in the attached array.
using Results = std::vector<Slot>;

class Call {
 public:
  Call(napi_env env, Environment& environment, size_t count, napi_value* arguments)
      : env(env), environment(environment), count_(count), arguments_(arguments) {}

  napi_value next() {
    TORCH_CHECK(next_ < count_, "argument ", next_, " is missing");
    return arguments_[next_++];
  }
  // Throws unless the argument read last is what was expected.
  void expect(bool is, const char* what) const { TORCH_CHECK(is, "argument ", next_ - 1, ": ", what, " expected"); }

  void give(Results results) {
    for (size_t i = 0; i < results.size(); i++) environment.add(std::move(results[i]), (int)i);
    give((double)results.size());
  }
  void give(Slot result) { give(Results{std::move(result)}); }
  void give(double number) { napi_create_double(env, number, &answer); }
  void give(const std::string& text) { napi_create_string_utf8(env, text.c_str(), text.size(), &answer); }
  void give(napi_value value) { answer = value; }

  napi_env env;
  Environment& environment;
  napi_value answer = nullptr;

 private:
  size_t count_;
  napi_value* arguments_;
  size_t next_ = 0;
};

// A typed array of JavaScript's.
struct Array {
  void* data;
  size_t length;
  at::ScalarType type;
};

// The next argument.
template <typename T>
T read(Call& call);
template <> double read(Call& call);
template <> int64_t read(Call& call);
template <> bool read(Call& call);
template <> std::vector<double> read(Call& call);
template <> Sizes read(Call& call);
template <> Size3 read(Call& call);
template <> Border read(Call& call);          // two arguments: before, after
template <> at::ScalarType read(Call& call);  // a code: float32, int32, bool
template <> Slot& read(Call& call);           // a handle
template <> Tensor read(Call& call);          // a handle
template <> std::optional<Tensor> read(Call& call); // a handle; -1: none
template <> std::vector<Tensor> read(Call& call);
template <> Array read(Call& call);
// These take no argument.
template <> inline Call& read(Call& call) { return call; }
template <> inline Environment& read(Call& call) { return call.environment; }

using Function = std::function<void(Call&)>;

template <typename Result, typename... Parameters>
Function bound(std::function<Result(Parameters...)> body) {
  return [body](Call& call) {
    std::tuple<Parameters...> arguments{read<Parameters>(call)...}; // read in their order
    if constexpr (std::is_void_v<Result>) std::apply(body, std::move(arguments));
    else call.give(std::apply(body, std::move(arguments)));
  };
}

struct Export {
  std::string name;
  Function run;
  template <typename Body>
  Export(const char* name, Body body) : name(name), run(bound(std::function(body))) {}
};

// Functions under one name of the addon, `kernels` for example. They are known once this is made.
struct Exports {
  std::string group; // empty: functions of the addon itself
  std::vector<Export> functions;
  Exports(std::string group, std::vector<Export> functions) : group(std::move(group)), functions(std::move(functions)) {
    all().push_back(this);
  }
  static std::vector<const Exports*>& all() {
    static std::vector<const Exports*> made;
    return made;
  }
};

} // namespace patchwise

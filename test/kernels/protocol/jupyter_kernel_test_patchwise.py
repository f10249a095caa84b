"""The Jupyter project's own kernel tests (jupyter_kernel_test) on our kernel; run by jupyter.test.ts.

test_pager cannot apply: the kernel pages nothing, help comes through inspection.
"""

import unittest

import jupyter_kernel_test

SHOW_HTML = """(globalThis as any)[Symbol.for('patchwise.display')](
  { [Symbol.for('Jupyter.display')]: () => ({ 'text/html': '<b>bold</b>' }) })"""


class PatchwiseKernelTests(jupyter_kernel_test.KernelTests):
    kernel_name = "patchwise"
    language_name = "typescript"
    file_extension = ".ts"
    code_hello_world = "console.log('hello, world')"
    code_stderr = "console.error('oops')"
    completion_samples = [
        {"text": "Math.flo", "matches": {"floor"}},
        {"text": "parseI"},
        {"text": "console."},
    ]
    complete_code_samples = ["1", "const a = 1;", "function f(x: number) { return x }", "await 0"]
    incomplete_code_samples = ["function f() {", "const o = {", "f("]
    invalid_code_samples = ["const = 3", "let 1x"]
    code_generate_error = "throw new Error('wanted')"
    code_execute_result = [
        {"code": "6*7", "result": "42"},
        {"code": "'a'+'b'", "result": "'ab'"},
        {"code": "[1,2]", "result": "[ 1, 2 ]"},
    ]
    code_display_data = [{"code": SHOW_HTML, "mime": "text/html"}]
    code_history_pattern = "6?7"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "Math.floor"
    code_clear_output = "console.clear()"


if __name__ == "__main__":
    unittest.main(verbosity=2)

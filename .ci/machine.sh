# Installs what CI needs; sourced by .ci/run. Python packages go into a folder that git ignores.
python_folder=$PWD/.ci/python
python=$python_folder/bin/python

# apt_install PACKAGE…: installs Debian packages, all or none. Fails if apt cannot.
apt_install() {
  command -v apt-get >/dev/null || { echo 'no apt-get here'; return 1; }
  local root=()
  [ "$(id -u)" -eq 0 ] || root=(sudo -n)
  if [ -z "${apt_updated:-}" ]; then
    timeout 300 "${root[@]}" apt-get -qq update && apt_updated=yes
  fi
  DEBIAN_FRONTEND=noninteractive timeout 900 "${root[@]}" apt-get -qq install -y --no-install-recommends "$@" \
    >/tmp/patchwise-apt.log 2>&1 || { tail -3 /tmp/patchwise-apt.log; return 1; }
}

# pip_install PACKAGE…: installs into that Python. Gives up soon if the index does not answer.
pip_install() {
  timeout 900 "$python" -m pip install -q --disable-pip-version-check --retries 1 --timeout 20 "$@" 2>&1 | tail -3
  return "${PIPESTATUS[0]}"
}

# Makes a Python that sees Debian's packages, so pip installs only what they lack.
make_python() {
  [ -x "$python" ] && return 0
  apt_install python3-venv
  local base
  for base in /usr/bin/python3 python3; do
    "$base" -m venv --system-site-packages "$python_folder" 2>/dev/null && return 0
    rm -rf "$python_folder"
  done
  echo 'no Python here can make environments'
  return 1
}

# Installs a browser, a reader of PDFs and Jupyter's own kernel tests, from Debian for Debian's Python. Fails if it
# cannot. Also installs JupyterLab (with nbclient and nbconvert) and papermill if pip can; otherwise their tests are
# skipped and say so.
jupyter() {
  command -v chromium >/dev/null || apt_install chromium fonts-dejavu-core || return 1
  command -v pdftoppm >/dev/null || apt_install poppler-utils || return 1 # the oracle of saved PDFs
  /usr/bin/python3 -c 'import jupyter_kernel_test' 2>/dev/null || apt_install python3-jupyter-kernel-test || return 1
  make_python || return 1
  "$python" -c 'import jupyterlab' 2>/dev/null || pip_install jupyterlab ||
    echo 'without JupyterLab: pip cannot install it here'
  "$python" -c 'import papermill' 2>/dev/null || pip_install papermill ||
    echo 'without papermill: pip cannot install it here'
}

# Installs a compiler and libtorch: pip's torch for CPUs, else Debian's.
libtorch() {
  command -v "${CXX:-g++}" >/dev/null || apt_install g++ || return 1
  if make_python && pip_torch; then return 0; fi
  echo "pip cannot install torch; trying Debian's libtorch-dev"
  apt_install libtorch-dev || { echo 'neither pip nor apt can install libtorch'; return 1; }
}

has_pip_torch() {
  [ -x "$python" ] && "$python" -c 'import importlib.util as u; exit(u.find_spec("torch") is None)'
}

pip_torch() {
  has_pip_torch && return 0
  # If its dependencies are missing, without them: building needs only its headers and libraries.
  pip_install torch --index-url https://download.pytorch.org/whl/cpu ||
    pip_install --no-deps torch --index-url https://download.pytorch.org/whl/cpu
}

# build_libtorch OPTION…: builds against pip's torch, else against the machine's libtorch.
build_libtorch() {
  local where=()
  if has_pip_torch; then where=(PATCHWISE_PYTHON="$python"); fi
  env "${where[@]}" npx patchwise backend build libtorch "$@"
}

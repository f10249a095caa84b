# What CI installs on its machine; sourced by .ci/run. All of Python's goes into a folder that git ignores.
python_folder=$PWD/.ci/python
python=$python_folder/bin/python

# apt_install PACKAGE…: Debian's packages, all or none; fails where apt cannot.
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

# pip_install PACKAGE…: into that Python. An index that does not answer is given up soon.
pip_install() {
  timeout 900 "$python" -m pip install -q --disable-pip-version-check --retries 1 --timeout 20 "$@" 2>&1 | tail -3
  return "${PIPESTATUS[0]}"
}

# A Python that sees Debian's packages, so that pip brings only what they lack.
make_python() {
  [ -x "$python" ] && return 0
  apt_install python3-venv
  local base
  for base in /usr/bin/python3 python3; do
    "$base" -m venv --system-site-packages "$python_folder" 2>/dev/null && return 0
    rm -rf "$python_folder"
  done
  echo 'no Python here that makes environments'
  return 1
}

# Jupyter's own kernel tests, of Debian and for Debian's Python; and a browser. Fails where they cannot be had. JupyterLab,
# with nbclient and nbconvert, and papermill come with them where pip can give them: their tests say that they are skipped
# where it cannot.
jupyter() {
  command -v chromium >/dev/null || apt_install chromium fonts-dejavu-core || return 1
  /usr/bin/python3 -c 'import jupyter_kernel_test' 2>/dev/null || apt_install python3-jupyter-kernel-test || return 1
  make_python || return 1
  "$python" -c 'import jupyterlab' 2>/dev/null || pip_install jupyterlab ||
    echo 'without JupyterLab: pip cannot give it here'
  "$python" -c 'import papermill' 2>/dev/null || pip_install papermill ||
    echo 'without papermill: pip cannot give it here'
}

# libtorch: pip's torch for CPUs, else Debian's; and the compiler.
libtorch() {
  command -v "${CXX:-g++}" >/dev/null || apt_install g++ || return 1
  if make_python && pip_torch; then return 0; fi
  echo "pip cannot give torch; Debian's libtorch-dev then"
  apt_install libtorch-dev || { echo 'neither pip nor apt gives libtorch'; return 1; }
}

has_pip_torch() {
  [ -x "$python" ] && "$python" -c 'import importlib.util as u; exit(u.find_spec("torch") is None)'
}

pip_torch() {
  has_pip_torch && return 0
  # Without what it imports, if that cannot be had: building needs its headers and libraries alone.
  pip_install torch --index-url https://download.pytorch.org/whl/cpu ||
    pip_install --no-deps torch --index-url https://download.pytorch.org/whl/cpu
}

# build_libtorch OPTION…: against the torch that pip brought, else whatever is on the machine.
build_libtorch() {
  local where=()
  if has_pip_torch; then where=(PATCHWISE_PYTHON="$python"); fi
  env "${where[@]}" npx patchwise backend build libtorch "$@"
}

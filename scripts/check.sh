#!/usr/bin/env bash
# scripts/check.sh humble|jazzy|kilted|lyrical [--without-ros] [TEST...]: the tests that need no
# training, or these of them, under a distribution's Python and numpy, as far as this machine has them.
# There are wheels of ROS 2 for Jazzy and Kilted alone: those nearest to it stand for another.
# Without ROS nothing is built, and tests that need it cannot run. Each makes .venv-NAME.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case ${1:-} in
  humble) pythons=(3.10) wheels=jazzy limits="numpy==1.26.*" ;;  # Ubuntu 22.04's 1.21 is too old
  jazzy) pythons=(3.12) wheels=jazzy limits="numpy==1.26.*" ;;
  kilted) pythons=(3.12) wheels=kilted limits="numpy==1.26.*" ;;
  lyrical) pythons=(3.14 3.13) wheels=kilted limits="numpy==2.3.*" ;;
  *) sed -n 's/^# //p' "$0"; exit 2 ;;
esac
name=$1 installed=check
shift
if [ "${1:-}" = --without-ros ]; then
  installed=core
  shift
fi
if [ -n "${VIRTUAL_ENV:-}" ]; then
  echo "error: $VIRTUAL_ENV is active, whose packages would mix with these: deactivate it first" >&2
  exit 2
fi

# The first of these versions on the path or among pyenv's.
find_python() {
  local version path
  for version in "$@"; do
    for path in "python$version" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python; do
      if [ "$("$path" -c "import sys; print('%d.%d' % sys.version_info[:2])" 2> /dev/null)" = "$version" ]; then
        echo "$path"
        return
      fi
    done
  done
}

python=$(find_python "${pythons[@]}")
if [ -z "$python" ]; then
  echo "== $name: not checked, since Python ${pythons[0]} is not here"
  exit
fi
export VENV=.venv-$name
echo "== $name: $("$python" --version), $limits, wheels of $wheels"
PYTHON=$python DISTRO=$wheels LIMITS=$limits scripts/setup.sh "$installed"
. scripts/env.sh
tests=(test/test_*.py test/{evaluation,people,recordings,remote,replay,ros})
if [ $# -gt 0 ]; then tests=("$@"); fi
OMP_NUM_THREADS=1 python -m pytest -q "${tests[@]}"

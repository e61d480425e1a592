#!/usr/bin/env bash
# Makes .venv ready: scripts/setup.sh run|test|check|core installs and builds (core: what tests need
# that use no ROS), scripts/setup.sh mode only says where rclpy comes from: "ros" (a sourced ROS 2
# install) or "wheels". PYTHON names the interpreter, VENV another folder, DISTRO the wheels (jazzy or
# kilted), LIMITS versions in the place of constraints.txt.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=$PWD/${VENV:-.venv}
python=${PYTHON:-python3}

# The folder that holds a sourced ROS 2 install's rclpy; nothing when there is none. The wheels in
# .venv are not a ROS install, whatever AMENT_PREFIX_PATH says.
ros_site() {
  [ -n "${AMENT_PREFIX_PATH:-}" ] || return 0
  "$python" - "$venv" <<'PYTHON' 2>/dev/null || true
import sys
from pathlib import Path

import rclpy

site = Path(rclpy.__file__).resolve().parents[1]
if Path(sys.argv[1]).resolve() not in site.parents:
    print(site)
PYTHON
}

site=$(ros_site)
mode=$([ -n "$site" ] && echo ros || echo wheels)
if [ "$1" = mode ]; then
  echo "$mode"
  exit
fi

say() { echo "== $*"; }

make_venv() {
  local shared=false options=(--clear)
  if [ "$mode" = ros ]; then shared=true options+=(--system-site-packages); fi
  if grep -qs "include-system-site-packages = $shared" "$venv/pyvenv.cfg"; then return; fi
  say "making .venv with $("$python" --version) (rclpy from: $mode)"
  "$python" -m venv "${options[@]}" "$venv" ||
    { echo "error: python3 -m venv failed; on Debian or Ubuntu: apt install python3-venv" >&2; exit 1; }
  if [ "$mode" = ros ] && ! "$venv/bin/python" -c "import rclpy" 2>/dev/null; then
    # The interpreter is itself a virtual environment, whose packages a new one does not see.
    echo "$site" > "$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/ros.pth"
  fi
}

install_requirements() {
  # Of some 20,000 modules few are ever imported: those are compiled then.
  local pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile)
  local limits=$venv/constraints.txt files=(-r requirements.txt)
  if [ "$mode" = wheels ]; then
    if [ -n "${LIMITS:-}" ]; then echo "$LIMITS" > "$limits"; else cp constraints.txt "$limits"; fi
    if [ "$1" != core ]; then files+=(-r "requirements-ros-${DISTRO:-jazzy}.txt"); fi
  else
    # Messages compiled for numpy 1 cannot be imported under numpy 2.
    "$venv/bin/python" -c "import numpy; print('numpy<2' if numpy.__version__[0] == '1' else '')" > "$limits"
  fi
  if [ "$1" = check ] || [ "$1" = core ]; then files+=(-r requirements-check.txt); else files+=(-r requirements-demo.txt); fi
  if [ "$1" = test ]; then
    files+=(-r requirements-train.txt -r requirements-test.txt)
    say "installing PyTorch"
    "${pip[@]}" -c "$limits" "$(grep '^torch==' requirements-torch.txt)"
  fi
  say "installing what is needed"
  # uv takes a fraction of pip's time. It knows neither pip's settings nor a ROS install's packages.
  if [ "$mode" = wheels ] && "${pip[@]}" uv &&
      "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" -c "$limits" "${files[@]}"; then
    return
  fi
  "${pip[@]}" -c "$limits" "${files[@]}"
}

check_compiler() {
  command -v c++ > /dev/null ||
    { echo "error: no C++ compiler; on Debian or Ubuntu: apt install g++" >&2; exit 1; }
  "$venv/bin/python" -c "
import pathlib, sysconfig
assert pathlib.Path(sysconfig.get_path('include'), 'Python.h').exists()" 2>/dev/null ||
    { echo "error: Python.h is missing; on Debian or Ubuntu: apt install python3-dev" >&2; exit 1; }
}

build_messages() {  # folder, cmake options
  local name build log
  name=$(basename "$(cd "$1" && pwd)")
  [ "$1" = . ] && name=hpe_vlm_ros
  build=$venv/build/$name log=$venv/build/$name.log
  say "building the messages of $name"
  mkdir -p "$build"
  { cmake -S "$1" -B "$build" -DBUILD_TESTING=OFF "-DCMAKE_INSTALL_PREFIX=$venv" \
      "-DPython3_EXECUTABLE=$venv/bin/python" "${@:2}" &&
    cmake --build "$build" --target install -j "$(nproc)"; } > "$log" 2>&1 ||
    { tail -n 30 "$log" >&2; echo "error: building $name failed; the whole log: $log" >&2; exit 1; }
}

make_venv
if [ "$1" = core ]; then
  install_requirements core
  exit
fi
check_compiler
install_requirements "$1"
. scripts/env.sh
needed=(tf2_msgs)
if [ "$1" != run ] && [ "$mode" = wheels ]; then needed+=(foxglove_msgs hri_msgs vision_msgs); fi
# Side by side: much of each build is CMake looking around, on one core.
builds=()
for name in "${needed[@]}"; do
  built=$venv/build/$name.log
  if ! "$venv/bin/python" -c "import $name.msg" 2>/dev/null ||
      { [ -f "$built" ] && [ -n "$(find "pip_ros/$name" -newer "$built")" ]; }; then
    build_messages "pip_ros/$name" & builds+=($!)
  fi
done
build_messages . -DHPE_VLM_ROS_MESSAGES_ONLY=ON & builds+=($!)
for build in "${builds[@]}"; do wait "$build"; done
rm -f "$venv"/.ready-*
if [ "$1" = check ]; then exit; fi
touch "$venv/.ready-run-$mode"
if [ "$1" = test ]; then touch "$venv/.ready-test-$mode"; fi

# Source this (bash or zsh) in the repository's root after `make run` or `make test` has made .venv:
# then `python` and rclpy, our messages and Fast DDS work as the Makefile uses them. VENV as in setup.sh.
_root=$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")/.." && pwd)
_venv=$_root/${VENV:-.venv}
. "$_venv/bin/activate"
export PYTHONPATH="$_root${PYTHONPATH:+:$PYTHONPATH}"
export AMENT_PREFIX_PATH="$_venv${AMENT_PREFIX_PATH:+:$AMENT_PREFIX_PATH}"
export CMAKE_PREFIX_PATH="$_venv${CMAKE_PREFIX_PATH:+:$CMAKE_PREFIX_PATH}"
export LD_LIBRARY_PATH="$_venv/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
# Raw images are larger than Fast DDS's default shared memory segment. Which of the two names it
# reads depends on its version; your own profile stays in force.
export FASTRTPS_DEFAULT_PROFILES_FILE="${FASTRTPS_DEFAULT_PROFILES_FILE:-$_root/config/fastdds.xml}"
export FASTDDS_DEFAULT_PROFILES_FILE="${FASTDDS_DEFAULT_PROFILES_FILE:-$_root/config/fastdds.xml}"
# Packages are installed uncompiled, see setup.sh. Unless Python keeps what it compiles, every process
# that imports PyTorch compiles it again, for many seconds.
unset PYTHONDONTWRITEBYTECODE
unset _root _venv

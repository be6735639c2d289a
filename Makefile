# Two commands set everything up: `make figures` and `make test`. Each makes .venv when it is missing.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
BENCH_READY := $(VENV)/.ready-bench
PY := $(VENV)/bin/python

.PHONY: smoke figures figures-full protocols test test-fast test-kernel bench torture gpu-check lint clean-venv
.DEFAULT_GOAL := figures

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"python >= 3.11 is needed, got {v.major}.{v.minor}: run `make PYTHON=python3.11 ...`")'
	@echo "setting up $(VENV): a few minutes, once"
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]'
	touch $(READY)

# the first thing to try: does it work here, and what comes out? In a folder of its own, apart from results and out
smoke: $(READY)
	@echo "smoke run: a small network, few seeds, few epochs. It shows that everything works, and is no evidence."
	$(PY) paper_repro.py figures 1 3 14 --preset smoke --results-alone --results smoke/results --out smoke
	@echo "done: open smoke/figures/fig1.png, smoke/figures/fig3.png and smoke/figures/fig14.png, or all in smoke/report.html"

figures: $(READY)
	$(PY) paper_repro.py

# the same with twice the seeds: narrower intervals, and p-values that can fall below .01; more arms, both protocols
figures-full: $(READY)
	$(PY) paper_repro.py train --sweep signs --seeds 0 1 2 3 4 5 6 7
	$(PY) paper_repro.py figures --seeds 0 1 2 3 4 5 6 7
	$(PY) paper_repro.py protocols

# which verdicts turn with the protocol: ours beside that of the paper's authors
protocols: $(READY)
	$(PY) paper_repro.py protocols

test: $(READY)
	OMP_NUM_THREADS=1 $(PY) -m pytest --numprocesses auto

# what takes about a minute: the tests without the mark `slow`
test-fast: $(READY)
	OMP_NUM_THREADS=1 $(PY) -m pytest --numprocesses auto -m "not slow"

# the theory under another BLAS kernel than this processor's own: its results hold on both
test-kernel: $(READY)
	if kernel=$$($(PY) -m tests.support.kernels); then \
	OMP_NUM_THREADS=1 OPENBLAS_CORETYPE=$$kernel $(PY) -m pytest --numprocesses auto tests/theory; fi

$(BENCH_READY): $(READY)
	@$(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	touch $(BENCH_READY)

# speed, memory and accuracy beside the peers, which only this target installs
bench: $(BENCH_READY)
	$(PY) -m tests.bench.benchmark

# the long tier of reliability: random kills, a soak of resumes, edited files, two baselines
torture: $(READY)
	OMP_NUM_THREADS=1 $(PY) -m tests.torture.torture

# does everything work on this machine's GPU, and how fast? It installs nothing: Python with torch is enough
gpu-check:
	@$(PYTHON) -m tests.gpu.check

lint: $(READY)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m pyright

clean-venv:
	rm -rf $(VENV)

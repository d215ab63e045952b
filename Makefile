# make demo   train a tiny Qwen-VL with GRPO on CPU and evaluate it before and after
# make test   everything, real hosts included;  make test-fast   what needs no host
# Each target sets up its environment by itself; a second call reuses it.
PYTHON ?= python3.11
VENV ?= .venv
MODEL ?= qwen2_5_vl
ROLLOUT ?= transformers
SEED ?= 0
STEPS ?= 30
OUT ?= demo_output/$(MODEL)_$(ROLLOUT)_seed$(SEED)

BIN := $(VENV)/bin
LOCK := $(if $(filter vllm,$(ROLLOUT)),cpu-vllm,cpu)
READY := $(VENV)/.ready-$(LOCK)
# A folder with a CPU wheel of torch, where pip is set up with one; PyTorch's CPU index otherwise.
TORCH := $(if $(PIP_FIND_LINKS),--find-links "$(PIP_FIND_LINKS)",--torch-backend cpu)

.PHONY: demo test test-fast env lint clean
.DELETE_ON_ERROR:

env: $(READY)

$(READY): locks/$(LOCK).txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "uv>=0.9"
	# compiled once here: torch, verl and Ray are imported by dozens of processes
	$(BIN)/uv pip install --python $(BIN)/python --no-deps --compile-bytecode $(TORCH) -r locks/$(LOCK).txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	$(BIN)/python -m temporal_plugin.torchvision_shim
	touch $@

demo: $(READY)
	$(BIN)/temporal-plugin demo --model $(MODEL) --rollout $(ROLLOUT) --seed $(SEED) \
	  --grpo-steps $(STEPS) --out $(OUT)

test: $(READY) lint test-fast
	$(BIN)/python -m pytest -q -m slow --durations=25

test-fast: $(READY)
	$(BIN)/python -m pytest -q -m "not slow" -n 2

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

clean:
	rm -rf $(VENV) demo_output

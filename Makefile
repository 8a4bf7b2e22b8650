# The commands of this project. `make` alone lists them.

CARGO ?= cargo

.PHONY: help demo test test-all build lint bench clean needs

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: needs ## show the main job on a private HAProxy with real backends (no root needed)
	$(CARGO) run --locked -- demo

test: needs ## run all tests (installs HAProxy and whatever else they need, if it is missing)
	$(CARGO) test --locked

test-all: test ## also what takes longer: every fault and cluster with HAProxy, the promises of `make bench`
	HMB_TEST_ALL=1 $(CARGO) test --locked --test integration -- faults generated install refused watch
	$(CARGO) bench --locked --bench turn -- --assert
	$(CARGO) bench --locked --bench watch -- --assert

build: ## build the optimised program into target/release
	$(CARGO) build --release --locked

lint: ## check formatting and lints as CI does
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --locked -- -D warnings

bench: needs ## measure parse, build, render and generate beside `haproxy -c`
	$(CARGO) bench --locked --bench turn
	$(CARGO) bench --locked --bench watch

clean: ## remove what was built
	$(CARGO) clean

needs:
	@tests/needs

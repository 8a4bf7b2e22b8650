# The commands of this project. `make` alone lists them.

CARGO ?= cargo
# Install the two where they are missing.
CARGO_DEB = command -v cargo-deb >/dev/null || $(CARGO) install --locked cargo-deb@3.8.0; cargo-deb
CARGO_RPM = command -v cargo-generate-rpm >/dev/null || $(CARGO) install --locked cargo-generate-rpm@0.21.1; cargo-generate-rpm

.PHONY: help demo test test-all test-versions soak build static packages test-packages lint bench clean needs

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: needs ## show the main job on a private HAProxy with real backends (no root needed)
	$(CARGO) run --locked -- demo

# Most of the time they wait for HAProxy.
test: export RUST_TEST_THREADS ?= 4

test: needs ## run all tests (installs HAProxy and whatever else they need, if it is missing)
	$(CARGO) test --locked

test-all: test ## also what takes longer: every fault and cluster with HAProxy, the promises of `make bench`
	HMB_TEST_ALL=1 $(CARGO) test --locked --test integration -- faults generated install refused soak watch
	$(CARGO) bench --locked --bench turn -- --assert
	$(CARGO) bench --locked --bench watch -- --assert
	$(CARGO) bench --locked --bench runtime -- --assert
	$(MAKE) test-packages

SECONDS ?= 130

soak: needs ## count lost requests while tasks come and go, for SECONDS=130
	HMB_SOAK_SECONDS=$(SECONDS) $(CARGO) test --locked --test integration -- runtime::soak --nocapture --test-threads 1

SUITES ?= bullseye bookworm trixie sid experimental

test-versions: needs ## the tests that HAProxy decides, with the HAProxy of SUITES of Debian (root, or sudo)
	HMB_SOAK_SECONDS=$(SECONDS) CARGO="$(CARGO)" tests/versions $(SUITES)

build: ## build the optimised program into target/release
	$(CARGO) build --release --locked

STATIC = x86_64-unknown-linux-musl

static: ## build a program that needs no library of the system (wants rustup and musl-gcc)
	rustup target add $(STATIC)
	$(CARGO) build --release --locked --target $(STATIC)

packages: ## build the packages, small and fast, into target/debian and target/generate-rpm
	$(CARGO) build --profile dist --locked
	packaging/stage target/dist/haproxy-marathon-bridge target/package
	$(CARGO_DEB) --no-build --profile dist --locked
	$(CARGO_RPM) --profile dist

test-packages: ## install, use, upgrade and purge the packages in a clean tree of Debian (root)
	CARGO="$(CARGO)" CARGO_DEB="$(CARGO_DEB)" CARGO_RPM="$(CARGO_RPM)" tests/packages

lint: ## check formatting and lints as CI does
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --locked -- -D warnings

bench: needs ## measure parse, build, render and generate beside `haproxy -c`, and events beside reloads
	$(CARGO) bench --locked --bench turn
	$(CARGO) bench --locked --bench watch
	$(CARGO) bench --locked --bench runtime

clean: ## remove what was built
	$(CARGO) clean

needs:
	@tests/needs

# TopChat's commands. `make` alone lists them.
#
# ARGS is passed on:    make run-server ARGS='--listen 0.0.0.0:7777'
# NAME is who you are:  make run-client NAME=bob
# PREFIX and DESTDIR:   make install PREFIX=$HOME/.local

SHELL := /bin/sh
TARGET := $(or $(CARGO_TARGET_DIR),target)
GROUP_KEY := keys/group.key
# What the long tests have in their names; those that measure time run by themselves.
STORM := kill_dash_nine client_storm keys_storm links any_byte floods pace mutated
STORM_ALONE := oracle told_apart
# Rust of a login that has not read its new profile yet.
export PATH := $(PATH):$(HOME)/.cargo/bin

.DEFAULT_GOAL := help
.PHONY: help run-server run-client demo test test-fresh storm sim sim-plants fuzz bench bench-peers check lint man completions install uninstall picture clean bootstrap bootstrap-tests build pages

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

# `exec` leaves no shell that Ctrl-C could kill before the server has stopped in order.
run-server: build $(GROUP_KEY) ## build all that is missing and start the server
	@export TOPCHAT_CLIENT_COMMAND='make run-client' TOPCHAT_SERVER_COMMAND='make run-server' TOPCHAT_DATA_DIR=data/server; \
	exec $(TARGET)/release/topchat-server $(ARGS)

# Leaving by Ctrl-C (130) is no failure of make's. The trap keeps the shell alive until the client has ended.
run-client: build ## start the client (NAME=bob for a second person)
	@trap : INT; \
	scripts/topchat $(ARGS) $(if $(NAME),login '$(NAME)'); \
	code=$$?; [ $$code -eq 130 ] || exit $$code

demo: build ## three clients talk, and the openssl command checks every message
	@exec scripts/demo.sh $(ARGS)

test: bootstrap-tests ## run the tests
	@exec cargo test --locked --workspace $(ARGS)

# SUITES='trixie' takes only that one; KEEP=1 leaves its root for a look.
test-fresh: ## the README's commands in minimal roots of Debian 12 and 13 (as root; long)
	@TARGET='$(TARGET)' ARGS='$(ARGS)' KEEP='$(KEEP)' MIRROR='$(MIRROR)' exec scripts/test-fresh.sh $(SUITES)

storm: bootstrap-tests ## the long tests: kill -9, broken links, floods, junk
	@tests=$$(cargo test --quiet --locked --test integration -- --list) || exit; \
	for part in $(STORM) $(STORM_ALONE); do \
		case $$tests in *"$$part"*': test'*) ;; \
			*) echo "error: no test has $$part in its name" >&2; exit 1 ;; \
		esac; \
	done
	@TOPCHAT_STORM_ROUNDS=200 cargo test --locked --test integration -- $(STORM) $(ARGS)
	@TOPCHAT_STORM_ROUNDS=200 cargo test --locked --test integration -- $(STORM_ALONE) --test-threads 1

# ARGS='--seeds 100000' plays more, ARGS='--seed 7' one alone, with all that happens in it if something is found.
sim: bootstrap ## the server and its clients in a simulated world, one seed after the other
	@exec cargo run --release --locked --quiet --package topchat-sim -- $(ARGS)

# ARGS='NAME' plants only that one. Each is a build of its own.
sim-plants: bootstrap ## plant known faults and let the simulator find them (about 20 minutes)
	@exec scripts/sim-plants.sh $(ARGS)

# TARGETS='frame_decode sanitize' runs only those, SECONDS gives each another time, RUNS another count.
fuzz: bootstrap ## fuzz every target until ten million executions or an hour (nightly Rust, cargo-fuzz)
	@TARGETS='$(TARGETS)' SECONDS_EACH='$(SECONDS)' RUNS='$(RUNS)' exec scripts/fuzz.sh $(ARGS)

# BENCH_SECONDS for each case and BENCH_ROUNDS make it longer or shorter; so do BENCH_SESSIONS, BENCH_ACCOUNTS and BENCH_MESSAGES.
# PARTS='relay' measures only that.
PARTS := crypto relay scale
bench: bootstrap ## measure sealing, relaying and growth (about 8 minutes)
	@cargo build --release --locked --workspace --bin topchat-server --bin topchat-load
	@for part in $(PARTS); do $(TARGET)/release/topchat-load $$part --server $(TARGET)/release/topchat-server \
		--json $(TARGET)/bench-$$part.json --doc docs/BENCHMARKS.md $(ARGS) || exit 1; done

bench-peers: bootstrap ## the same load on NATS, Redis, mosquitto and ngircd, in turn (installs Debian packages; about 25 minutes)
	@cargo build --release --locked --workspace --bin topchat-server --bin topchat-load
	@TARGET='$(TARGET)' exec scripts/bench-peers.sh $(ARGS)

check: lint test ## format, clippy, docs, tests: what CI runs

lint: bootstrap ## format, clippy, docs
	@cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 || \
		{ echo 'error: rustfmt or clippy is missing' >&2; \
		  echo 'hint: rustup component add rustfmt clippy' >&2; exit 1; }
	cargo fmt --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	@# The programs as they are built: with what the workspace's other members ask for they are checked above.
	cargo check --locked --quiet --bins
	cargo check --quiet --manifest-path fuzz/Cargo.toml --target-dir $(TARGET) --lib --no-default-features
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --lib --quiet
	@if command -v shellcheck >/dev/null; then \
		echo 'shellcheck scripts/*.sh .ci/run'; shellcheck --severity=warning scripts/*.sh .ci/run; fi

man: pages ## write the man pages to target/man
	@rm -rf $(TARGET)/man && $(TARGET)/release/topchat-pages man $(TARGET)/man

completions: pages ## write completions for bash, zsh and fish to target/completions
	@rm -rf $(TARGET)/completions && $(TARGET)/release/topchat-pages completions $(TARGET)/completions

# `sudo make install` has no Rust of its own, mostly: it takes what was built before.
install: ## install the programs, pages and completions (PREFIX=/usr/local, DESTDIR=)
	@if command -v cargo >/dev/null; then $(MAKE) --no-print-directory build man completions; fi
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' TARGET='$(TARGET)' scripts/install.sh install

uninstall: ## remove what install has put there
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' scripts/install.sh uninstall

picture: build ## draw the README's picture from a real session (needs tmux)
	@scripts/picture.sh

clean: ## remove what was built (keys and data stay)
	cargo clean --quiet

bootstrap:
	@scripts/bootstrap.sh

bootstrap-tests:
	@scripts/bootstrap.sh --tests

build: bootstrap
	@scripts/build.sh

pages: bootstrap
	@scripts/build.sh topchat-pages

# Made once and never again: everybody who has a copy would be cut off.
$(GROUP_KEY): | bootstrap
	@scripts/gen-des-key.sh $@

# What people and CI do with the project; `make` alone says what there is.
.DEFAULT_GOAL := help
# Parts of the program that are not built by default, such as `make test FEATURES=devices`.
FEATURES ?=
.PHONY: help run smoke test lint bench peers browser speech sound screenshots ci

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-11s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## a session on the embedded simulator: no key, no network
	cargo run --locked -- --agent agents/concierge.toml --simulate -m "I want a refund for my last invoice"

smoke: ## smoke tests of the agents in agents/, on the simulator
	cargo run --locked --quiet -- --script agents --simulate --timeout 1m

test: ## all tests; those that need more than Rust say so and pass over
	cargo test --locked --features '$(FEATURES)'

lint: ## formatting, clippy, documentation, licences
	cargo fmt --check
	cargo clippy --locked --all-targets --features '$(FEATURES)' -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --quiet --features '$(FEATURES)'
	@if command -v cargo-deny >/dev/null; then cargo deny check bans licenses sources; \
	else echo "cargo-deny is not installed: licences are not checked"; fi

bench: ## every figure of the README's performance section
	cargo bench --locked

peers: .peers/venv/installed .peers/node_modules/installed ## the peers of the tests: the SDKs, an MCP server, a reader of JUnit

.peers/venv/installed: tests/peers/requirements.txt
	python3 -m venv .peers/venv
	.peers/venv/bin/pip install --quiet --disable-pip-version-check -r tests/peers/requirements.txt
	touch $@

.peers/node_modules/installed: tests/peers/package.json tests/peers/package-lock.json
	mkdir -p .peers
	cp tests/peers/package.json tests/peers/package-lock.json .peers/
	npm ci --prefix .peers --ignore-scripts --no-audit --no-fund
	touch $@

browser: ## Chromium, for the tests of the page that shows a trace
	@if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then :; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium chromium-driver; \
	else echo "install Chromium and its driver (Debian: chromium, chromium-driver)"; exit 1; fi

speech: ## espeak-ng and SoX, for the tests that speak
	@if command -v espeak-ng >/dev/null && command -v sox >/dev/null; then :; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends espeak-ng sox; \
	else echo "install espeak-ng and SoX (Debian: espeak-ng, sox)"; exit 1; fi

sound: ## what microphones and speakers need, and a virtual sound card to test them on
	@if pkg-config --exists alsa 2>/dev/null && command -v pulseaudio >/dev/null && command -v parec >/dev/null && \
		ls /usr/lib/*/alsa-lib/libasound_module_pcm_pulse.so >/dev/null 2>&1; then :; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
			pkg-config libasound2-dev libasound2-plugins pulseaudio pulseaudio-utils; \
	else echo "install ALSA's headers and plugins, and PulseAudio (Debian: pkg-config, libasound2-dev, libasound2-plugins, pulseaudio, pulseaudio-utils)"; exit 1; fi

screenshots: browser ## the pictures of the README
	cargo test --locked --test screenshots -- --ignored

ci: peers browser speech sound test lint ## what CI runs

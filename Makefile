# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
# The workshop's doors; `make` alone explains them.

# One configuration for everything, so that SwiftNIO is compiled once: the tests are built beside the daemon
# (`swift test` without --skip-build would compile it all again with other flags, and so would --static-swift-stdlib).
# Colours only on a terminal would do that too: they are another flag to the compiler.
# An import that Package.swift does not declare is an error; without the flag an incremental build accepts it.
BUILD := swift build -c release --no-color-diagnostics --explicit-target-dependency-import-check error

.DEFAULT_GOAL := help
.PHONY: help run build test torture tidy format bench deb clean

help: ## explain these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# On a terminal bash -m gives it to the script, so that Ctrl-C reaches that alone: make would answer it with an error.
run: ## build, start maild in a private directory and send a first e-mail; Ctrl-C ends it
	@scripts/install-deps build run
	@$(BUILD)
	@if [ -t 0 ]; then bash -mc scripts/run; else scripts/run; fi

build: ## build maild and mailctl (release) into .build/release
	@scripts/install-deps build
	$(BUILD)

test: tidy ## everything that tests the project; installs what it needs
	@scripts/install-deps build run test
	$(BUILD) --build-tests
	swift test -c release --skip-build --disable-xctest
	.venv/bin/python -m pytest -q -rs Tests/System

torture: ## kill, freeze and restart maild under load, for SECONDS (600) or so many KILLS; a FLEET of so many
	@scripts/install-deps build run test
	$(BUILD)
	.venv/bin/python Tests/System/torture.py $(and $(SECONDS),--seconds $(SECONDS)) $(and $(KILLS),--kills $(KILLS)) \
		$(and $(FLEET),--fleet $(FLEET))

tidy: ## the habits of CONTRIBUTING.md: headers, lengths, forbidden calls, links, format
	@scripts/install-deps build tidy
	@python3 Tests/Tidy/tidy_selftest.py
	@python3 Tests/Tidy/tidy.py
	swift format lint --strict --recursive --parallel Package.swift Sources Tests

format: ## rewrite the Swift files as .swift-format has it
	swift format format --in-place --recursive --parallel Package.swift Sources Tests

bench: ## measure maild alone and beside what people use today (an hour; docs/performance.md says more)
	@scripts/install-deps build bench
	@$(BUILD)
	@$(MAKE) --no-print-directory -C Benchmarks
	@scripts/link-static maild .build/bench/bin/maild
	@scripts/link-static mailctl .build/bench/bin/mailctl
	Benchmarks/run
	Benchmarks/latency
	Benchmarks/compare
	Benchmarks/growth
	Benchmarks/fleet
	Benchmarks/fleet_model
	Benchmarks/instructions
	Benchmarks/frugality

deb: ## build the Debian packages into dist/
	@scripts/install-deps build deb
	@$(BUILD)
	scripts/build-deb

clean: ## remove everything that was built; keeps .maild-run, which may hold mail
	rm -rf .build .build-deb .venv .servers dist
	@$(MAKE) --no-print-directory -C Benchmarks clean

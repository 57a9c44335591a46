# The only entry point: people and CI call the same targets.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Every program: its name, its package, and whether it needs C (the SQL parser
# is a C library; what does not link it is a static binary).
BINARIES := \
	scopewire,./cmd/scopewire,1 \
	scopewire-proxy,./services/proxy/cmd/scopewire-proxy,0 \
	scopewire-authz,./services/authz/cmd/scopewire-authz,1 \
	scopewire-audit,./services/audit/cmd/scopewire-audit,0

BIN := bin
# What programs call themselves; a release names its tag.
VERSION ?= dev
# No path, date or id of the building machine: the same source gives the same
# bytes anywhere.
BUILDFLAGS := -trimpath -buildvcs=false -mod=readonly -ldflags='-s -w -buildid= -X main.version=$(VERSION)'

# A tool is built once per pinned version; its module stays outside of go.work
# so that what it needs never reaches the product.
tool-version = $(shell awk '$$1 == "$(2)" {print $$2} $$2 == "$(2)" {print $$3}' tools/$(1)/go.mod | head -n 1)
GOLANGCI := $(BIN)/tools/golangci-lint-$(call tool-version,golangci-lint,github.com/golangci/golangci-lint/v2)
BUF := $(BIN)/tools/buf-$(call tool-version,buf,github.com/bufbuild/buf)

FUZZTIME ?= 10m
BENCH ?= .

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## all programs into bin/, and a check that every module builds without the workspace
	@mkdir -p $(BIN)
	@for b in $(BINARIES); do \
		IFS=, read -r name package cgo <<<"$$b"; \
		echo "build $(BIN)/$$name"; \
		CGO_ENABLED=$$cgo go build $(BUILDFLAGS) -o $(BIN)/$$name $$package; \
	done
	@scripts/modules | while read -r dir; do \
		echo "build $$dir without the workspace"; \
		GOWORK=off go -C "$$dir" build -mod=readonly ./...; \
	done

.PHONY: generate
generate: $(BUF) ## generated files: protobuf code and everything behind go:generate
	@PATH="$(CURDIR)/$(BIN)/tools:$$PATH" scripts/generate $(BUF)

.PHONY: check-generated
check-generated: $(BUF) ## fails when a generated file is not what make generate would write
	@scripts/check-generated $(abspath $(BUF))

.PHONY: lint
lint: lint-light $(GOLANGCI) $(BUF) check-breaking ## gofmt, go vet, repository rules, golangci-lint, buf lint and breaking
	@scripts/modules | grep -vx 'gen/go' | while read -r dir; do \
		echo "golangci-lint $$dir"; \
		(cd "$$dir" && $(abspath $(GOLANGCI)) run --config $(CURDIR)/.golangci.yml ./...); \
	done
	@echo "buf lint"; $(BUF) lint

.PHONY: check-breaking
check-breaking: $(BUF) ## fails when a contract changed in a way that older peers do not understand
	@scripts/check-breaking $(BUF)

.PHONY: baseline
baseline: $(BUF) ## moves the baseline of the contracts, for what no release has yet; see CONTRIBUTING.md
	$(BUF) build --exclude-source-info -o proto/baseline.binpb

.PHONY: lint-light
lint-light: ## gofmt, go vet and the repository rules alone
	@echo "gofmt"; out=$$(gofmt -l .); if [ -n "$$out" ]; then echo "run gofmt -w on:"; echo "$$out"; exit 1; fi
	@echo "go vet"; go vet work
	@echo "repository rules"; go test -count=1 ./test/rules

.PHONY: psql18
psql18: ## psql 18 with libpq-oauth for the interop tests, in a folder of its own; prints its path for SCOPEWIRE_PSQL18
	@scripts/psql18

.PHONY: hydra
hydra: ## Ory Hydra for the interop tests, built in a folder of its own; prints its path for SCOPEWIRE_HYDRA
	@scripts/hydra

.PHONY: test
test: ## all tests of all modules; gets what they need and says so
	@scripts/test

.PHONY: test-race
test-race: ## the same under the race detector
	@scripts/test -race

.PHONY: matrix
matrix: ## the tests beside PostgreSQL on each supported version that is there; VERSIONS=14,18 picks some
	@scripts/matrix $(VERSIONS)

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (10m) each
	@scripts/fuzz $(FUZZTIME)

.PHONY: oracle
oracle: ## N statements held against PostgreSQL; SEED=n for others, KEEP=1 to keep what fails
	@scripts/oracle-tools regress
	go test -count=1 -v -timeout 12h -run 'TestRandom|TestRegress|TestFound' ./services/authz/internal/oracle \
		-args -n $(or $(N),5000) -regress $$(($(or $(N),5000) / 5)) -seed $(or $(SEED),1) $(if $(KEEP),-keep)

.PHONY: oracle-ran
oracle-ran: ## N statements, of which every function that the server calls on its own was asked for; SEED=n for others
	go test -count=1 -v -timeout 12h -run 'TestRan$$' ./services/authz/internal/oracle -args -ran $(or $(N),20000) -seed $(or $(SEED),1)

.PHONY: pairs
pairs: ## N pairs of texts of one fingerprint: tokens, decisions and what the server makes of them must be one; SEED=n for others
	SCOPEWIRE_PAIRS=$(or $(N),1000000) go test -count=1 -v -timeout 12h -run 'T22_(Equal|Fingerprints)' ./services/authz/internal/analyze
	go test -count=1 -v -timeout 12h -run T22_Pairs ./services/authz/internal/oracle -args -pairs $(or $(N),1000000) -seed $(or $(SEED),1)

.PHONY: chains
chains: ## N random chains of statements in one message, verdicts and catalogs held against PostgreSQL; SEED=n for others
	go test -count=1 -v -timeout 12h -run 'TestChains$$' ./services/authz/internal/oracle -args -chains $(or $(N),1000) -seed $(or $(SEED),1)
	go test -count=1 -v -timeout 12h -run 'TestRandomChains$$' ./services/authz/internal/analyze -args -chains $(or $(N),1000) -chainseed $(or $(SEED),1)

.PHONY: introspection
introspection: ## psql, SQLAlchemy, Django, ActiveRecord and JDBC find their way about through Scopewire
	@scripts/introspection
	go test -count=1 -v ./test/introspection

.PHONY: test-clients
test-clients: ## migration tools, dump and restore, pgbench and drivers, each with and without Scopewire
	@scripts/test-clients

.PHONY: large
large: ## COPY and results of more than 2 GiB through a session that holds nothing of them, measured
	SCOPEWIRE_NIGHTLY=1 go test -count=1 -v -timeout 1h -run 'TestLarge' ./services/proxy/internal/session

.PHONY: rotation
rotation: ## the issuer changes its keys every five seconds for five minutes while sessions and logins go on
	SCOPEWIRE_NIGHTLY=1 go test -count=1 -v -timeout 30m -run 'TestFault_F14_RotationInRealTime' ./test/e2e

.PHONY: revocations
revocations: ## a thousand revocations while a thousand sessions work, each tenth while proxy and authz are parted
	SCOPEWIRE_NIGHTLY=1 go test -count=1 -v -timeout 1h -run 'TestFault_F12_Crowd' ./test/e2e

.PHONY: faults
faults: ## faults at their full length: 20,000 sessions, every byte between services flipped, 24 orders of starting, 200 kills, an hour's outage of audit, a kill at each call of the spool
	SCOPEWIRE_NIGHTLY=1 go test -count=1 -v -timeout 1h -run 'TestFault_F35_' ./services/proxy
	SCOPEWIRE_NIGHTLY=1 go test -count=1 -v -timeout 1h -run 'TestFault_F39_' ./internal/rpc
	SCOPEWIRE_NIGHTLY=1 go test -count=1 -v -timeout 1h -run 'TestFault_F(17|21)_' ./services/proxy/internal/spool
	SCOPEWIRE_NIGHTLY=1 go test -count=1 -v -timeout 2h -run 'TestFault_F(30|40)_' ./test/e2e

.PHONY: sequences
sequences: ## every sequence of up to four messages through a session, beside the server; SHARD=k/n takes a part of them
	SCOPEWIRE_NIGHTLY=1 SCOPEWIRE_SHARD=$(SHARD) go test -count=1 -v -timeout 4h -run 'TestSec_T14_EverySequence' ./services/proxy/internal/session

.PHONY: sqlsmith
sqlsmith: ## the same with the statements of sqlsmith
	@scripts/oracle-tools sqlsmith
	go test -count=1 -v -timeout 12h -run TestSqlsmith ./services/authz/internal/oracle \
		-args -sqlsmith $(or $(N),1000) -sqlsmith.seed $(or $(SEED),2) $(if $(KEEP),-keep)

.PHONY: regress-judge
regress-judge: ## what Scopewire denies of PostgreSQL's regression suite to who may do everything; SCRIPTS=a,b picks some
	@scripts/oracle-tools regress
	go test -count=1 -v -timeout 12h -run TestSuiteJudged ./services/authz/internal/oracle -args -scripts $(or $(SCRIPTS),all)

.PHONY: regress
regress: ## PostgreSQL's own regression suite through Scopewire, beside the same without; SCRIPTS=a,b picks some, OUTPUT=folder keeps what differs
	@scripts/oracle-tools regress server-headers
	go test -count=1 -v -timeout 12h -run TestSuite ./test/regress \
		-args $(if $(SCRIPTS),-only $(SCRIPTS),-whole) $(if $(OUTPUT),-output $(abspath $(OUTPUT)))

.PHONY: bench
bench: ## Scopewire beside PgBouncer and HAProxy under pgbench, interleaved; ROUNDS, SECONDS, CLIENTS=1,8, CELLS=text; REPORT=folder keeps figures and charts
	@scripts/bench $(if $(ROUNDS),-rounds $(ROUNDS)) $(if $(SECONDS),-seconds $(SECONDS)) $(if $(CLIENTS),-clients $(CLIENTS)) \
		$(if $(CELLS),-cells '$(CELLS)') $(if $(REPORT),-report $(abspath $(REPORT)))

.PHONY: bench-micro
bench-micro: ## benchmarks with allocations; BENCH=pattern picks some
	go test -run '^$$' -bench '$(BENCH)' -benchmem work

.PHONY: bench-hit
bench-hit: ## what a decision that is kept costs: fingerprint, key and look-up, with allocations
	go test -run '^$$' -bench 'Append|Lookup|CacheHit' -benchmem ./internal/fingerprint ./services/proxy/internal/decide

.PHONY: bench-decision
bench-decision: ## what a cold decision costs: parse, bind and policy apart
	go test -run '^$$' -bench ColdDecision ./services/authz/internal/analyze

.PHONY: demo
demo: ## everything in one process, with a PostgreSQL, an issuer and sample data
	@scripts/demo

.PHONY: tour
tour: ## a guided walk through the demo that checks each step and exits
	@scripts/demo --tour

.PHONY: ci
ci: build lint check-generated test ## what every change must pass

.PHONY: clean
clean: ## removes bin/
	rm -rf $(BIN)

$(GOLANGCI): tools/golangci-lint/go.mod
	@echo "build $@ (about two minutes, once)"
	@GOWORK=off go -C tools/golangci-lint build -o $(abspath $@) github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(BUF): tools/buf/go.mod
	@echo "build $@ (about a minute, once)"
	@GOWORK=off go -C tools/buf build -o $(abspath $@) github.com/bufbuild/buf/cmd/buf

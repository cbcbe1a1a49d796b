# medanchor: `make help` lists what there is to make. Everything that is built or measured goes to .cache/.

BIN := $(CURDIR)/.cache/bin
PKG := github.com/medanchor/medanchor

# One set of flags for every build, test and check, so that all of them share the go command's cache. Nothing of the product
# needs cgo; of the development network only Fabric CA does, and devnet turns it on for that.
export CGO_ENABLED := 0
export GOFLAGS := $(GOFLAGS) -trimpath
# The dependencies of the modules here are kept apart on purpose.
export GOWORK := off
# Tests of the whole run the programs of `make build`.
export MEDANCHOR_BIN := $(BIN)
# The linter's own cache: findings of another checkout are not ours.
export GOLANGCI_LINT_CACHE := $(CURDIR)/.cache/golangci-lint

# The packages whose tests want a Fabric network, and the others.
networked = $(shell go list -f '{{.ImportPath}} {{.TestImports}} {{.XTestImports}}' ./... \
	| awk '$$0 ~ "[[ ]$(PKG)/devnet/devnettest" {print $$1}')
alone = $(filter-out $(networked),$(shell go list ./...))

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build medanchor, medanchor-inspect and devnet into .cache/bin
	go build -o $(BIN)/ ./cmd/... ./devnet/cmd/...

.PHONY: demo
demo: build ## two hospitals on a real network, from dropped files to verified records (ONCE=1 exits at the end)
	go run ./test/demo $(if $(ONCE),-once)

.PHONY: quick
quick: build vet lint ## vet, lint and the unit tests: no network, under 3 minutes warm
	go test -short ./...
	cd chaincode && go test -short ./...

.PHONY: test
test: build ## every test; those that need a Fabric network share a real one (MEDANCHOR_CORPUS=folder tries real files too)
	cd chaincode && go test ./...
	go test -timeout 20m $(alone)
	go run ./devnet/cmd/devnet exec -- go test -timeout 60m -p 1 $(networked)

.PHONY: vet
vet: ## go vet, both modules
	go vet ./...
	cd chaincode && go vet ./...

.PHONY: lint
lint: $(BIN)/golangci-lint ## golangci-lint, both modules
	$(BIN)/golangci-lint run ./...
	cd chaincode && $(BIN)/golangci-lint run --config ../.golangci.yml ./...

.PHONY: fmt
fmt: $(BIN)/golangci-lint ## format the code, both modules
	$(BIN)/golangci-lint fmt ./...
	cd chaincode && $(BIN)/golangci-lint fmt --config ../.golangci.yml ./...

.PHONY: bench
bench: build ## compare with the alternatives, into .cache/bench/results.json (BENCH=prefix runs some)
	go run ./test/bench $(if $(BENCH),-bench $(BENCH))

.PHONY: fault
fault: ## kill the daemon 200 times (KILLS=n for another number), fail every call on its disks, cut the power, and look for what was lost
	MEDANCHOR_FAULT_KILLS=$(or $(KILLS),200) MEDANCHOR_FAULT_CUTS=64 MEDANCHOR_FAULT_EVERY_CALL=1 go run ./devnet/cmd/devnet exec -- \
		go test -count=1 -v -timeout 120m ./test/fault

.PHONY: clean
clean: ## remove all that was built
	rm -rf .cache

# The tools are pinned in tools/go.mod, apart from the product's dependencies.
$(BIN)/golangci-lint: tools/go.mod tools/go.sum
	cd tools && go build -o $(BIN)/ tool
	@touch $@

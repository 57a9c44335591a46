module github.com/scopewire/scopewire/tools/golangci-lint

go 1.26.8

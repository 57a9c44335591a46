package e2e_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scopewire/scopewire/test/cluster"
)

// Every configuration in the repository loads, its policy with it.
func TestExamplesLoad(t *testing.T) {
	bin := filepath.Join(cluster.Binaries(t, "scopewire"), "scopewire")
	root, err := exec.CommandContext(t.Context(), "git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := strings.TrimSpace(string(root))
	files, err := filepath.Glob(filepath.Join(dir, "deploy", "examples", "scopewire*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, file := range files {
		cmd := exec.CommandContext(t.Context(), bin, "up", "--check", "-c", file)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "configuration ok") {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
	}
}

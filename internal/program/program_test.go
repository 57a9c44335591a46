package program_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/scopewire/scopewire/internal/program"
)

// TestMain runs the test binary itself as a service program when it is asked to.
func TestMain(m *testing.M) {
	switch os.Getenv("PROGRAM_TEST") {
	case "":
		os.Exit(m.Run())
	case "fail":
		os.Exit(program.Main("sample", "A sample.", "1", func(context.Context, program.Flags) error {
			return errors.New("it cannot be")
		}))
	default:
		os.Exit(program.Main("sample", "A sample.", "1", func(ctx context.Context, f program.Flags) error {
			_, _ = os.Stdout.WriteString("running " + f.Config + "\n")
			<-ctx.Done()
			return nil
		}))
	}
}

func start(t *testing.T, mode string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), "PROGRAM_TEST="+mode)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	return cmd, &errs
}

func TestErrorIsTheExitStatus(t *testing.T) {
	cmd, errs := start(t, "fail", "-c", "x.yaml")
	if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != 1 || errs.String() != "sample: it cannot be\n" {
		t.Errorf("%v, %q", err, errs)
	}
	cmd, errs = start(t, "fail")
	if err := cmd.Run(); err == nil || !strings.Contains(errs.String(), "--config") {
		t.Errorf("without its flag: %v, %q", err, errs)
	}
}

func TestSignalEndsTheProgram(t *testing.T) {
	cmd, errs := start(t, "run", "-c", "/x.yaml")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, len("running /x.yaml\n"))
	if _, err := out.Read(line); err != nil || string(line) != "running /x.yaml\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v, %q", err, errs)
	}
}

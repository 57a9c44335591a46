//go:build !linux

package sys

import (
	"errors"
	"os"
)

func allocate(*os.File, int64) error { return errors.ErrUnsupported }

func syncData(f *os.File) error { return f.Sync() }

func mapFile(*os.File, int64) (Mapping, error) { return nil, errors.ErrUnsupported }

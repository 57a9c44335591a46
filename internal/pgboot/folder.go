package pgboot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// maxSocketPath is the longest path of a unix socket, without the final zero
// byte (Linux; unix(7)).
const maxSocketPath = 107

// shortDir makes a server's folder, in a place that whoever runs the server can
// reach and with a path short enough for its socket.
func shortDir(id identity) (string, error) {
	for _, base := range []string{os.TempDir(), "/tmp"} {
		// MkdirTemp adds at most ten digits.
		longest := filepath.Join(base, "swpg0123456789", "s", ".s.PGSQL.32767")
		if len(longest) > maxSocketPath || !id.reaches(base) {
			continue
		}
		dir, err := os.MkdirTemp(base, "swpg")
		if err != nil {
			return "", fmt.Errorf("make the server's folder: %w", err)
		}
		return dir, nil
	}
	return "", errors.New("make the server's folder: no temporary folder has a path short enough for a unix socket and is open to the server")
}

// reaches reports whether programs that run as id may look into dir. Only nobody
// differs from the current user.
func (id identity) reaches(dir string) bool {
	if id != asNobody {
		return true
	}
	for {
		info, err := os.Stat(dir)
		if err != nil || info.Mode()&0o001 == 0 {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
		dir = filepath.Dir(dir)
	}
}

// within copies the programs into the server's folder where id could not reach
// them, as in the cache folder of root. Fetched servers find their libraries
// wherever they are; installed ones are open to everybody and stay.
func (b binaries) within(dir string, id identity) (binaries, error) {
	if id.reaches(b.dir) {
		return b, nil
	}
	tree := filepath.Dir(b.dir)
	to := filepath.Join(dir, "pg")
	for _, part := range []string{"bin", "lib", "share"} {
		from := filepath.Join(tree, part)
		if _, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := os.CopyFS(filepath.Join(to, part), os.DirFS(from)); err != nil {
			return b, fmt.Errorf("copy server programs: %w", err)
		}
	}
	b.dir = filepath.Join(to, filepath.Base(b.dir))
	return b, nil
}

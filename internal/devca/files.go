package devca

import (
	"fmt"
	"path/filepath"

	"github.com/scopewire/scopewire/internal/sys"
)

// Files are the paths WriteFiles wrote.
type Files struct {
	// CA is the CA's certificate, Cert the issued one, Key its private key.
	CA, Cert, Key string
}

// WriteFiles issues a certificate and writes ca.crt, NAME.crt and NAME.key into
// dir, which it makes when it is missing. The key is readable by its owner
// alone. Each file is written atomically, the certificate last: who waits for
// NAME.crt finds the key beside it.
func (ca *CA) WriteFiles(fsys sys.FS, dir, name string, opts Options) (Files, error) {
	if name == "" || name != filepath.Base(name) || name == "." || name == ".." {
		return Files{}, fmt.Errorf("write certificate: %q is no file name", name)
	}
	certPEM, keyPEM, err := ca.Issue(opts)
	if err != nil {
		return Files{}, err
	}
	if err := fsys.MkdirAll(dir, 0o755); err != nil {
		return Files{}, fmt.Errorf("write certificate %q: %w", name, err)
	}
	files := Files{
		CA:   filepath.Join(dir, "ca.crt"),
		Cert: filepath.Join(dir, name+".crt"),
		Key:  filepath.Join(dir, name+".key"),
	}
	if err := sys.WriteFileAtomic(fsys, files.CA, ca.pem, 0o644); err != nil {
		return Files{}, err
	}
	if err := sys.WriteFileAtomic(fsys, files.Key, keyPEM, 0o600); err != nil {
		return Files{}, err
	}
	if err := sys.WriteFileAtomic(fsys, files.Cert, certPEM, 0o644); err != nil {
		return Files{}, err
	}
	return files, nil
}

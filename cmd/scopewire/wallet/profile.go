package wallet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/sys"
)

// Profile is a login: who issues the tokens, what is asked for, and where they are
// used.
type Profile struct {
	// Issuer and ClientID are whom to ask, and as which OAuth client.
	Issuer   string `json:"issuer"`
	ClientID string `json:"client_id"`
	// SecretEnv and SecretFile say where the client's secret is; neither: it has none.
	SecretEnv  string `json:"client_secret_env,omitempty"`
	SecretFile string `json:"client_secret_file,omitempty"`
	// Scopes, Audience, Resource and Details are what to ask for.
	Scopes   []string        `json:"scopes,omitempty"`
	Audience string          `json:"audience,omitempty"`
	Resource string          `json:"resource,omitempty"`
	Details  json.RawMessage `json:"authorization_details,omitempty"`
	// CAFile holds the authorities of the issuer's certificate.
	CAFile string `json:"ca_file,omitempty"`
	// Address is the proxy, host:port; Database and User are what its clients ask for
	// by default; RootCert holds the authorities of its certificate.
	Address  string `json:"address,omitempty"`
	Database string `json:"database,omitempty"`
	User     string `json:"user,omitempty"`
	RootCert string `json:"sslrootcert,omitempty"`
	// Keyring is the tokens' name in the keyring; empty: they are in a file.
	Keyring string `json:"keyring,omitempty"`
}

// Secret is where the client's secret is.
func (p *Profile) Secret() config.Source {
	return config.Source{Env: p.SecretEnv, File: p.SecretFile}
}

// ErrNoProfile is returned for a name that nobody has logged in by.
var ErrNoProfile = errors.New("nobody is logged in")

// CheckName is an error unless name can be a profile's.
func CheckName(name string) error {
	bad := strings.ContainsFunc(name, func(r rune) bool {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '_':
			return false
		default:
			return true
		}
	})
	if bad || name == "" || len(name) > 64 {
		return fmt.Errorf("the name of a profile has letters, digits, hyphens and underscores, not %q", name)
	}
	return nil
}

// Profile reads a profile. Without one the error is ErrNoProfile.
func (w *Wallet) Profile(name string) (*Profile, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	b, err := w.read(w.file(name, ".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoProfile
	}
	if err != nil {
		return nil, fmt.Errorf("read profile %s: %w", name, err)
	}
	var p Profile
	if err := json.Unmarshal(b, &p); err != nil {
		return nil, fmt.Errorf("read profile %s: %w", name, err)
	}
	return &p, nil
}

func (w *Wallet) writeProfile(name string, p *Profile) error {
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return fmt.Errorf("write profile %s: %w", name, err)
	}
	if err := sys.WriteFileAtomic(w.fs, w.file(name, ".json"), append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("write profile %s: %w", name, err)
	}
	return nil
}

func (w *Wallet) file(name, suffix string) string { return filepath.Join(w.dir, name+suffix) }

package wallet

import (
	"errors"

	"github.com/zalando/go-keyring"
)

// service is what Scopewire's entries in a keyring are filed under.
const service = "scopewire"

// Desktop is the keyring of the person's desktop: the Secret Service on Linux,
// the keychain on macOS.
type Desktop struct{}

// Get implements Keyring.
func (Desktop) Get(name string) (string, error) {
	value, err := keyring.Get(service, name)
	return value, missing(err)
}

// Set implements Keyring.
func (Desktop) Set(name, value string) error { return keyring.Set(service, name, value) }

// Delete implements Keyring.
func (Desktop) Delete(name string) error { return missing(keyring.Delete(service, name)) }

func missing(err error) error {
	if errors.Is(err, keyring.ErrNotFound) {
		return ErrNotFound
	}
	return err
}

// Package cancel maps the cancel keys that the proxy gives to clients onto
// sessions. The server's own keys never leave the proxy.
//
// A client proves that it may cancel by the 32-bit process id and the secret of its
// session, both minted here from a strong source. The secret has 4 bytes under
// protocol 3.0 and 32 under 3.2. Look-ups compare in constant time and say nothing;
// attempts that miss are limited per address.
package cancel

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"net"
	"sync"
	"time"

	"github.com/scopewire/scopewire/internal/sys"
)

const (
	// missesPerSecond is how many wrong keys an address may try in a second;
	// further tries in it are not looked up.
	missesPerSecond = 10
	// maxAddresses bounds the memory of misses.
	maxAddresses = 4096
)

// The lengths of a key's secret, in bytes.
const (
	// ShortSecret is what protocol 3.0 has room for.
	ShortSecret = 4
	// LongSecret is what a server of PostgreSQL 18 gives under 3.2 (MAX_CANCEL_KEY_LENGTH
	// of postgres.c).
	LongSecret = 32
)

// Key is what BackendKeyData and CancelRequest carry.
type Key struct {
	ProcessID uint32
	Secret    []byte
}

// Registry holds the keys of the open sessions. Safe for concurrent use.
type Registry struct {
	clock sys.Clock
	rand  sys.Rand

	mu       sync.Mutex
	sessions map[uint32]entry
	misses   map[string]int
	second   time.Time
}

type entry struct {
	// secret is the SHA-256 of the secret, so that comparing takes the same time
	// whatever length is shown.
	secret [sha256.Size]byte
	cancel func()
}

// New returns an empty registry.
func New(clock sys.Clock, rand sys.Rand) *Registry {
	return &Registry{clock: clock, rand: rand, sessions: make(map[uint32]entry), misses: make(map[string]int)}
}

// Add mints a key with a secret of that many bytes; cancel is called for every request
// that shows it, and must not block. Remove must follow.
func (r *Registry) Add(cancel func(), length int) Key {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		b := make([]byte, 4+length)
		r.rand.Read(b)
		// Positive, because some clients read the process id as a signed number.
		k := Key{ProcessID: binary.BigEndian.Uint32(b) & 0x7fffffff, Secret: b[4:]}
		if _, taken := r.sessions[k.ProcessID]; taken || k.ProcessID == 0 {
			continue
		}
		r.sessions[k.ProcessID] = entry{secret: sha256.Sum256(k.Secret), cancel: cancel}
		return k
	}
}

// Remove forgets a key.
func (r *Registry) Remove(k Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sessions, k.ProcessID)
}

// Request cancels what the key's session runs. Whether there is one is told to
// nobody but the caller, for its metrics.
func (r *Registry) Request(k Key, from net.Addr) bool {
	host, _, err := net.SplitHostPort(from.String())
	if err != nil {
		host = from.String()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := r.clock.Now().Truncate(time.Second); !now.Equal(r.second) || len(r.misses) > maxAddresses {
		r.second = now
		clear(r.misses)
	}
	if r.misses[host] >= missesPerSecond {
		return false
	}
	e, ok := r.sessions[k.ProcessID]
	have := sha256.Sum256(k.Secret)
	same := subtle.ConstantTimeCompare(have[:], e.secret[:]) == 1
	if !ok || !same {
		r.misses[host]++
		return false
	}
	// Under the lock, so that Remove returns only when no cancel is under way for
	// a session that is being closed.
	e.cancel()
	return true
}

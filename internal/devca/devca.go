// Package devca is a throw-away certificate authority for demos and tests: it
// lives in memory, signs ECDSA P-256 certificates for servers and clients, and
// is gone with the process.
//
// It is no CA for production: there is no revocation, no record of what was
// signed, and whoever holds a *CA can sign anything.
package devca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"slices"
	"time"

	"github.com/scopewire/scopewire/internal/sys"
)

// Lifetime is how long a CA's own certificate is valid. No certificate it signs
// outlives it.
const Lifetime = 90 * 24 * time.Hour

// DefaultLeafLifetime is how long a certificate is valid when Options does not
// say.
const DefaultLeafLifetime = 7 * 24 * time.Hour

// backdate is how far a certificate's start lies in the past, so that a peer
// whose clock is a little behind accepts it at once.
const backdate = time.Minute

// CA signs certificates. Safe for concurrent use.
type CA struct {
	clock sys.Clock
	rand  reader
	key   *ecdsa.PrivateKey
	cert  *x509.Certificate
	pem   []byte
}

// Options says what a certificate is for.
type Options struct {
	// Name is the subject's common name. Verifiers ignore it; people read it.
	Name string
	// DNSNames and IPs are the names a server answers to.
	DNSNames []string
	IPs      []net.IP
	// URIs are the identities of a client or service, such as
	// spiffe://scopewire/proxy.
	URIs []string
	// Server and Client are the uses the certificate is for; at least one.
	Server, Client bool
	// NotBefore is when it starts to be valid; zero is a minute ago.
	NotBefore time.Time
	// Lifetime is how long it is valid from NotBefore; zero is
	// DefaultLeafLifetime.
	Lifetime time.Duration
}

// New makes a CA with a key of its own.
func New(clock sys.Clock, rand sys.Rand) (*CA, error) {
	ca := &CA{clock: clock, rand: reader{rand}}
	key, err := ecdsa.GenerateKey(elliptic.P256(), ca.rand)
	if err != nil {
		return nil, fmt.Errorf("generate the key of the development CA: %w", err)
	}
	now := clock.Now()
	tmpl := &x509.Certificate{
		SerialNumber:          ca.serial(),
		Subject:               pkix.Name{CommonName: "Scopewire development CA", Organization: []string{"Scopewire"}},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(Lifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(ca.rand, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign the certificate of the development CA: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read the certificate of the development CA: %w", err)
	}
	ca.key, ca.cert = key, cert
	ca.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return ca, nil
}

// PEM is the CA's certificate: what a verifier puts into its trusted roots. The
// caller owns the copy.
func (ca *CA) PEM() []byte { return slices.Clone(ca.pem) }

// Pool is a new pool that trusts this CA alone.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return pool
}

// Issue signs a certificate over a new key. Both results are PEM; the key is
// PKCS #8 and unencrypted.
func (ca *CA) Issue(opts Options) (certPEM, keyPEM []byte, err error) {
	tmpl, err := ca.template(opts)
	if err != nil {
		return nil, nil, fmt.Errorf("issue certificate %q: %w", opts.Name, err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), ca.rand)
	if err != nil {
		return nil, nil, fmt.Errorf("issue certificate %q: generate key: %w", opts.Name, err)
	}
	der, err := x509.CreateCertificate(ca.rand, tmpl, ca.cert, key.Public(), ca.key)
	if err != nil {
		return nil, nil, fmt.Errorf("issue certificate %q: sign: %w", opts.Name, err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("issue certificate %q: encode key: %w", opts.Name, err)
	}
	certPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	return certPEM, keyPEM, nil
}

// IssueTLS is Issue for a caller that hands the certificate to crypto/tls in
// the same process.
func (ca *CA) IssueTLS(opts Options) (tls.Certificate, error) {
	certPEM, keyPEM, err := ca.Issue(opts)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("load certificate %q: %w", opts.Name, err)
	}
	return pair, nil
}

func (ca *CA) template(opts Options) (*x509.Certificate, error) {
	var usage []x509.ExtKeyUsage
	if opts.Server {
		usage = append(usage, x509.ExtKeyUsageServerAuth)
	}
	if opts.Client {
		usage = append(usage, x509.ExtKeyUsageClientAuth)
	}
	if len(usage) == 0 {
		return nil, errors.New("it is for neither a server nor a client")
	}
	if opts.Server && len(opts.DNSNames)+len(opts.IPs) == 0 {
		return nil, errors.New("a server certificate needs a DNS name or an address")
	}
	uris := make([]*url.URL, 0, len(opts.URIs))
	for _, s := range opts.URIs {
		u, err := url.Parse(s)
		if err != nil || !u.IsAbs() {
			return nil, fmt.Errorf("identity %q is no absolute URI", s)
		}
		uris = append(uris, u)
	}
	notBefore := opts.NotBefore
	if notBefore.IsZero() {
		notBefore = ca.clock.Now().Add(-backdate)
	}
	lifetime := opts.Lifetime
	if lifetime == 0 {
		lifetime = DefaultLeafLifetime
	}
	notAfter := notBefore.Add(lifetime)
	if lifetime < 0 || notAfter.After(ca.cert.NotAfter) {
		return nil, fmt.Errorf("a lifetime of %s does not fit into the CA's own", lifetime)
	}
	return &x509.Certificate{
		SerialNumber:          ca.serial(),
		Subject:               pkix.Name{CommonName: opts.Name, Organization: []string{"Scopewire"}},
		NotBefore:             notBefore,
		NotAfter:              notAfter,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           usage,
		BasicConstraintsValid: true,
		DNSNames:              opts.DNSNames,
		IPAddresses:           opts.IPs,
		URIs:                  uris,
	}, nil
}

// serial is 127 random bits: RFC 5280 section 4.1.2.2 asks for a positive
// number of at most 20 octets.
func (ca *CA) serial() *big.Int {
	var b [16]byte
	ca.rand.Rand.Read(b[:])
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b[:])
}

// reader gives sys.Rand the form that package crypto asks for.
type reader struct{ sys.Rand }

// Read fills p.
func (r reader) Read(p []byte) (int, error) {
	r.Rand.Read(p)
	return len(p), nil
}

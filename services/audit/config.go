package audit

import (
	"path/filepath"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/rpc"
	"github.com/scopewire/scopewire/internal/telemetry"
)

// Config is the configuration file of scopewire-audit.
type Config struct {
	// Listen is where proxies deliver and people ask. Port 6434 by convention.
	Listen rpc.ServerConfig `yaml:"listen"`
	// Store is where events are kept.
	Store StoreConfig `yaml:"store"`
	// Admin is the server for metrics and health. Port 6482 by convention.
	Admin telemetry.AdminConfig `yaml:"admin,omitempty"`
	// Telemetry is the log and the traces.
	Telemetry telemetry.Config `yaml:"telemetry,omitempty"`
}

// StoreConfig is where events are kept.
type StoreConfig struct {
	// Directory holds the segments, for this service alone. An absolute path. It
	// is made when missing. No default.
	Directory string `yaml:"directory"`
	// SegmentBytes is the size, in bytes, after which a new segment file is begun.
	// Default 64 MiB. Higher makes fewer files; start and verification hold one
	// segment in memory. From 1 MiB to 1 GiB.
	SegmentBytes int64 `yaml:"segment_bytes,omitempty"`
}

const (
	defaultSegment = 64 << 20
	minSegment     = 1 << 20
	maxSegment     = 1 << 30
)

// Validate implements config.Validator.
func (c *Config) Validate(p *config.Problems) {
	if c.Listen.Address == "" {
		p.Addf("listen.address", "must be set")
	} else {
		c.Listen.Validate(p, "listen")
	}
	c.Store.Validate(p, "store")
	c.Admin.Validate(p, "admin")
	c.Telemetry.Validate(p, "telemetry")
}

// Validate adds every finding to p, with path before each key.
func (c *StoreConfig) Validate(p *config.Problems, path string) {
	switch {
	case c.Directory == "":
		p.Addf(path+".directory", "must be set")
	case !filepath.IsAbs(c.Directory):
		p.Addf(path+".directory", "must be an absolute path: it must not depend on where the service is started")
	}
	if c.SegmentBytes != 0 && (c.SegmentBytes < minSegment || c.SegmentBytes > maxSegment) {
		p.Addf(path+".segment_bytes", "is from %d to %d", minSegment, maxSegment)
	}
}

// Package interop logs in at real OAuth servers, as people and programs do, and
// takes the tokens through the proxy to PostgreSQL.
//
// oidc/ holds oidc-provider for node, pinned in package-lock.json and installed
// at first use; its clients are in provider.mjs. A Person is who sits at the
// browser: it fills in the provider's own forms.
//
// Ory Hydra is built apart by make hydra; its test runs where SCOPEWIRE_HYDRA names it.
package interop

package decide

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/secret"
)

// maxTTL bounds what a decision's TTL may say, so that a garbled one cannot make
// it immortal.
const maxTTL = time.Hour

// check holds an answer against its question and against what this proxy can
// do. Whatever is not understood in full is an error.
func check(msg *authzv1.AuthorizeRequest, resp *authzv1.AuthorizeResponse, sent time.Time) (*Decision, error) {
	if resp.GetRequestId() != msg.GetRequestId() || !bytes.Equal(resp.GetUnitSha256(), msg.GetUnitSha256()) {
		return nil, errors.New("authz answered another request")
	}
	if err := known(resp.ProtoReflect(), 0); err != nil {
		return nil, err
	}
	d := &Decision{Verdict: resp.GetVerdict(), Reason: resp.GetReason(), Detail: resp.GetReasonDetail(),
		Statements: resp.GetStatements(), Epoch: resp.GetEpoch(), Error: resp.GetError(), AsOf: sent, Expires: sent}
	switch d.Verdict {
	case authzv1.Verdict_VERDICT_ALLOW:
		return d, checkAllow(resp, d, sent, msg.GetFreshCatalog())
	case authzv1.Verdict_VERDICT_DENY, authzv1.Verdict_VERDICT_REFUSE:
		return d, nil
	case authzv1.Verdict_VERDICT_ERROR:
		if d.Error.GetMessage() == "" || len(d.Error.GetSqlstate()) != 5 {
			return nil, errors.New("authz answered an error without saying which")
		}
		return d, nil
	case authzv1.Verdict_VERDICT_PROBE:
		d.Probes = resp.GetProbes()
		return d, checkProbes(d.Probes)
	case authzv1.Verdict_VERDICT_UNSPECIFIED, authzv1.Verdict_VERDICT_UNKNOWN_TOKEN:
		return nil, fmt.Errorf("authz answered verdict %v", d.Verdict)
	default:
		return nil, fmt.Errorf("authz answered verdict %d, which this version does not know", d.Verdict)
	}
}

// maxProbes bounds the questions of one answer.
const maxProbes = 16

// checkProbes holds the questions that authz has against those the proxy can ask.
func checkProbes(probes []*authzv1.Probe) error {
	if len(probes) == 0 || len(probes) > maxProbes {
		return fmt.Errorf("authz asks for %d probes at once", len(probes))
	}
	for _, p := range probes {
		named := p.GetObject().GetName() != ""
		switch p.GetKind() {
		case authzv1.ProbeKind_PROBE_KIND_SESSION, authzv1.ProbeKind_PROBE_KIND_OBJECTS, authzv1.ProbeKind_PROBE_KIND_CATALOG:
			if p.GetObject() != nil {
				return fmt.Errorf("authz asks for probe %v of a name", p.GetKind())
			}
		case authzv1.ProbeKind_PROBE_KIND_RELATION, authzv1.ProbeKind_PROBE_KIND_FUNCTION, authzv1.ProbeKind_PROBE_KIND_TYPE,
			authzv1.ProbeKind_PROBE_KIND_STATEMENT, authzv1.ProbeKind_PROBE_KIND_PORTAL:
			if !named {
				return fmt.Errorf("authz asks for probe %v without a name", p.GetKind())
			}
		default:
			return fmt.Errorf("authz asks for probe %v, which this version does not know", p.GetKind())
		}
	}
	return nil
}

// checkAllow completes an allow, which has to be flawless. fresh says that its catalog was
// to be read after the request came.
func checkAllow(resp *authzv1.AuthorizeResponse, d *Decision, sent time.Time, fresh bool) error {
	if d.Error != nil || len(resp.GetProbes()) > 0 {
		return errors.New("authz answered an allow and an error at once")
	}
	if d.Reason != authzv1.Reason_REASON_GRANTED && d.Reason != authzv1.Reason_REASON_UNSPECIFIED {
		return fmt.Errorf("authz answered an allow and reason %v at once", d.Reason)
	}
	if d.Epoch.GetPolicy() == 0 {
		return errors.New("authz answered an allow without an epoch")
	}
	if len(resp.GetEdits()) > 0 {
		return errors.New("authz asks for edits, which this version does not make")
	}
	ob := resp.GetObligations()
	if ob.GetRowLimit() != 0 || ob.GetAudit() == authzv1.AuditMode_AUDIT_MODE_COUNT {
		return errors.New("authz asks for obligations that this version does not fulfil")
	}
	if limit := ob.GetStatementTimeout(); limit != nil {
		if !limit.IsValid() || limit.AsDuration() <= 0 {
			return errors.New("authz answered an allow with a statement timeout that is none")
		}
		d.Longest = limit.AsDuration()
	}
	for _, s := range d.Statements {
		for _, e := range s.GetEffects() {
			if !supported(e.GetKind()) {
				return fmt.Errorf("the statement has effect %v, which this version does not follow", e.GetKind())
			}
		}
	}
	if err := checkRefresh(resp.GetRefreshed(), d, sent); err != nil {
		return err
	}
	d.Open = resp.GetErrors() == authzv1.ErrorExposure_ERROR_EXPOSURE_OPEN
	age, ttl := resp.GetAge(), resp.GetTtl()
	if !age.IsValid() || age.AsDuration() < 0 || !ttl.IsValid() || ttl.AsDuration() < 0 {
		return errors.New("authz answered an allow without age and ttl")
	}
	d.AsOf = sent.Add(-age.AsDuration())
	if fresh {
		// The age is that of the oldest fact: a policy that is looked at four times a second
		// would make every answer older than the change that it was asked for after.
		d.CatalogAsOf = sent
	}
	d.Expires = sent.Add(min(ttl.AsDuration(), maxTTL))
	if d.Refreshed == nil {
		d.Fingerprint = resp.GetCacheability() == authzv1.Cacheability_CACHEABILITY_FINGERPRINT
		d.Cacheable = d.Fingerprint || resp.GetCacheability() == authzv1.Cacheability_CACHEABILITY_EXACT
	}
	return nil
}

// checkRefresh takes the token of a unit that brings one. Effect and token come together,
// in a unit that does nothing else.
func checkRefresh(r *authzv1.Refreshed, d *Decision, sent time.Time) error {
	brings := slices.ContainsFunc(d.Statements, func(st *authzv1.Statement) bool {
		return slices.ContainsFunc(st.GetEffects(), func(e *authzv1.Effect) bool { return e.GetKind() == authzv1.EffectKind_EFFECT_KIND_REFRESH })
	})
	if r == nil && !brings {
		return nil
	}
	alone := len(d.Statements) == 1 && len(d.Statements[0].GetEffects()) == 1 && len(d.Statements[0].GetAccesses()) == 0
	life := r.GetExpiresIn()
	confirm := r.GetConfirmIn()
	if r == nil || !brings || !alone || confirm != nil && (!confirm.IsValid() || confirm.AsDuration() <= 0) || len(r.GetToken()) == 0 || r.GetPrincipal().GetSubject() == "" || !life.IsValid() || life.AsDuration() <= 0 {
		return errors.New("authz answered a new token that is not one, or not alone")
	}
	d.Refreshed = &Refreshed{Token: secret.New(r.GetToken()), Principal: r.GetPrincipal(), Expires: sent.Add(life.AsDuration()),
		ConfirmIn: confirm.AsDuration(), Revocation: d.Epoch.GetRevocation()}
	return nil
}

// supported lists the effects after which the session knows its context, or learns it
// again.
func supported(k authzv1.EffectKind) bool {
	switch k {
	case authzv1.EffectKind_EFFECT_KIND_BEGIN, authzv1.EffectKind_EFFECT_KIND_COMMIT,
		authzv1.EffectKind_EFFECT_KIND_ROLLBACK, authzv1.EffectKind_EFFECT_KIND_SAVEPOINT,
		authzv1.EffectKind_EFFECT_KIND_RELEASE, authzv1.EffectKind_EFFECT_KIND_ROLLBACK_TO,
		authzv1.EffectKind_EFFECT_KIND_SET, authzv1.EffectKind_EFFECT_KIND_RESET, authzv1.EffectKind_EFFECT_KIND_SET_LOCAL,
		authzv1.EffectKind_EFFECT_KIND_PREPARE, authzv1.EffectKind_EFFECT_KIND_DEALLOCATE,
		authzv1.EffectKind_EFFECT_KIND_DECLARE, authzv1.EffectKind_EFFECT_KIND_CLOSE,
		authzv1.EffectKind_EFFECT_KIND_DDL, authzv1.EffectKind_EFFECT_KIND_TEMP, authzv1.EffectKind_EFFECT_KIND_OPAQUE,
		authzv1.EffectKind_EFFECT_KIND_REFRESH:
		return true
	case authzv1.EffectKind_EFFECT_KIND_UNSPECIFIED:
		return false
	default:
		return false
	}
}

// maxDepth bounds the nesting of an answer.
const maxDepth = 16

// known returns an error if m, or anything in it, holds a field or an enum value
// that this version's contract does not have.
func known(m protoreflect.Message, depth int) error {
	if depth > maxDepth {
		return errors.New("authz answered a message that is nested too deep")
	}
	if len(m.GetUnknown()) > 0 {
		return fmt.Errorf("authz answered a %s with fields that this version does not know", m.Descriptor().Name())
	}
	var err error
	value := func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.Message() != nil:
			err = known(v.Message(), depth+1)
		case fd.Enum() != nil:
			if fd.Enum().Values().ByNumber(v.Enum()) == nil {
				err = fmt.Errorf("authz answered %s %d, which this version does not know", fd.Enum().Name(), v.Enum())
			}
		}
		return err == nil
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsMap():
			v.Map().Range(func(_ protoreflect.MapKey, e protoreflect.Value) bool { return value(fd.MapValue(), e) })
		case fd.IsList():
			for i := range v.List().Len() {
				if !value(fd, v.List().Get(i)) {
					break
				}
			}
		default:
			value(fd, v)
		}
		return err == nil
	})
	return err
}

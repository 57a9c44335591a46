package verify

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/scopewire/scopewire/internal/sys"
)

// Introspection (RFC 7662). An answer is kept under the token's SHA-256 for the issuer's
// TTL; of many who ask about one token one asks the issuer. Which tokens are sent is the
// clients' choice, so everything they can make many of is bounded: the questions under
// way, and the answers kept.

// Bounds of what is kept and asked.
const (
	// maxAnswers bounds the answers kept for an issuer.
	maxAnswers = 4096
	// maxQuestions bounds the questions under way at one issuer.
	maxQuestions = 32
	// inactiveFor is how long `active: false` is believed, failedFor how long a failure is:
	// a client that tries again and again costs the issuer no more than that.
	inactiveFor = 5 * time.Second
	failedFor   = time.Second
)

// opinion is what an issuer says of a token. It is immutable.
type opinion struct {
	// failed is why there is none, nil otherwise.
	failed *Refusal
	active bool
	// claims are the answer's members, raw the answer.
	claims value
	raw    string
	// asked is when the question was sent, until how long the opinion counts.
	asked, until time.Time
}

// introspector asks one issuer. Safe for concurrent use.
type introspector struct {
	rules    Introspection
	issuer   string
	clock    sys.Clock
	log      *slog.Logger
	timeout  time.Duration
	question func(ctx context.Context, token []byte) ([]byte, error)
	// answered is told how.
	answered func(answer string)
	// flights counts the questions that outlive who began them.
	flights *sync.WaitGroup
	slots   chan struct{}

	mu     sync.Mutex
	known  map[[sha256.Size]byte]opinion
	asking map[[sha256.Size]byte]*inquiry
	// failing says that the last question failed: changes are logged.
	failing bool
}

// inquiry is one question that several wait for. opinion is set before done is closed.
type inquiry struct {
	done    chan struct{}
	opinion opinion
}

// ask returns what the issuer says of a token, as of an opinion no older than age. It does
// not keep the token. The caller waits as long as ctx allows; the question goes on.
func (in *introspector) ask(ctx context.Context, token []byte, age time.Duration) opinion {
	h := sha256.Sum256(token)
	in.mu.Lock()
	now := in.clock.Now()
	if o, ok := in.known[h]; ok && now.Before(o.until) && (o.failed != nil || now.Sub(o.asked) < age) {
		in.mu.Unlock()
		return o
	}
	q := in.asking[h]
	if q == nil {
		in.mu.Unlock()
		select {
		case in.slots <- struct{}{}:
		case <-ctx.Done():
			return opinion{failed: refuse(Unconfirmed, "the issuer is asked about too many tokens at once")}
		}
		in.mu.Lock()
		if q = in.asking[h]; q != nil {
			<-in.slots
		} else {
			q = &inquiry{done: make(chan struct{})}
			in.asking[h] = q
			// Others wait for the answer too, and the token is the caller's to wipe.
			own := append([]byte(nil), token...)
			in.flights.Go(func() { in.inquire(context.WithoutCancel(ctx), q, h, own) })
		}
	}
	in.mu.Unlock()
	select {
	case <-q.done:
		return q.opinion
	case <-ctx.Done():
		return opinion{failed: refuse(Unconfirmed, "the issuer did not say in time whether the token is active")}
	}
}

// inquire asks the issuer, and lets those go who wait.
func (in *introspector) inquire(ctx context.Context, q *inquiry, h [sha256.Size]byte, token []byte) {
	ctx, cancel := context.WithTimeout(ctx, in.timeout)
	defer cancel()
	o := opinion{failed: refuse(Unconfirmed, "the question to the issuer did not come to its end"), asked: in.clock.Now()}
	o.until = o.asked
	defer func() {
		clear(token)
		in.mu.Lock()
		delete(in.asking, h)
		in.keepLocked(h, o)
		in.mu.Unlock()
		q.opinion = o
		close(q.done)
		<-in.slots
	}()
	raw, err := in.question(ctx, token)
	if err == nil {
		err = o.read(raw, in.rules.TTL)
	}
	in.report(err)
	switch {
	case err == nil && o.active:
		in.answered("active")
	case err == nil:
		in.answered("inactive")
	default:
		in.answered("failed")
		o = opinion{failed: refuse(Unconfirmed, "the issuer could not be asked whether the token is active, or its answer was none"),
			asked: o.asked, until: o.asked.Add(failedFor)}
	}
}

// errAnswer says nothing of the answer, which is about a token.
var errAnswer = errors.New("the answer says neither that the token is active nor that it is not")

// read takes an answer (RFC 7662 section 2.2).
func (o *opinion) read(raw []byte, ttl time.Duration) error {
	claims, err := parseObject(raw)
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	active, ok := claims.get("active")
	if !ok || active.kind != kindBool {
		return errAnswer
	}
	o.failed, o.active = nil, active.text == "true"
	if !o.active {
		o.until = o.asked.Add(min(ttl, inactiveFor))
		return nil
	}
	o.claims, o.raw, o.until = claims, string(raw), o.asked.Add(ttl)
	return nil
}

// report logs when questions begin to fail, and when they are answered again.
func (in *introspector) report(err error) {
	in.mu.Lock()
	changed := in.failing != (err != nil)
	in.failing = err != nil
	in.mu.Unlock()
	switch {
	case !changed:
	case err != nil:
		in.log.Warn("tokens cannot be introspected", "issuer", in.issuer, "error", err)
	default:
		in.log.Info("tokens are introspected again", "issuer", in.issuer)
	}
}

func (in *introspector) keepLocked(h [sha256.Size]byte, o opinion) {
	if len(in.known) >= maxAnswers {
		for k, old := range in.known {
			if !o.asked.Before(old.until) {
				delete(in.known, k)
			}
		}
	}
	if len(in.known) >= maxAnswers {
		// Forgetting costs the issuer a question more.
		clear(in.known)
	}
	in.known[h] = o
}

// judgeOpinion is the principal of a token that is known by its issuer's word alone.
func judgeOpinion(o opinion, is Issuer, now time.Time) (Principal, *Refusal) {
	if r := o.refusal(is); r != nil {
		return Principal{}, r
	}
	if r := judgeUse(o.claims); r != nil {
		return Principal{}, r
	}
	claims := o.claims
	if _, ok := claims.get("sub"); !ok {
		// A token without a person: its client is who it is for (RFC 9068 section 2.2).
		if id := claims.optional("client_id"); id != "" {
			claims.members = append(claims.members[:len(claims.members):len(claims.members)],
				member{"sub", value{kind: kindString, text: id}})
		}
	}
	p, r := judge(claims, is, now)
	if r != nil {
		return Principal{}, r
	}
	p.payload = o.raw
	p.confirm(o)
	return p, nil
}

// refusal is why a token is not good by an opinion, nil when it may be.
func (o opinion) refusal(is Issuer) *Refusal {
	switch {
	case o.failed != nil:
		return o.failed
	case !o.active:
		return refuse(Revoked, "the issuer says that the token is not active")
	}
	if iss, ok := o.claims.get("iss"); ok && (iss.kind != kindString || iss.text != is.Issuer) {
		return refuse(IssuerUnknown, "the issuer says that the token is another's")
	}
	return nil
}

// judgeUse refuses what is no access token. Issuers know their refresh tokens too, and
// call them active; they tell them apart by token_type (RFC 7662 section 2.2), which a
// refresh token has none of, or by a member of their own.
func judgeUse(c value) *Refusal {
	said := false
	for _, says := range []struct {
		name string
		good []string
	}{{"token_type", []string{"bearer"}}, {"token_use", []string{"access_token", "access"}}, {"typ", []string{"bearer", "at+jwt"}}} {
		v, ok := c.get(says.name)
		if !ok {
			continue
		}
		if v.kind != kindString || !slices.Contains(says.good, strings.ToLower(v.text)) {
			return refuse(Type, "the issuer says that it is no access token for whoever bears it")
		}
		said = true
	}
	if !said {
		return refuse(Type, "the issuer does not say that it is an access token")
	}
	return nil
}

// confirm bounds p by an opinion.
func (p *Principal) confirm(o opinion) {
	p.ConfirmBy, p.ConfirmAt = o.until, o.asked.Add(o.until.Sub(o.asked)/2)
	if p.Deadline.Before(p.ConfirmBy) {
		p.ConfirmBy = p.Deadline
	}
	if !p.ConfirmAt.Before(p.Deadline) {
		p.ConfirmAt = time.Time{}
	}
}

// narrow holds the principal of a signed token against its issuer's opinion, which may
// take from it and never adds.
func (p *Principal) narrow(o opinion, is Issuer, now time.Time) *Refusal {
	if r := o.refusal(is); r != nil {
		return r
	}
	for _, f := range [][2]string{{"sub", p.Subject}, {"client_id", p.ClientID}, {"jti", p.TokenID}} {
		if v, ok := o.claims.get(f[0]); ok && f[1] != "" && (v.kind != kindString || v.text != f[1]) {
			return refuse(ClaimsInvalid, "the issuer says something else of the token than the token does")
		}
	}
	var other Principal
	if r := other.readBinding(o.claims); r != nil {
		return r
	}
	switch {
	case other.Certificate == nil:
	case p.Certificate == nil:
		p.Certificate = other.Certificate
	case *p.Certificate != *other.Certificate:
		return refuse(Binding, "the issuer binds the token to another certificate than the token does")
	}
	if o.claims.has("exp") {
		if r := other.judgeTimes(o.claims, is.Skew, now); r != nil {
			return r
		}
		if other.ExpiresAt.Before(p.ExpiresAt) {
			p.ExpiresAt, p.Deadline = other.ExpiresAt, other.Deadline
		}
	}
	if o.claims.has("scope") {
		left, r := readScopes(o.claims)
		if r != nil {
			return r
		}
		p.Scopes = slices.DeleteFunc(p.Scopes, func(s string) bool { return !slices.Contains(left, s) })
	}
	p.confirm(o)
	return nil
}

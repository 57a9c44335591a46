package oracle

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"time"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/analyze"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/policy"
)

// Outcome says how Scopewire's verdict on a statement of the suite relates to what the
// server did with it, when all there is is granted.
type Outcome string

// The outcomes. Those of failing are failures.
const (
	// Same: what runs is allowed, what fails is allowed to or has the server's own error.
	Same Outcome = "same"
	// ForSession: denied for an object that only the session's backend can show, which the
	// service asks it for and these tests do not.
	ForSession Outcome = "needs the session's backend"
	// ForReason: denied by a rule of the list.
	ForReason Outcome = "explained"
	// OtherError: both refuse, in other words.
	OtherError Outcome = "another error"
	// Lost: the server gave no answer.
	Lost Outcome = "no answer"

	// Refuses: denied although it runs, and no rule says why.
	Refuses Outcome = "DENIED"
	// Forwards: allowed with a name that means nothing to the server.
	Forwards Outcome = "UNBOUND"
)

// Failing reports whether the outcome is a failure.
func (o Outcome) Failing() bool { return o == Refuses || o == Forwards }

// SuiteCase is a statement of the suite, judged and run.
type SuiteCase struct {
	Script, SQL string
	Outcome     Outcome
	Rule        string // The explanation's name.
	Server      Answer
	Verdict     Verdict
}

// String is the statement and both answers in a few lines.
func (c SuiteCase) String() string {
	return Comparison{Unit: Unit{SQL: c.SQL}, Role: &Role{}, Class: Class(c.Outcome), Origin: c.Script, Server: c.Server, Verdict: c.Verdict}.String()
}

// scriptLimit is the longest a statement of the suite may take.
const scriptLimit = time.Minute

// SuiteJudge runs the scripts of the suite one after another in one database, as
// pg_regress does, and has each statement judged before it runs, by a policy that
// grants everything.
type SuiteJudge struct {
	dsn    string
	suite  Suite
	rules  Rules
	reader *reader
	grants *policy.Grants
	snap   *catalog.Snapshot
}

// NewSuiteJudge prepares a run in an empty database. The caller closes it.
func NewSuiteJudge(ctx context.Context, dsn string, suite Suite, rules Rules) (*SuiteJudge, error) {
	r, err := newReader(ctx, dsn)
	if err != nil {
		return nil, err
	}
	j := &SuiteJudge{dsn: dsn, suite: suite, rules: rules, reader: r}
	if j.snap, err = r.read(ctx); err == nil {
		var p *policy.Policy
		if p, err = policy.Parse([]byte(everything(j.snap))); err == nil {
			j.grants = p.Principal([]string{scope})
		}
	}
	if err != nil {
		_ = r.close() // The first error is the one to tell.
		return nil, err
	}
	return j, nil
}

// Close ends the reading of the catalog.
func (j *SuiteJudge) Close() error { return j.reader.close() }

// Script runs a script in a session of its own.
func (j *SuiteJudge) Script(ctx context.Context, name string, report func(SuiteCase)) error {
	statements, err := j.suite.Statements(name)
	if err != nil {
		return err
	}
	s, err := j.open(ctx)
	if err != nil {
		return err
	}
	defer s.session.close()
	for _, sql := range statements {
		if variable.MatchString(sql) {
			continue // psql would put a value there.
		}
		if err := s.step(ctx, name, sql, report); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return j.endPrepared(ctx)
}

// endPrepared rolls back what a script has left prepared: it would hold its locks, and
// the database.
func (j *SuiteJudge) endPrepared(ctx context.Context) error {
	s, err := j.open(ctx)
	if err != nil {
		return err
	}
	defer s.session.close()
	for {
		row, err := s.session.row(ctx, "SELECT coalesce(quote_literal(min(gid)), '') FROM pg_prepared_xacts WHERE database = current_database()")
		if err != nil || row[0] == "" {
			return err
		}
		if _, err := s.session.exec(ctx, "ROLLBACK PREPARED "+row[0]); err != nil {
			return err
		}
	}
}

// scriptSession is the session of a script, and what the proxy would know of it.
type scriptSession struct {
	*SuiteJudge
	session *session
	context analyze.Context
	// stale says that the catalog may be another one; own that the session has
	// objects of its own: temporary ones, or what its open transaction has made.
	stale, temporary, uncommitted bool
}

func (j *SuiteJudge) open(ctx context.Context) (*scriptSession, error) {
	own, err := newSession(j.dsn, "", "")
	if err != nil {
		return nil, err
	}
	own.files, own.limit = true, scriptLimit
	delete(own.config.RuntimeParams, "statement_timeout")
	maps.Copy(own.config.RuntimeParams, map[string]string{"timezone": "PST8PDT", "datestyle": "Postgres, MDY", "intervalstyle": "postgres_verbose"})
	s := &scriptSession{SuiteJudge: j, session: own, stale: true}
	s.context = analyze.Context{ServerVersionNum: j.snap.ServerVersionNum, PreparedStatements: map[string]string{}, Cursors: map[string]string{},
		Settings: map[string]string{"standard_conforming_strings": "on"}}
	return s, s.learn(ctx)
}

// learn asks for what statements may have changed of the context.
func (s *scriptSession) learn(ctx context.Context) error {
	var err error
	if s.context.SearchPath, err = s.session.show(ctx, "search_path"); err != nil {
		return err
	}
	// What is pinned is denied, and would not have come to the server.
	if _, err = s.session.exec(ctx, "SET standard_conforming_strings TO on; SET backslash_quote TO safe_encoding"); err != nil {
		return err
	}
	row, err := s.session.row(ctx, "SELECT current_user")
	if err == nil {
		s.context.Role = row[0]
	}
	return err
}

// contextual matches what may change the context.
var contextual = regexp.MustCompile(`(?i)\b(set|reset|discard|set_config|rollback|commit|end|abort|role|authorization)\b`)

// makesTemporary matches what makes objects of the session's own.
var makesTemporary = regexp.MustCompile(`(?i)\b(temp|temporary|pg_temp\w*)\b`)

// intoTable matches what looks like a query and makes a table, or runs what may make
// anything.
var intoTable = regexp.MustCompile(`(?i)\b(into|explain|execute|\w+_\w*\s*\()`)

// step judges and runs one statement.
func (s *scriptSession) step(ctx context.Context, script, sql string, report func(SuiteCase)) error {
	if err := s.session.open(ctx); err != nil {
		return err
	}
	status := s.session.conn.TxStatus()
	if status == 'I' {
		s.uncommitted = false
		if s.stale {
			var err error
			if s.snap, err = s.reader.read(ctx); err != nil {
				return err
			}
			s.stale = false
		}
	}
	analyst := &judge{snap: s.snap, context: s.context, grants: s.grants}
	verdict := analyst.verdict(Unit{SQL: sql})
	answer, err := s.session.exec(ctx, sql)
	if err != nil {
		report(SuiteCase{Script: script, SQL: sql, Outcome: Lost, Verdict: verdict})
		s.session.close()
		s.temporary, s.stale = false, true
		clear(s.context.PreparedStatements)
		clear(s.context.Cursors)
		return s.learn(ctx)
	}
	if status != 'E' {
		found := SuiteCase{Script: script, SQL: sql, Server: answer, Verdict: verdict}
		s.classify(&found)
		report(found)
	}
	if answer.Ran() {
		s.ran(analyst, sql)
	}
	if contextual.MatchString(sql) && s.session.conn.TxStatus() != 'E' {
		return s.learn(ctx)
	}
	return nil
}

// ran follows what a statement did.
func (s *scriptSession) ran(analyst *judge, sql string) {
	s.stale = true
	if s.session.conn.TxStatus() != 'I' && (!judged.MatchString(sql) || intoTable.MatchString(sql)) {
		s.uncommitted = true
	}
	s.temporary = s.temporary || makesTemporary.MatchString(sql)
	for _, e := range analyst.effects(Unit{SQL: sql}) {
		switch e.Kind {
		case access.EffectPrepare:
			s.context.PreparedStatements[e.Name] = e.Value
		case access.EffectDeclare:
			s.context.Cursors[e.Name] = e.Value
		case access.EffectDeallocate:
			forget(s.context.PreparedStatements, e.Name)
		case access.EffectClose:
			forget(s.context.Cursors, e.Name)
		}
	}
}

func forget(texts map[string]string, name string) {
	if name == "" {
		clear(texts)
		return
	}
	delete(texts, name)
}

// classify compares verdict and answer.
func (s *scriptSession) classify(c *SuiteCase) {
	a, v := c.Server, c.Verdict
	switch {
	case v.Allow && a.Unbound() && !s.temporary && !s.uncommitted:
		c.Outcome = Forwards
		if c.Rule = s.rules.findError(v, a, c.SQL); c.Rule != "" {
			c.Outcome = ForReason
		}
	case v.Allow, v.Error != nil && v.Error.SQLState == a.State && v.Error.Message == a.Message && v.Error.Position == a.Position:
		c.Outcome = Same
	case !a.Ran():
		c.Outcome = OtherError
	default:
		c.Outcome = Refuses
		if c.Rule = s.explains(v, c.SQL); c.Rule != "" {
			c.Outcome = ForReason
		} else if s.temporary || s.uncommitted {
			c.Outcome = ForSession
		}
	}
}

// explains names the rules that explain every denial, or returns "".
func (s *scriptSession) explains(v Verdict, sql string) string {
	var names []string
	for _, d := range v.Denials {
		name := s.rules.find(d, sql)
		if name == "" {
			return ""
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

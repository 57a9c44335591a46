package pgboot

import "context"

// StartAsNobody boots by the way that is left where user namespaces are
// forbidden.
func StartAsNobody(ctx context.Context, c Config) (*Server, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	bin, err := find(ctx, c)
	if err != nil {
		return nil, err
	}
	return start(ctx, c, bin, asNobody)
}

// KillJanitor ends the janitor of a server, as an administrator might.
func KillJanitor(s *Server) error {
	err := s.janitor.child.cmd.Process.Kill()
	<-s.janitor.child.done
	return err
}

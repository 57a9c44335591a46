package verify

import "bytes"

// minOpaque is the shortest opaque token, in bytes. What is shorter could be guessed, and
// is more likely a password that somebody has typed: it is not sent anywhere.
const minOpaque = 20

// isJWT reports whether a token has the form of a JWT, signed or encrypted, whatever is in
// it. Such a token is somebody's who can be read from it, and never passes for an opaque
// one.
func isJWT(token []byte) bool {
	if n := bytes.Count(token, []byte{'.'}); n != 2 && n != 4 {
		return false
	}
	header, err := decodeSegment(token[:bytes.IndexByte(token, '.')])
	return err == nil && bytes.HasPrefix(bytes.TrimLeft(header, " \t\r\n"), []byte{'{'})
}

// isOpaque checks the characters of a bearer token (RFC 6750 section 2.1).
func isOpaque(token []byte) bool {
	body := bytes.TrimRight(token, "=")
	for _, c := range body {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '.', c == '_', c == '~', c == '+', c == '/':
		default:
			return false
		}
	}
	return len(body) > 0 && len(token) >= minOpaque && len(token) <= MaxTokenSize
}

package analyze

// number scans a numeric literal with scan.l's rules of PostgreSQL 16 and newer,
// underscores and other bases included; skew.go refuses those to older servers.
// What may not follow a number ("trailing junk") is malformed.
func (l *lexer) number() tokenKind {
	if l.text[l.pos] == '0' {
		switch l.at(l.pos + 1) {
		case 'x', 'X':
			return l.based(isHexDigit)
		case 'o', 'O':
			return l.based(func(c byte) bool { return c >= '0' && c <= '7' })
		case 'b', 'B':
			return l.based(func(c byte) bool { return c == '0' || c == '1' })
		}
	}
	l.digits()
	if l.at(l.pos) == '.' {
		// "1..10" is a number and a pair of dots.
		if l.at(l.pos+1) == '.' {
			return tokenNumber
		}
		l.pos++
		l.digits()
	}
	if c := l.at(l.pos); c == 'e' || c == 'E' {
		exponent := l.pos + 1
		if sign := l.at(exponent); sign == '+' || sign == '-' {
			exponent++
		}
		if !isDigit(l.at(exponent)) {
			l.fault = lexMalformed
			return tokenEnd
		}
		l.pos = exponent
		l.digits()
	}
	return l.endNumber()
}

// digits skips {decinteger}, or nothing.
func (l *lexer) digits() {
	for isDigit(l.at(l.pos)) || l.at(l.pos) == '_' && isDigit(l.at(l.pos+1)) && l.pos > 0 && isDigit(l.text[l.pos-1]) {
		l.pos++
	}
}

func (l *lexer) based(isDigit func(byte) bool) tokenKind {
	l.pos += 2
	start := l.pos
	for l.pos < len(l.text) && (isDigit(l.text[l.pos]) || l.text[l.pos] == '_' && l.pos+1 < len(l.text) && isDigit(l.text[l.pos+1])) {
		l.pos++
	}
	if l.pos == start {
		l.fault = lexMalformed
		return tokenEnd
	}
	return l.endNumber()
}

func (l *lexer) endNumber() tokenKind {
	if l.pos < len(l.text) && isIdentStart(l.text[l.pos]) {
		l.fault = lexMalformed
		return tokenEnd
	}
	return tokenNumber
}

func isHexDigit(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
